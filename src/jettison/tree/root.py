"""A Root: where files come from. Read only; symbolic links are resolved inside it.

A path in a Root is a text that starts with `/`; bytes that are not UTF-8 are kept as surrogates (os.fsdecode).
"""

import errno
import os
import stat
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol

from jettison.errors import HostError, InternalError, InvalidData, NotFound
from jettison.tree.node import HostFile, Kind, Node

_LINK_LIMIT = 40  # path_resolution(7)

_KERNELS = ("/proc/", "/sys/")

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
}


class Root(Protocol):
    """Where files come from: this machine, a folder, an image."""

    def lstat(self, path: str) -> Node | None:
        """What lies at `path`, links not followed; None where there is nothing. No part before the last is a link."""

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted; empty where there is no folder."""

    def open(self, path: str) -> BinaryIO:
        """A seekable stream of a file's bytes. Errors: NotFound, HostError."""


class Resolved(NamedTuple):
    """Where a path leads: the real path, what lies there (None if nothing), the links passed on the way, and the folders that
    `..` led out of again."""

    path: str
    node: Node | None
    links: tuple[str, ...]
    left: tuple[str, ...] = ()


def normalise(path: str, base: str = "/") -> str:
    """An absolute path without `.`, `..` and doubled slashes, as text: links are not looked at."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{base}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def parents(path: str) -> list[str]:
    """The folders above `path`, from `/` down; of `/` none."""
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[:count]) for count in range(len(parts) + 1)] if path != "/" else []


def resolve(root: Root, path: str, follow_last: bool = True) -> Resolved:
    """Follow `path` as the kernel would with `root` as its root folder: `..` stops at `/`, links never lead out.

    Errors: InvalidData for more than 40 links.
    """
    folder, _, name = path.rpartition("/")
    if not name or name in (".", ".."):
        return _walk(root, path, follow_last)
    known = root.folders if isinstance(root, _Still) else {}
    above = known.get(folder)
    if above is None:
        above = known[folder] = _walk(root, folder, follow_last=True)
    if folder and (above.node is None or above.node.kind != "dir"):
        return Resolved(normalise(name, above.path), None, above.links, above.left)
    here = f"{above.path}/{name}" if above.path != "/" else f"/{name}"
    node = root.lstat(here)
    if node is not None and node.kind == "symlink" and follow_last:
        return _walk(root, path, follow_last)
    return Resolved(here, node, above.links, above.left)


def lead(root: Root, path: str) -> Resolved | None:
    """Where a path leads; None for a ring of links, or where this user may not look."""
    try:
        return resolve(root, path)
    except (HostError, InvalidData):
        return None


def _walk(root: Root, path: str, follow_last: bool) -> Resolved:
    """Follow a path part by part."""
    todo = [part for part in reversed(path.split("/")) if part]
    done = ""
    links: list[str] = []
    left: list[str] = []
    node = root.lstat("/")
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            left += [done] if done else []
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}"
        node = root.lstat(here)
        if node is not None and node.kind == "symlink" and (todo or follow_last):
            if len(links) == _LINK_LIMIT:
                raise InvalidData(f"`{path}` leads through more than {_LINK_LIMIT} symbolic links")
            links.append(here)
            if node.target.startswith("/"):
                done = ""
            todo.extend(part for part in reversed(node.target.split("/")) if part)
        else:
            done = here
            if node is None or (todo and node.kind != "dir"):
                return Resolved(normalise("/".join([done, *reversed(todo)])), None, tuple(links), tuple(left))
    final = done or "/"
    return Resolved(final, root.lstat(final), tuple(links), tuple(left))


class _Still:
    """A Root that is one state of a filesystem: `folders` is where its folders have led to."""

    def __init__(self) -> None:
        self.folders: dict[str, Resolved] = {}


class DirectoryRoot(_Still):
    """A folder of this machine as a Root; `/` is the machine itself.

    Facts are kept from the first look on. What the kernel shows below /proc and /sys is not
    there: it is of this moment, and of no application.
    """

    def __init__(self, base: str = "/") -> None:
        self.base = os.path.realpath(base).rstrip("/")
        super().__init__()
        self._nodes: dict[str, Node | None] = {}
        self._names: dict[str, list[str]] = {}
        if not os.path.isdir(self.base or "/"):
            raise NotFound(f"no folder at `{base}`")

    def lstat(self, path: str) -> Node | None:
        if path not in self._nodes:
            is_kernels = not self.base and path.startswith(_KERNELS)
            self._nodes[path] = None if is_kernels else node_of(self.base + path)
        return self._nodes[path]

    def listdir(self, path: str) -> list[str]:
        if path not in self._names:
            try:
                self._names[path] = sorted(os.listdir(self.base + path))
            except (FileNotFoundError, NotADirectoryError):
                self._names[path] = []
            except OSError as error:
                raise unreadable(path, error) from error
        return self._names[path]

    def open(self, path: str) -> BinaryIO:
        try:
            return HostFile(self.base + path).open()
        except FileNotFoundError as error:
            raise NotFound(f"no file at `{path}`") from error
        except OSError as error:
            raise unreadable(path, error) from error


class Tree(_Still):
    """A filesystem as a value: path → Node. Also a Root. Every node's folders are nodes too, `/` itself need not be."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        super().__init__()
        self.nodes = nodes
        self._names: dict[str, list[str]] | None = None

    def lstat(self, path: str) -> Node | None:
        return self.nodes.get(path)

    def listdir(self, path: str) -> list[str]:
        if self._names is None:
            self._names = {}
            for node_path in sorted(self.nodes):
                folder, _, name = node_path.rpartition("/")
                if name:
                    self._names.setdefault(folder or "/", []).append(name)
        return self._names.get(path, [])

    def open(self, path: str) -> BinaryIO:
        node = self.nodes.get(path)
        if node is None or node.content is None:
            raise NotFound(f"no file at `{path}`")
        return open_content(path, node)


def open_content(path: str, node: Node) -> BinaryIO:
    """A seekable stream of a file node's bytes. Errors: HostError naming `path`."""
    if node.content is None:
        raise InternalError(f"`{path}` has no content")
    try:
        return node.content.open()
    except OSError as error:
        raise unreadable(path, error) from error


def node_of(host_path: str) -> Node | None:
    """The Node of a path of this machine, links not followed; None where there is nothing. Errors: HostError."""
    try:
        info = os.lstat(host_path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return None
        raise unreadable(host_path, error) from error
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    if kind is None:  # a socket is a meeting point of running processes, not a part of an application
        return None
    is_file = kind == "file"
    return Node(
        kind,
        stat.S_IMODE(info.st_mode),
        info.st_uid,
        info.st_gid,
        int(info.st_mtime),
        info.st_size if is_file else 0,
        os.readlink(host_path) if kind == "symlink" else "",
        (os.major(info.st_rdev), os.minor(info.st_rdev)),
        _xattrs(host_path) if is_file else (),
        (info.st_dev, info.st_ino) if is_file and info.st_nlink > 1 else None,
        HostFile(host_path, _identity(info)) if is_file else None,
    )


def unreadable(path: str, error: Exception) -> HostError:
    """The error of a path that exists and cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "run as a user who may read it, or leave it out with `--exclude`" if isinstance(error, PermissionError) else ""
    return HostError(f"cannot read `{path}`: {reason}", hint)


def _identity(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _xattrs(host_path: str) -> tuple[tuple[str, bytes], ...]:
    """The attributes that belong to the file: its capabilities and the user's own, not the labels of a policy."""
    try:
        names = os.listxattr(host_path, follow_symlinks=False)
        kept = sorted(name for name in names if name == "security.capability" or name.startswith("user."))
        return tuple((name, os.getxattr(host_path, name, follow_symlinks=False)) for name in kept)
    except OSError:  # a filesystem without attributes
        return ()
