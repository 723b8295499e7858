"""An image as a Tree: its layers applied in order, with true owners, modes and attributes.

The facts come from the layers' own archives, because only root's unpacking can keep owners; the bytes of files are opened in
the unpacked layers.
"""

from collections.abc import Iterator

from jettison.events import SILENT, Reporter
from jettison.image.changes import Changes, Copy, Folder, Whiteout
from jettison.image.image import Image, Layer
from jettison.image.rootfs import layer_entries, unpack
from jettison.image.store import LocalStore
from jettison.tree.node import HostFile, Node, made_dir
from jettison.tree.root import Tree, parents
from jettison.tree.untar import read_tar

Nodes = dict[str, Node]


class LayeredTree(Tree):
    """A Tree that remembers from which layer a path comes: `layers` has a number, 1 for the lowest, for each path."""

    def __init__(self, nodes: Nodes, layers: dict[str, int]) -> None:
        super().__init__(nodes)
        self.layers = layers


def image_tree(store: LocalStore, image: Image, reporter: Reporter = SILENT) -> LayeredTree:
    """The filesystem of an image; unpacks the layers that are not. Errors: NotFound, InvalidData, HostileData, HostError."""
    nodes: Nodes = {"/": made_dir()}
    layers: dict[str, int] = {}
    for number, (layer, folder) in enumerate(zip(image.layers, unpack(store, image, reporter), strict=True), 1):
        added, gone = _read_layer(store, layer, nodes, folder, number, f"layer {number} of {image.digest.short}")
        nodes = _without(nodes, added, gone) | added
        layers = {path: layers[path] for path in nodes if path in layers} | dict.fromkeys(added, number)
    return LayeredTree(nodes, layers)


def _read_layer(
    store: LocalStore, layer: Layer, lower: Nodes, folder: str, number: int, what: str
) -> tuple[Nodes, dict[str, bool]]:
    """What a layer adds; and what it takes away: True for a path with all below it, False for what is below it only."""
    changes = Changes(Tree(lower), what)
    gone: dict[str, bool] = {}
    copied: dict[str, Node] = {}
    with layer_entries(store, layer, what) as tar:
        for change in changes.of(read_tar(tar, what)):
            if isinstance(change, Whiteout):
                gone[change.path] = True
            elif isinstance(change, Copy):
                copied[change.path] = change.node
        tar.verify(layer.diff_id)
    added: Nodes = {}
    for path, item in _items(changes.root):
        if isinstance(item, Folder):
            added[path] = item.node
            if item.is_opaque:
                gone[path] = False
        else:
            added[path] = item
    return _with_bytes(added, copied, folder, number), gone


def _items(root: Folder) -> Iterator[tuple[str, Folder | Node]]:
    """All that a layer has, each folder before what is in it."""
    todo: list[tuple[str, Folder | Node]] = [("/", root)]
    while todo:
        path, item = todo.pop()
        yield path, item
        if isinstance(item, Folder):
            todo += [(f"{path.rstrip('/')}/{name}", child) for name, child in item.children.items()]


def _with_bytes(added: Nodes, copied: Nodes, folder: str, number: int) -> Nodes:
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
        result[path] = node._replace(inode=inode, content=HostFile(folder + path)) if node.kind == "file" else node
    return result


def _without(nodes: Nodes, added: Nodes, gone: dict[str, bool]) -> Nodes:
    """What a layer leaves of the layers below it."""
    replaced = {path for path, node in added.items() if node.kind != "dir" and path in nodes and nodes[path].kind == "dir"}
    hiding = replaced | gone.keys()
    if not hiding:
        return nodes
    return {path: node for path, node in nodes.items() if not gone.get(path) and hiding.isdisjoint(parents(path))}
