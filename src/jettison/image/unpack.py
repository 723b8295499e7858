"""A layer's changes → a folder that overlayfs mounts (with `userxattr`), written through folder descriptors alone.

Nothing here follows a symbolic link, and nothing is opened that exists: every folder on the way is opened by one name with
O_NOFOLLOW, every file is created with O_EXCL. So whatever the names say, nothing outside the folder changes.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar, assert_never

from jettison.errors import HostError
from jettison.events import Reporter
from jettison.image.changes import Change, Copy, Folder, Link, Opaque, Put, Whiteout
from jettison.image.durable import remove_tree
from jettison.image.merged import OPAQUE_XATTR
from jettison.tree.node import Node
from jettison.tree.root import Root

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_BYTES = 1 << 20
_ZEROS = bytes(_COPY_BYTES)
_HOLE_BYTES = 4096
_TOPIC_LIMIT = 20  # every file may have an attribute of another name
_SETID = stat.S_ISUID | stat.S_ISGID
_Made = TypeVar("_Made")
_UNKEPT = (errno.EPERM, errno.EACCES, errno.EOPNOTSUPP)


class Unpacker:
    """Writes one layer into an empty folder. Only root keeps owners, devices, setuid bits and privileged attributes."""

    def __init__(self, folder: str, lower: Root, reporter: Reporter, what: str) -> None:
        self._root = os.open(folder, _FOLDER_FLAGS)
        self._lower = lower
        self._reporter = reporter
        self._what = what
        self._is_root = os.geteuid() == 0
        self._told: set[str] = set()
        self._born = _owner_of_new_files(self._root)
        self._way: list[tuple[str, int]] = []  # the folders from the root to the one worked in, which stay open

    def close(self) -> None:
        self._shorten(0)
        os.close(self._root)

    def apply(self, change: Change) -> None:
        """Do one change. Errors: InvalidData, HostError."""
        match change:
            case Put(path, node, data):
                if path != "/":
                    self._put(path, node, data or ())
            case Link(path, target):
                self._link(path, target)
            case Copy(path, target, node):
                self._put(path, node, _chunks(self._lower, target) if node.kind == "file" else ())
            case Whiteout(path):
                self._whiteout(path)
            case Opaque():
                pass  # `finish` sets it: the folder may yet be replaced
            case _:
                assert_never(change)

    def finish(self, root: Folder) -> None:
        """Give the folders their owners, attributes, modes and times, the deepest first."""
        for parts, folder in _deepest_first(root):
            descriptor = self._folder(parts)
            self._describe_open(descriptor, folder.node, "/" + "/".join(parts))
            if folder.is_opaque:
                _set_opaque(descriptor, self._what)
            if not parts and not self._is_root:
                os.fchmod(descriptor, folder.node.mode | 0o700)  # only then can its owner rename it into its place

    # One kind each

    def _put(self, path: str, node: Node, data: Iterable[tuple[int, bytes]]) -> None:
        parent, name = self._parent(path)
        if node.kind == "file":
            self._put_file(parent, name, path, node, data)
        elif node.kind == "dir":
            self._put_folder(parent, name)
        elif node.kind == "symlink":
            _replacing(parent, name, lambda: os.symlink(node.target, name, dir_fd=parent))
            self._describe(parent, name, path, node)
        elif node.kind == "fifo":
            _replacing(parent, name, lambda: os.mkfifo(name, 0o600, dir_fd=parent))
            self._describe(parent, name, path, node)
        else:
            self._put_device(parent, name, path, node)

    def _put_file(self, parent: int, name: str, path: str, node: Node, data: Iterable[tuple[int, bytes]]) -> None:
        descriptor = _replacing(parent, name, lambda: os.open(name, _FILE_FLAGS, 0o600, dir_fd=parent))
        try:
            end = 0
            for offset, chunk in data:
                if len(chunk) < _HOLE_BYTES or chunk[0] or chunk != _ZEROS[: len(chunk)]:
                    _write(descriptor, chunk, offset)
                    end = offset + len(chunk)
            if end < node.size:
                os.ftruncate(descriptor, node.size)
            self._describe_open(descriptor, node, path)
        finally:
            os.close(descriptor)

    def _put_folder(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                _replacing(parent, name, lambda: os.mkdir(name, 0o700, dir_fd=parent))

    def _put_device(self, parent: int, name: str, path: str, node: Node) -> None:
        kind = stat.S_IFCHR if node.kind == "char" else stat.S_IFBLK
        try:
            _replacing(parent, name, lambda: os.mknod(name, kind | 0o600, os.makedev(*node.device), dir_fd=parent))
        except PermissionError:
            self._tell("devices", f"devices such as `{path}` are left out: only root can make them")
        else:
            self._describe(parent, name, path, node)

    def _link(self, path: str, target: str) -> None:
        *above, last = target.split("/")[1:]
        folder = os.dup(self._folder(above))
        try:
            parent, name = self._parent(path)
            _replacing(parent, name, lambda: os.link(last, name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False))
        except FileNotFoundError:
            self._tell("devices", f"`{path}` is left out: it is a hard link of `{target}`, which was left out")
        finally:
            os.close(folder)

    def _whiteout(self, path: str) -> None:
        parent, name = self._parent(path)
        try:
            _replacing(parent, name, lambda: os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent))
        except PermissionError as error:
            hint = "Linux 5.8 and newer let everybody make whiteouts; a filter on system calls may forbid it"
            raise HostError(f"cannot make a whiteout at `{path}` of {self._what}: {error.strerror}", hint) from error

    # What belongs to a name besides its bytes

    def _describe_open(self, descriptor: int, node: Node, path: str) -> None:
        """Owner first: a change of owner takes setuid bits and capabilities away."""
        if self._is_root and self._born != (node.uid, node.gid):
            self._give(lambda: os.fchown(descriptor, node.uid, node.gid))
        for name, value in node.xattrs:
            self._keep(name, path, lambda name=name, value=value: os.setxattr(descriptor, name, value))  # type: ignore[misc]
        drops = _SETID if node.kind == "file" and not self._is_root else 0
        os.fchmod(descriptor, node.mode & ~drops)
        os.utime(descriptor, (node.mtime, node.mtime))

    def _describe(self, parent: int, name: str, path: str, node: Node) -> None:
        """The same for what cannot be opened: links, devices, FIFOs. They have no `user.` attributes (xattr(7))."""
        if self._is_root and self._born != (node.uid, node.gid):
            self._give(lambda: os.chown(name, node.uid, node.gid, dir_fd=parent, follow_symlinks=False))
        if node.kind != "symlink":
            os.chmod(name, node.mode, dir_fd=parent)
        os.utime(name, (node.mtime, node.mtime), dir_fd=parent, follow_symlinks=False)

    def _give(self, change_owner: Callable[[], None]) -> None:
        """Root of a user namespace that has not all users goes on as an ordinary user."""
        try:
            change_owner()
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
            self._is_root = False
            self._tell("owners", "the owners of files are left out: this user namespace has not all of them")

    def _keep(self, name: str, path: str, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            if error.errno not in _UNKEPT:
                raise HostError(f"cannot keep the attribute `{name}` of `{path}` in {self._what}: {error.strerror}") from error
            self._tell(name, f"the attribute `{name}` of files such as `{path}` is left out: {error.strerror}")

    def _tell(self, topic: str, text: str) -> None:
        if topic not in self._told and len(self._told) < _TOPIC_LIMIT:
            self._told.add(topic)
            self._reporter.notice(f"{self._what}: {text}")

    # Folders

    def _parent(self, path: str) -> tuple[int, str]:
        """The folder above `path`, open until the next call, and the name in it."""
        *above, name = path.split("/")[1:]
        return self._folder(above), name

    def _folder(self, parts: Sequence[str]) -> int:
        """A folder, open until the next call. An archive goes from folder to folder: most of the way is open already.

        Whoever replaces a folder works in the one above it, so none that is open is one that was replaced.
        """
        common = 0
        for part, (name, _) in zip(parts, self._way, strict=False):
            if part != name:
                break
            common += 1
        self._shorten(common)
        for part in parts[common:]:
            here = self._way[-1][1] if self._way else self._root
            self._way.append((part, os.open(part, _FOLDER_FLAGS, dir_fd=here)))
        return self._way[-1][1] if self._way else self._root

    def _shorten(self, count: int) -> None:
        while len(self._way) > count:
            os.close(self._way.pop()[1])


def _owner_of_new_files(folder: int) -> tuple[int, int]:
    """What chown(2) need not be asked for: who owns what is made in a folder; on some filesystems the group is the folder's."""
    info = os.fstat(folder)
    return os.geteuid(), os.getegid() if info.st_gid == os.getegid() and not info.st_mode & stat.S_ISGID else -1


def _deepest_first(root: Folder) -> Iterator[tuple[tuple[str, ...], Folder]]:
    """All folders of a layer, each after those in it."""
    parts: list[str] = []
    todo = [(root, iter(root.children.items()))]
    while todo:
        folder, children = todo[-1]
        name, child = next(((name, child) for name, child in children if isinstance(child, Folder)), ("", None))
        if child is not None:
            parts.append(name)
            todo.append((child, iter(child.children.items())))
        else:
            yield tuple(parts), folder
            del todo[-1], parts[-1:]


def _replacing(parent: int, name: str, make: Callable[[], _Made]) -> _Made:
    """Make something new under a name that may be taken."""
    try:
        return make()
    except FileExistsError:
        remove_tree(name, parent)
        return make()


def _write(descriptor: int, data: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def _chunks(root: Root, path: str) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with root.open(path) as stream:
        while chunk := stream.read(_COPY_BYTES):
            yield offset, chunk
            offset += len(chunk)


def _set_opaque(descriptor: int, what: str) -> None:
    try:
        os.setxattr(descriptor, OPAQUE_XATTR, b"y")
    except OSError as error:
        hint = "put the store on a filesystem with user attributes, such as ext4, xfs or btrfs: `--store DIR`"
        raise HostError(f"cannot mark a folder of {what} as opaque: {error.strerror}", hint) from error
