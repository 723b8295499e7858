"""A tree → the layers it is shipped in: a change of one file changes one small layer, and the others keep their digests.

Layers are runs of paths in order. Where one ends is decided by the paths, not by counting from the start, so that a new file
moves no border but its own. A small tree is one layer.
"""

import zlib
from collections.abc import Mapping

from jettison.tree.node import Node
from jettison.tree.root import parents

_SMALLEST_BYTES = 32 << 20
_LAYERS = 32  # about as many layers at most: overlayfs and docker take up to 127
_CUT_EVERY = 64  # one path in so many may end a layer


def split(nodes: Mapping[str, Node]) -> list[dict[str, Node]]:
    """The layers of a tree, each with the folders its paths lie in. Hard links of one file stay together."""
    total = sum(node.size for node in nodes.values())
    smallest = _SMALLEST_BYTES
    while smallest * _LAYERS < total:  # doubled, so that a tree that grows a little keeps its borders
        smallest *= 2
    number_of: dict[tuple[int, int], int] = {}
    layers: list[dict[str, Node]] = [{}]
    used = 0
    for path in sorted(nodes):
        node = nodes[path]
        if used >= smallest and (zlib.crc32(path.encode("utf-8", "surrogateescape")) % _CUT_EVERY == 0 or used >= 4 * smallest):
            layers.append({})
            used = 0
        used += node.size
        home = len(layers) - 1 if node.inode is None else number_of.setdefault(node.inode, len(layers) - 1)
        layers[home].update({folder: nodes[folder] for folder in parents(path) if folder in nodes})
        layers[home][path] = node
    return [layer for layer in layers if layer] or [{}]
