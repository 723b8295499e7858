"""A folder of this machine → a Tree."""

from jettison.tree.node import Node, made_dir
from jettison.tree.root import DirectoryRoot, Tree


def read_tree(base: str) -> Tree:
    """Everything below `base`, links not followed; contents are read when asked for. Errors: NotFound, HostError."""
    root = DirectoryRoot(base)
    nodes: dict[str, Node] = {"/": root.lstat("/") or made_dir()}
    todo = [""]
    while todo:
        folder = todo.pop()
        for name in root.listdir(folder or "/"):
            path = f"{folder}/{name}"
            node = root.lstat(path)
            if node is None:
                continue
            nodes[path] = node
            if node.kind == "dir":
                todo.append(path)
    return Tree(nodes)
