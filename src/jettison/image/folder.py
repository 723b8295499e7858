"""A Tree → a folder of this machine, by the way layers are unpacked: through descriptors, no link followed."""

from collections.abc import Iterator

from jettison.events import Reporter
from jettison.image.changes import Change, Copy, Folder, Link, Put
from jettison.image.unpack import Unpacker
from jettison.tree.node import made_dir
from jettison.tree.root import Tree


def write_tree(folder: str, tree: Tree, reporter: Reporter, what: str) -> None:
    """Write all of the tree into an empty folder. Errors: HostError, OSError."""
    root = Folder(tree.lstat("/") or made_dir())
    unpacker = Unpacker(folder, tree, reporter, what)
    try:
        for change in _changes(tree, root):
            unpacker.apply(change)
        unpacker.finish(root)
    finally:
        unpacker.close()


def _changes(tree: Tree, root: Folder) -> Iterator[Change]:
    """Each folder before what is in it; a file's further names as links. `root` grows by the folders."""
    first: dict[tuple[int, int], str] = {}
    todo = [("", root)]
    while todo:
        above, folder = todo.pop()
        for name in tree.listdir(above or "/"):
            path = f"{above}/{name}"
            node = tree.nodes[path]
            folder.children[name] = node
            if node.kind == "dir":
                folder.children[name] = below = Folder(node)
                todo.append((path, below))
            if node.inode and node.inode in first:
                yield Link(path, first[node.inode])
                continue
            if node.inode:
                first[node.inode] = path
            yield Copy(path, path, node) if node.kind == "file" else Put(path, node)
