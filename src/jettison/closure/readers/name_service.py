"""Name service: the modules of a glibc that has none built in, and of the services that nsswitch.conf names besides.

Since 2.34 `files` and `dns` are part of libc: https://sourceware.org/glibc/wiki/Release/2.34.
"""

import re
from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Missing, Need, Reason
from jettison.tree.root import Root, resolve

_FILE = "/etc/nsswitch.conf"
_LIMIT_BYTES = 64 << 10
_BUILT_IN_SINCE = (2, 34)
_USUAL = ("compat", "dns", "files")
_LINE = re.compile(r"^\s*\w+\s*:(.*)$", re.MULTILINE)
_ACTION = re.compile(r"\[[^\]]*\]")
_LIBC = ("/usr/lib/*/libc.so.6", "/lib/*/libc.so.6", "/usr/lib64/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6")
_OF_STATIC = b"\0libnss_\0"  # how a module's name starts before 2.33, when it became a format
_BANNER = re.compile(rb"GNU C Library[^\0]{1,80} release version (\d+)\.(\d+)")


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The modules beside the C library that the program loads; a static program wants those of its own version."""
    program = subject.read_elf(subject.path)
    if program is None:
        return
    if program.is_dynamic and (program.needed or program.interpreter):
        if subject.setting.is_new(f"name service of {program.machine}, {program.bits} bits"):
            yield from _modules(subject, _library(subject), reason)
    elif _OF_STATIC in subject.setting.facts.data(subject.root, subject.path):
        yield from _of_static(subject, reason)


def _of_static(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """A static program loads a whole C library for a module, and works only with the one that it was linked with."""
    own = _version(subject, subject.path)
    libc = _library(subject)
    detail = f"{reason.detail}; it is static, and loads the modules of the glibc that it was linked with"
    reason = reason._replace(detail=detail)
    if own != (0, 0) and libc and _version(subject, libc) == own:
        yield Need(libc, reason)
        yield from _modules(subject, libc, reason)
    else:
        version = ".".join(map(str, own)) if own != (0, 0) else "of an unknown version"
        yield Missing(f"the name service of glibc {version}", reason)


def _modules(subject: Subject, libc: str, reason: Reason) -> Iterator[Finding]:
    """What stands in nsswitch.conf; without it `dns` and `files`."""
    if not libc:
        return
    is_built_in = _version(subject, libc) >= _BUILT_IN_SINCE
    services = {*_services(subject.root), "dns", "files"}
    for name in sorted(services - ({"dns", "files"} if is_built_in else set())):
        path = f"{libc.rpartition('/')[0]}/libnss_{name}.so.2"
        if resolve(subject.root, path).node is not None:
            # Others ask a daemon that no image has; an image's own nsswitch.conf names none of them.
            confidence = reason.confidence if name in _USUAL and not is_built_in else "hint"
            yield Need(path, reason._replace(detail=f"{reason.detail}; {_FILE} says `{name}`", confidence=confidence))


def _services(root: Root) -> set[str]:
    found = resolve(root, _FILE)
    if found.node is None or found.node.kind != "file":
        return set()
    with root.open(found.path) as file:
        text = re.sub(r"#.*", "", file.read(_LIMIT_BYTES).decode("utf-8", "replace"))
    return {name for words in _LINE.findall(text) for name in _ACTION.sub(" ", words).split() if name.isidentifier()}


def _library(subject: Subject) -> str:
    """The C library of the program's machine; empty where there is none of glibc's."""
    from jettison.closure.rules import glob

    program = subject.read_elf(subject.path)
    for path in (resolve(subject.root, path).path for pattern in _LIBC for path in glob(subject.root, pattern)):
        libc = subject.read_elf(path)
        if libc and program and (libc.machine, libc.bits) == (program.machine, program.bits):
            return path
    return ""


def _version(subject: Subject, path: str) -> tuple[int, int]:
    """The version of the C library that is a file, or is linked into it; (0, 0) where the file does not say."""
    found = _BANNER.search(subject.setting.facts.data(subject.root, path))
    return (int(found[1]), int(found[2])) if found else (0, 0)
