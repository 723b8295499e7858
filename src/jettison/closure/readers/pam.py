"""PAM: what a program's service asks for, with what that includes, and the modules that all of it names.

pam_unix(8) lets nobody in whom /etc/shadow does not have, also where no password is asked for: an image of a machine's program
gets one in which no password fits. That of a fat image is its author's.
"""

import re
from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.system import PASSWD
from jettison.closure.why import Make, Need, Reason
from jettison.tree.node import made_file
from jettison.tree.root import DirectoryRoot, Root, resolve

_FOLDERS = ("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d")  # the first one that has a service counts: pam.conf(5)
_MODULES = ("/usr/lib/*/security", "/usr/lib64/security", "/usr/lib/security", "/lib/security")
# TYPE CONTROL MODULE ARGUMENTS..., where a dash before the type allows the module to be absent.
_ROW = re.compile(
    r"(?P<dash>-?)(?:auth|account|password|session)\s+(?P<control>\[[^\]]*\]|\S+)\s+(?P<module>\S+)(?P<arguments>.*)"
)
_INCLUDE = re.compile(r"@include\s+(\S+)")
_PATH = re.compile(r"(?<==)/[^\s\]]+|(?<=\s)/[^\s\]]+")
_FALLBACK = "other"
_SHADOW = "".join(f"{line.partition(':')[0]}:*:::::::\n" for line in PASSWD.splitlines()).encode()  # shadow(5)
_LIMIT_BYTES = 1 << 20
_LIMIT_SERVICES = 64


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The services that the program names, and the one for all others; their modules, and the files that these are given."""
    if isinstance(subject.root, DirectoryRoot):
        yield Make("/etc/shadow", made_file(_SHADOW, 0o600), reason._replace(confidence="certain"))
    todo, seen = [*_services(subject), _FALLBACK], set[str]()
    while todo and len(seen) < _LIMIT_SERVICES:
        service = todo.pop(0)
        path = _file(subject.root, service)
        if not path or service in seen:
            continue
        seen.add(service)
        yield Need(path, reason)
        for line in _lines(subject.root, path):
            if included := _INCLUDE.match(line):
                todo.append(included[1])
            elif (row := _ROW.match(line)) and row["control"] in ("include", "substack"):
                todo.append(row["module"])
            elif row:
                detail = f"{reason.detail}; {path} names {row['module']}"
                yield from _module(subject, row, reason._replace(detail=detail))


def _services(subject: Subject) -> list[str]:
    """The services whose names stand in the program, or are its own; all, where it is told on its command line."""
    known = sorted({name for folder in _FOLDERS for name in subject.root.listdir(folder)})
    alone = subject.setting.facts.alone(subject.root, subject.path, tuple(known))
    services = [name for name in known if name in alone or name == subject.path.rpartition("/")[2]]
    return services if set(services) - {_FALLBACK} else known


def _module(subject: Subject, row: re.Match[str], reason: Reason) -> Iterator[Finding]:
    from jettison.closure.rules import glob

    if row["dash"]:
        reason = reason._replace(confidence="hint")
    name = row["module"]
    patterns = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in _MODULES]
    yield from (Need(path, reason) for path in sorted({path for pattern in patterns for path in glob(subject.root, pattern)}))
    for path in _PATH.findall(row["arguments"]):
        node = resolve(subject.root, path).node
        if node is not None and node.kind == "file" and node.mode & 0o004:
            yield Need(path, reason)


def _file(root: Root, service: str) -> str:
    paths = (f"{folder}/{service}" for folder in _FOLDERS if "/" not in service)
    return next((path for path in paths if (node := resolve(root, path).node) is not None and node.kind == "file"), "")


def _lines(root: Root, path: str) -> list[str]:
    with root.open(resolve(root, path).path) as file:
        text = file.read(_LIMIT_BYTES).decode("utf-8", "replace").replace("\\\n", " ")
    return [line.partition("#")[0].strip() for line in text.splitlines()]
