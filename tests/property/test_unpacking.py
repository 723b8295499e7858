"""Laws of layers, whatever is in them."""

import os
import tempfile
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import InvalidData
from jettison.image.merged import MergedLayers
from jettison.image.rootfs import unpack
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from making import Item, image, tar

NAMES = st.lists(st.sampled_from(["a", "b", "c", ".wh.a", ".wh.b", ".wh..wh..opq", "."]), min_size=1, max_size=4).map("/".join)
TARGETS = st.one_of(NAMES, NAMES.map("/{}".format))
ITEMS = st.one_of(
    st.tuples(NAMES, st.sampled_from(["", "x", "yy"])).map(lambda pair: Item("file", *pair)),
    st.tuples(NAMES, st.sampled_from([0o755, 0o700, 0o1777])).map(lambda pair: Item("dir", pair[0], mode=pair[1])),
    st.tuples(st.sampled_from(["symlink", "hardlink"]), NAMES, TARGETS).map(lambda triple: Item(*triple)),
    NAMES.map(lambda name: Item("fifo", name)),
)


def walk(root: MergedLayers, folder: str = "") -> Iterator[str]:
    for name in root.listdir(folder or "/"):
        path = f"{folder}/{name}"
        yield path
        node = root.lstat(path)
        if node is not None and node.kind == "dir":
            yield from walk(root, path)


@given(st.lists(st.lists(ITEMS, max_size=8), min_size=1, max_size=3))
def test_the_tree_and_the_folders_agree(layers: list[list[Item]]) -> None:
    """An image seen as a Tree and its unpacked layers are the same, or both are refused; nothing is written outside the store."""
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(f"{folder}/store")
        made = image(store, *(tar(*items) for items in layers))
        try:
            root = MergedLayers(unpack(store, made))
        except InvalidData:
            assert os.listdir(f"{store.path}/tmp") == os.listdir(f"{store.path}/layers") == []
            return
        tree = image_tree(store, made)

        assert sorted(walk(root)) == sorted(path for path in tree.nodes if path != "/")
        for path, node in tree.nodes.items():
            found = root.lstat(path)
            assert found is not None
            assert (found.kind, found.mode, found.target, found.size) == (node.kind, node.mode, node.target, node.size), path
            if node.kind == "file":
                with root.open(path) as one, tree.open(path) as other:
                    assert one.read() == other.read(), path
        assert os.listdir(folder) == ["store"]
