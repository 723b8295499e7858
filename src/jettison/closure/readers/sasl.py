"""SASL: the mechanisms that a program may agree on with its peer."""

from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Need, Reason

_FOLDERS = ("/usr/lib/*/sasl2", "/usr/lib64/sasl2", "/usr/lib/sasl2")
_SETTINGS = ("/etc/sasl2/*.conf", "/usr/lib/sasl2/*.conf", "/etc/ldap/sasl2/*.conf")
_SERVER_ONLY = "libsasldb"  # the server's passwords, with Berkeley DB


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The mechanisms' modules; libldap, which loads SASL for few of the programs that load libldap, is a hint only."""
    from jettison.closure.rules import glob

    is_server = "sasl_server_init" in subject.setting.facts.imported_symbols(subject.root, subject.path)
    if subject.path.rpartition("/")[2].startswith("libldap"):
        reason = reason._replace(confidence="hint")
    for path in (path for folder in _FOLDERS for path in glob(subject.root, f"{folder}/*.so")):
        if is_server or not path.rpartition("/")[2].startswith(_SERVER_ONLY):
            yield Need(path, reason)
    for pattern in _SETTINGS if is_server else ():
        for path in glob(subject.root, pattern):
            node = subject.root.lstat(path)
            if node is not None and node.mode & 0o004:
                yield Need(path, reason)
