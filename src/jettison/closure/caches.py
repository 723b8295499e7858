"""Caches that are made anew of what came into the image: the Root's own would name files that are not there.

A new one is a function in the table: the image's files, a Tree → path → the node that lies there.
"""

from collections.abc import Callable, Mapping

from jettison.tree.node import Node
from jettison.tree.root import Tree

REGENERATE: dict[str, Callable[[Tree], Mapping[str, Node]]] = {}
