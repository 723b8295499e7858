"""What ld.so loads into every program: LD_PRELOAD of the image's environment, and a fat image's /etc/ld.so.preload."""

import re
from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Need, Reason
from jettison.tree.root import DirectoryRoot, resolve

_FILE = "/etc/ld.so.preload"
_LIMIT_BYTES = 64 << 10


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The libraries by their paths. What a machine preloads into its own programs is no part of an application."""
    if not subject.setting.is_new("preload"):
        return
    text = dict(subject.setting.environment).get("LD_PRELOAD", "")
    yield from _libraries(subject, text, reason._replace(detail="LD_PRELOAD names it"))
    is_machine = isinstance(subject.root, DirectoryRoot) and not subject.root.base
    found = resolve(subject.root, _FILE)
    if not is_machine and found.node is not None and found.node.kind == "file" and found.node.size:
        yield Need(_FILE, reason)
        with subject.root.open(found.path) as file:
            text = re.sub(r"#.*", "", file.read(_LIMIT_BYTES).decode("utf-8", "replace"))
        yield from _libraries(subject, text, reason)


def _libraries(subject: Subject, text: str, reason: Reason) -> Iterator[Finding]:
    from jettison.closure.rules import glob

    for name in re.split(r"[\s:]+", text):
        patterns = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in ("/usr/lib/*", "/usr/lib64", "/usr/lib")]
        paths = [path for pattern in patterns if name for path in glob(subject.root, pattern.replace("$LIB", "lib*"))]
        yield from (Need(path, reason) for path in paths)
