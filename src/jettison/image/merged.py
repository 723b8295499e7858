"""Unpacked layers as one Root: what an overlay mount of them would show, without the mount."""

import os
import stat
from collections.abc import Sequence
from typing import BinaryIO

from jettison.errors import NotFound
from jettison.tree.node import Node, made_dir
from jettison.tree.root import node_of, unreadable

OPAQUE_XATTR = "user.overlay.opaque"


class MergedLayers:
    """The folders of unpacked layers, the lowest first. Whiteouts and opaque folders hide what is below them.

    Only root's unpacking keeps owners: for others everything is root's.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = list(folders)

    def lstat(self, path: str) -> Node | None:
        host_path = self._find(path)
        if host_path is None and path == "/":
            return made_dir()  # of an image without layers
        node = node_of(host_path) if host_path else None
        if node is None or os.geteuid() == 0:
            return node
        return node._replace(uid=0, gid=0)

    def listdir(self, path: str) -> list[str]:
        names: set[str] = set()
        for folder in reversed(self._within(path)):
            names.update(os.listdir(folder))
        base = path.rstrip("/")
        return sorted(name for name in names if self._find(f"{base}/{name}"))

    def open(self, path: str) -> BinaryIO:
        node = self.lstat(path)
        if node is None or node.content is None:
            raise NotFound(f"no file at `{path}`")
        try:
            return node.content.open()
        except OSError as error:
            raise unreadable(path, error) from error

    def _within(self, path: str) -> list[str]:
        """The host folders that together are the folder at `path`, the lowest first."""
        parts = [part for part in path.split("/") if part]
        found = []
        for folder in reversed(self._folders):
            host_path, is_last = _descend(folder, parts)
            if host_path and stat.S_ISDIR(os.lstat(host_path).st_mode):
                found.append(host_path)
            if is_last:
                break
        return found[::-1]

    def _find(self, path: str) -> str | None:
        """The host path of what is at `path`."""
        parts = [part for part in path.split("/") if part]
        for folder in reversed(self._folders):
            host_path, is_last = _descend(folder, parts)
            if host_path or is_last:
                return host_path
        return None


def is_opaque(folder: str) -> bool:
    """Whether a folder of an unpacked layer hides what lower layers have in it."""
    try:
        return os.getxattr(folder, OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _descend(folder: str, parts: list[str]) -> tuple[str | None, bool]:
    """The host path of `parts` in one layer, if it has it; and whether lower layers are hidden there."""
    hides = is_opaque(folder)
    here = folder
    for count, part in enumerate(parts, 1):
        here = f"{here}/{part}"
        try:
            info = os.lstat(here)
        except OSError:  # no such name, or the whole path is longer than Linux takes
            return None, hides
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            return None, True
        if not stat.S_ISDIR(info.st_mode):
            return (here if count == len(parts) else None), True
        hides = hides or is_opaque(here)
    return here, hides
