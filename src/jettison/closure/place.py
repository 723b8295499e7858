"""Where a path of the Root lies in the image.

A program of the system keeps its path. One from anywhere else is placed at `/NAME`, and what lies beside it keeps its place
relative to it, so that an image does not depend on the folder it was packed from.
"""

import posixpath
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from jettison.tree.node import Node
from jettison.tree.root import normalise

# hier(7): the folders whose paths mean the same on every machine.
_SYSTEM = frozenset("bin etc gnu lib lib32 lib64 libx32 nix opt sbin srv usr var".split())
_PRIVATE = ("/var/tmp", "/var/folders")


def is_system(path: str) -> bool:
    """Whether a path means the same on every machine."""
    return path.split("/", 2)[1] in _SYSTEM and not within(path, _PRIVATE)


def within(path: str, folders: tuple[str, ...]) -> bool:
    """Whether `path` is one of `folders` or lies in one."""
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is that of the path's name, or with a slash, of the whole path."""
    name = path.rpartition("/")[2]
    return any(matches(path if "/" in pattern else name, pattern) for pattern in patterns)


def matches(text: str, pattern: str) -> bool:
    """fnmatch.fnmatchcase; what differs in the literal start or end is known without compiling the pattern."""
    start, end, is_literal = _literals(pattern)
    if is_literal:
        return text == pattern
    return text.startswith(start) and text.endswith(end) and fnmatchcase(text, pattern)


@cache
def _literals(pattern: str) -> tuple[str, str, bool]:
    """What a text that matches starts and ends with, and whether the pattern is itself that text."""
    signs = [position for position, sign in enumerate(pattern) if sign in "*?["]
    if not signs:
        return pattern, pattern, True
    return pattern[: signs[0]], "" if "[" in pattern else pattern[signs[-1] + 1 :], False


class Placement(NamedTuple):
    """`folder` is the program's own, empty where everything keeps its path; `moved` are (from, to), the first match counts;
    `absolute` are private paths that are asked for by their absolute name.

    With `keeps_owners` everything has the owner, the mode and the attributes that it has in the Root; set-user-id bits only the
    files of `setuid`.
    """

    folder: str = ""
    moved: tuple[tuple[str, str], ...] = ()
    absolute: frozenset[str] = frozenset()
    keeps_owners: bool = False
    setuid: frozenset[str] = frozenset()

    def image_path(self, path: str) -> str:
        """Where `path` lies in the image."""
        for source, target in self.moved:
            if within(path, (source,)):
                return normalise(target + path[len(source) :])
        if not self.folder or is_system(path) or path in self.absolute:
            return path
        if path.startswith(f"{self.folder}/"):
            return path[len(self.folder) :]
        return normalise(posixpath.relpath(path, self.folder))

    def image_node(self, path: str, node: Node) -> Node:
        """The node as it lies in the image: root's, without set-user-id bits, and of what was moved, with plain modes."""
        if self.keeps_owners:
            return node if node.kind != "file" or path in self.setuid else node._replace(mode=node.mode & 0o1777)
        node = node._replace(uid=0, gid=0, mode=node.mode & 0o1777, xattrs=_capabilities(node))
        new_path = self.image_path(path)
        if new_path == path and (is_system(path) or not self.folder):
            return node
        if node.kind == "symlink" and node.target.startswith("/"):
            return node._replace(target=self.image_path(node.target))
        if node.kind == "file":
            return node._replace(mode=0o755 if node.mode & 0o111 else 0o644)
        return node._replace(mode=0o755) if node.kind == "dir" else node


def _capabilities(node: Node) -> tuple[tuple[str, bytes], ...]:
    return tuple(item for item in node.xattrs if item[0] == "security.capability")
