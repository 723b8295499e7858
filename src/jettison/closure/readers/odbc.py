"""ODBC: the drivers that odbcinst.ini names, by path or by a name that dlopen(3) finds."""

from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Need, Reason
from jettison.tree.root import resolve

_FILE = "/etc/odbcinst.ini"
_LIMIT_BYTES = 1 << 20
_KEYS = ("driver", "setup", "driver64", "setup64")
_FOLDERS = ("/usr/lib/*/odbc", "/usr/lib/*", "/usr/lib64", "/usr/lib")


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The libraries of the keys Driver and Setup that are there."""
    from jettison.closure.rules import glob

    found = resolve(subject.root, _FILE)
    if found.node is None or found.node.kind != "file":
        return
    with subject.root.open(found.path) as file:
        lines = file.read(_LIMIT_BYTES).decode("utf-8", "replace").splitlines()
    for key, name in sorted({_pair(line) for line in lines}):
        patterns = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in _FOLDERS]
        for path in (path for pattern in patterns if key in _KEYS and name for path in glob(subject.root, pattern)):
            yield Need(path, reason)


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.strip().lower(), value.strip()
