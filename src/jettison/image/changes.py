"""A layer's entries → what they change: names resolved inside the image, whiteouts told apart, hostile shapes refused.

The one place that decides what a name in a layer means. Whoever acts on the changes (the unpacker, an image as a Tree) gets
absolute paths without `..`, above which are folders that the layer has put there before.
"""

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

from jettison.errors import HostileData, InvalidData
from jettison.tree.node import Node, made_dir
from jettison.tree.root import Root
from jettison.tree.untar import Data, Entry

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_AUFS = ".wh..wh."  # aufs' own books, which old images carry
_LINK_LIMIT = 40  # path_resolution(7)
_DEPTH_LIMIT = 256

# overlayfs would obey the first two and read elsewhere; the others are the policy of the machine that made the layer.
_FOREIGN_XATTRS = ("trusted.overlay.", "user.overlay.", "security.selinux", "security.ima", "security.evm")


class Put(NamedTuple):
    """`node` comes to `path` and replaces what is there, unless both are folders. A file's bytes are `data`."""

    path: str
    node: Node
    data: Data | None = None


class Link(NamedTuple):
    """`path` becomes another name of `target`, which this layer has."""

    path: str
    target: str


class Copy(NamedTuple):
    """`path` becomes a copy of `target`, which only a lower layer has: it is `node` there."""

    path: str
    target: str
    node: Node


class Whiteout(NamedTuple):
    """What lower layers have at `path` is gone."""

    path: str


class Opaque(NamedTuple):
    """What lower layers have in the folder at `path` is gone."""

    path: str


Change = Put | Link | Copy | Whiteout | Opaque


class Folder:
    """A folder of the layer: what it is, and what the layer has in it. Hard links are the same Node."""

    __slots__ = ("children", "is_opaque", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.children: dict[str, Folder | Node] = {}
        self.is_opaque = False


class Changes:
    """Reads one layer over `lower`. After the last change `root` is all that the layer has."""

    def __init__(self, lower: Root, what: str) -> None:
        self.root = Folder(made_dir())
        # Whether the same layer over other layers could come out differently.
        self.depends_on_lower = False
        self._root_is_told = False
        self._lower = lower
        self.what = what
        self._whiteouts: dict[str, None] = {}
        self._known: dict[str, tuple[Folder, str]] = {}

    def of(self, entries: Iterable[Entry]) -> Iterator[Change]:
        """What the entries change. Whiteouts come last: they never touch what their own layer brings.

        Errors: InvalidData, HostileData naming the entry.
        """
        for entry in entries:
            where = f"entry `{entry.name:.200}` of {self.what}"
            parts = _parts(entry.name, where)
            hidden = next((part for part in parts if part.startswith(_WHITEOUT)), None)
            if hidden is None:
                yield from self._put(entry, parts, where)
            elif hidden == _OPAQUE or not hidden.startswith(_AUFS):
                yield from self._hide(parts, where)
        for path in self._whiteouts:
            yield from self._whiteout(path)
        if not self._root_is_told:
            self.root.node = self._implied("/")
            self.depends_on_lower |= not _is_plain(self.root.node)

    def _put(self, entry: Entry, parts: list[str], where: str) -> Iterator[Change]:
        if not parts:
            yield self._put_root(entry, where)
        elif entry.kind == "char" and entry.device == (0, 0):
            return  # overlayfs would take it for a whiteout; no program has a use for it
        elif entry.kind == "hardlink":
            folder, path = yield from self._folder(parts[:-1], where)
            yield self._link(folder, f"{path}/{parts[-1]}", _parts(entry.target, where), where)
        else:
            folder, path = yield from self._folder(parts[:-1], where)
            node = _node(entry, where)
            self._set(folder, parts[-1], node)
            yield Put(f"{path}/{parts[-1]}", node, entry.data)

    def _put_root(self, entry: Entry, where: str) -> Change:
        if entry.kind != "dir":  # CVE-2021-29136
            raise HostileData(f"refusing {where}: it replaces the root folder by a {entry.kind}")
        self.root.node = _node(entry, where)
        self._root_is_told = True
        return Put("/", self.root.node)

    def _set(self, folder: Folder, name: str, node: Node) -> None:
        old = folder.children.get(name)
        if old is not None or node.kind != "file":
            self._known.clear()  # another path may lead elsewhere from now on
        if node.kind != "dir":
            folder.children[name] = node
        elif isinstance(old, Folder):
            old.node = node
        else:
            folder.children[name] = Folder(node)

    def _link(self, folder: Folder, path: str, parts: list[str], where: str) -> Change:
        if not parts or any(part.startswith(_WHITEOUT) for part in parts):
            raise HostileData(f"refusing {where}: it is a hard link of something that is no file")
        parts = [*self._resolve(parts[:-1], where), parts[-1]]
        target = "/" + "/".join(parts)
        own = self._own(parts)
        node = own or self._below(target)
        if node is None or isinstance(node, Folder) or node.kind == "dir" or f"{target}/".startswith(f"{path}/"):
            raise InvalidData(f"{where} is a hard link of `{target}`, where no other file is")
        self._set(folder, path.rpartition("/")[2], node)
        return Link(path, target) if own is not None else Copy(path, target, node)

    def _hide(self, parts: list[str], where: str) -> Iterator[Change]:
        *above, last = parts
        if any(part.startswith(_WHITEOUT) for part in above):
            raise InvalidData(f"{where} lies below a whiteout")
        name = last.removeprefix(_WHITEOUT)
        if last != _OPAQUE and name in ("", ".", ".."):
            raise HostileData(f"refusing {where}: it is a whiteout of nothing that can be named")
        folder, path = yield from self._folder(above, where)
        if last == _OPAQUE:
            folder.is_opaque = True
            yield Opaque(path or "/")
        else:
            self._whiteouts[f"{path}/{name}"] = None

    def _whiteout(self, path: str) -> Iterator[Change]:
        """A whiteout, unless the layer itself brings something there: its folder hides what was in the old one."""
        *above, name = path.split("/")[1:]
        folder, _ = yield from self._make(above)
        own = folder.children.get(name)
        if isinstance(own, Folder):
            own.is_opaque = True
            yield Opaque(path)
        elif own is None and not folder.is_opaque:  # in an opaque folder overlayfs would list it
            yield Whiteout(path)

    # Where a name leads

    def _folder(self, parts: list[str], where: str) -> Generator[Change, None, tuple[Folder, str]]:
        """The folder that the name means, and its path; what is missing of it is made."""
        name = "/".join(parts)
        if name not in self._known:
            self._known.clear()
            self._known[name] = yield from self._make(self._resolve(parts, where))
        return self._known[name]

    def _resolve(self, parts: list[str], where: str) -> list[str]:
        """Follow symbolic links as a process inside the image would: none leads out."""
        todo = parts[::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            done.append(part)
            node = self._own(done) or self._below("/" + "/".join(done))
            if isinstance(node, Folder) or node is None or node.kind != "symlink":
                continue
            links += 1
            if links > _LINK_LIMIT:
                raise InvalidData(f"{where} leads through more than {_LINK_LIMIT} symbolic links")
            done = [] if node.target.startswith("/") else done[:-1]
            todo += [part for part in reversed(node.target.split("/")) if part not in ("", ".")]
        return done

    def _make(self, parts: list[str]) -> Generator[Change, None, tuple[Folder, str]]:
        """The folder at a resolved path. One that no entry described is as in the layers below."""
        folder, path = self.root, ""
        for part in parts:
            path = f"{path}/{part}"
            child = folder.children.get(part)
            if not isinstance(child, Folder):
                node = self._implied(path)
                yield Put(path, node)
                child = Folder(node)
                folder.children[part] = child
            folder = child
        return folder, path

    def _implied(self, path: str) -> Node:
        below = self._lower.lstat(path) if path == "/" else self._below(path)
        return below._replace(mtime=0) if below and below.kind == "dir" else made_dir()

    def _own(self, parts: list[str]) -> Folder | Node | None:
        here: Folder | Node | None = self.root
        for part in parts:
            here = here.children.get(part) if isinstance(here, Folder) else None
        return here

    def _below(self, path: str) -> Node | None:
        """What lower layers have at a resolved path, if this one does not hide it."""
        own: Folder | Node | None = self.root
        here = ""
        for part in path.split("/")[1:]:
            here = f"{here}/{part}"
            if here in self._whiteouts or (isinstance(own, Folder) and own.is_opaque) or isinstance(own, Node):
                return None
            own = own.children.get(part) if own else None
        self.depends_on_lower = True
        return self._lower.lstat(path)


def _parts(name: str, where: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise HostileData(f"refusing {where}: `..` leads out of its folder")
    if len(parts) > _DEPTH_LIMIT:
        raise HostileData(f"refusing {where}: more than {_DEPTH_LIMIT} folders deep")
    if not name:
        raise InvalidData(f"{where} has no name")
    return parts


def _node(entry: Entry, where: str) -> Node:
    if entry.kind == "symlink" and not entry.target:
        raise InvalidData(f"{where} is a symbolic link to nothing")
    assert entry.kind != "hardlink"
    xattrs = tuple(item for item in entry.xattrs if not item[0].startswith(_FOREIGN_XATTRS))
    mode = 0o777 if entry.kind == "symlink" else entry.mode  # symlink(7): Linux knows no other
    return Node(entry.kind, mode, entry.uid, entry.gid, entry.mtime, entry.size, entry.target, entry.device, xattrs)


def _is_plain(folder: Node) -> bool:
    """Whether it is like a folder that we make."""
    return folder._replace(mtime=0) == made_dir()
