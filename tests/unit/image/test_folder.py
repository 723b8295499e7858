"""A Tree becomes a folder of this machine."""

import os
from pathlib import Path

from jettison.events import SILENT
from jettison.image.folder import write_tree
from jettison.tree.disk import read_tree
from jettison.tree.node import Bytes, Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree, open_content

SHARED = Node("file", 0o640, mtime=7, size=2, inode=(1, 1), content=Bytes(b"ab"))
NODES = {
    "/": made_dir()._replace(mtime=3),
    "/closed": made_dir(0o500)._replace(mtime=5),
    "/closed/a": SHARED,
    "/b": SHARED,
    "/empty": made_file(b""),
    "/link": made_symlink("../../etc"),
    "/pipe": Node("fifo", 0o600, mtime=9),
    "/zeros": made_file(bytes(1 << 21) + b"x"),
}
TREE = Tree({path: node._replace(uid=os.getuid(), gid=os.getgid()) for path, node in NODES.items()})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Kinds, modes, times, links and bytes; what was one file is one file."""
    write_tree(str(tmp_path), TREE, SILENT, "the image")

    found = read_tree(str(tmp_path))

    assert {path: described(node) for path, node in found.nodes.items()} == {p: described(n) for p, n in TREE.nodes.items()}
    for path, node in TREE.nodes.items():
        if node.kind == "file":
            with found.open(path) as ours, open_content(path, node) as theirs:
                assert ours.read() == theirs.read()
    assert found.nodes["/b"].inode == found.nodes["/closed/a"].inode is not None


def described(node: Node) -> Node:
    """Without where its bytes lie."""
    return node._replace(content=None, inode=None)
