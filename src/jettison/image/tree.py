"""An image as a Tree: its layers applied in order, with true owners, modes and attributes.

Facts and bytes come from the layers' own archives, where they lie: nothing is unpacked.
"""

import tempfile
from collections.abc import Callable, Iterator

from jettison.errors import InvalidData
from jettison.events import SILENT, Reporter
from jettison.image.changes import Changes, Copy, Folder, Put, Whiteout
from jettison.image.image import Image
from jettison.image.inplace import Held, InPlace, Slice, Spooled, plain, whole
from jettison.image.store import LocalStore
from jettison.image.verified import TarStream, size_limit
from jettison.oci.digest import Digest
from jettison.tree.node import Node, made_dir
from jettison.tree.root import Tree, parents
from jettison.tree.untar import Data, Source, read_tar

Nodes = dict[str, Node]


class LayeredTree(Tree):
    """A Tree that remembers from which layer a path comes: `layers` has a number, 1 for the lowest, for each path."""

    def __init__(self, nodes: Nodes, layers: dict[str, int]) -> None:
        super().__init__(nodes)
        self.layers = layers


def image_tree(store: LocalStore, image: Image, reporter: Reporter = SILENT) -> LayeredTree:
    """The filesystem of an image of the store. Errors: NotFound, InvalidData, HostileData, HostError."""
    with store.writing():
        return layered_tree(image, lambda digest: _stored(store, digest), spool(store), reporter)


def _stored(store: LocalStore, digest: Digest) -> Slice:
    with store.open(digest) as file:
        return whole(file)


def spool(store: LocalStore) -> Held:
    """A file without a name, for what is decompressed; gone with its last reader. Only while `writing`."""
    with tempfile.TemporaryFile(dir=f"{store.path}/tmp") as file:
        return Held(file)


def layered_tree(
    image: Image, blob: Callable[[Digest], Slice], spooled: Held, reporter: Reporter = SILENT, is_hashed: bool = False
) -> LayeredTree:
    """The filesystem of an image whose blobs `blob` finds; every layer is verified, but what needs no decompression and has its
    digest from its bytes, as `is_hashed` says. Errors: InvalidData, HostileData."""
    nodes: Nodes = {"/": made_dir()}
    layers: dict[str, int] = {}
    for number, layer in enumerate(image.layers, 1):
        what = f"layer {number} of {image.digest.short}"
        found = blob(layer.descriptor.digest)
        if found.size != layer.descriptor.size:
            raise InvalidData(f"{what} is {found.size} bytes, its manifest says {layer.descriptor.size}")
        kept = plain(found, spooled, what, reporter)
        is_verified = is_hashed and layer.descriptor.digest == layer.diff_id
        tar = kept if is_verified and isinstance(kept, InPlace) else TarStream(kept, what, size_limit(found.size))
        added, gone = _read_layer(kept, tar, Changes(Tree(nodes), what), number)
        if isinstance(tar, TarStream):
            tar.verify(layer.diff_id)
        nodes = _without(nodes, added, gone) | added
        layers = {path: layers[path] for path in nodes if path in layers} | dict.fromkeys(added, number)
    return LayeredTree(nodes, layers)


def _read_layer(kept: InPlace | Spooled, tar: Source, changes: Changes, number: int) -> tuple[Nodes, dict[str, bool]]:
    """What a layer adds; and what it takes away: True for a path with all below it, False for what is below it only."""
    gone: dict[str, bool] = {}
    copied: dict[str, Node] = {}
    contents: dict[int, tuple[Node, Slice]] = {}  # the Node is kept, so that its id stays its own
    for change in changes.of(read_tar(tar, changes.what)):
        if isinstance(change, Whiteout):
            gone[change.path] = True
        elif isinstance(change, Copy):
            copied[change.path] = change.node
        elif isinstance(change, Put) and change.data is not None:
            contents[id(change.node)] = change.node, _lying(kept, change.data, change.node.size)
    added: Nodes = {}
    for path, item in _items(changes.root):
        if isinstance(item, Folder):
            added[path] = item.node
            if item.is_opaque:
                gone[path] = False
        else:
            added[path] = item
    return _with_bytes(added, copied, contents, number), gone


def _lying(kept: InPlace | Spooled, data: Data, size: int) -> Slice:
    """Where the bytes of the entry lie that comes next in a stream."""
    here = kept.here
    extents = []
    for offset, length in data.extents:
        extents.append((offset, here, length))
        here += length
    return Slice(kept.file, tuple(extents), size)


def _items(root: Folder) -> Iterator[tuple[str, Folder | Node]]:
    """All that a layer has, each folder before what is in it."""
    todo: list[tuple[str, Folder | Node]] = [("/", root)]
    while todo:
        path, item = todo.pop()
        yield path, item
        if isinstance(item, Folder):
            todo += [(f"{path.rstrip('/')}/{name}", child) for name, child in item.children.items()]


def _with_bytes(added: Nodes, copied: Nodes, contents: dict[int, tuple[Node, Slice]], number: int) -> Nodes:
    """The nodes with their bytes, and with what they share as hard links."""
    names: dict[int, int] = {}
    for node in added.values():
        names[id(node)] = names.get(id(node), 0) + 1
    result: Nodes = {}
    inodes: dict[int, int] = {}
    for path, node in added.items():
        if path in copied and copied[path] is node:
            result[path] = node
            continue
        inode = (number, inodes.setdefault(id(node), len(inodes))) if names[id(node)] > 1 else None
        result[path] = node._replace(inode=inode, content=contents[id(node)][1]) if node.kind == "file" else node
    return result


def _without(nodes: Nodes, added: Nodes, gone: dict[str, bool]) -> Nodes:
    """What a layer leaves of the layers below it."""
    replaced = {path for path, node in added.items() if node.kind != "dir" and path in nodes and nodes[path].kind == "dir"}
    hiding = replaced | gone.keys()
    if not hiding:
        return nodes
    return {path: node for path, node in nodes.items() if not gone.get(path) and hiding.isdisjoint(parents(path))}
