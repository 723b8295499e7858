"""One path of a filesystem: what lies there, and where its bytes are."""

import io
import os
from typing import BinaryIO, Literal, NamedTuple, Protocol

MADE_S = 315532800  # 1980-01-01: the first day that zip files know, and no tool takes it for "no time"

Kind = Literal["file", "dir", "symlink", "char", "block", "fifo"]


class Content(Protocol):
    """Where a file's bytes are. They are read when needed, never before."""

    def open(self) -> BinaryIO:
        """A seekable stream of the bytes, from the first one. Errors: OSError."""


class HostFile(NamedTuple):
    """Bytes in a file of this machine. `identity` is (device, inode, size, mtime, ctime), the times in nanoseconds."""

    path: str
    identity: tuple[int, ...] = ()

    def open(self) -> BinaryIO:
        # A FIFO that took the file's place must not make us wait, nor a link lead us elsewhere.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return open(descriptor, "rb")


class Bytes(NamedTuple):
    """Bytes in memory."""

    data: bytes

    def open(self) -> BinaryIO:
        return io.BytesIO(self.data)


class Node(NamedTuple):
    """What lies at a path.

    `mode` has the permission bits only (07777); `mtime` is in whole seconds; `size` in bytes, of files only; `target` is a
    symlink's text; `device` is (major, minor); `xattrs` are (name, value), sorted. Files with the same `inode` other than
    None are hard links of one file. `content` is set for files with bytes.
    """

    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    inode: tuple[int, int] | None = None
    content: Content | None = None


def made_file(data: bytes, mode: int = 0o644) -> Node:
    """A file of root's whose bytes we made."""
    return Node("file", mode, size=len(data), content=Bytes(data))


def made_dir(mode: int = 0o755) -> Node:
    """A folder of root's that we made."""
    return Node("dir", mode)


def made_symlink(target: str) -> Node:
    """A symbolic link of root's that we made."""
    return Node("symlink", 0o777, target=target)
