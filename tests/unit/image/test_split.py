"""How a tree becomes layers."""

from jettison.image.split import split
from jettison.tree.node import Node, made_dir

MB = 1 << 20


def tree(count: int, size: int) -> dict[str, Node]:
    nodes = {f"/d{number % 10}/f{number:05d}": Node("file", 0o644, size=size) for number in range(count)}
    return nodes | {f"/d{number}": made_dir() for number in range(10)}


def test_a_small_tree_is_one_layer() -> None:
    """A program and its libraries are not cut up."""
    assert len(split(tree(100, 100_000))) == 1


def test_every_file_is_in_exactly_one_layer_with_its_folder() -> None:
    """Nothing is lost, nothing is there twice."""
    nodes = tree(5000, MB // 4)

    layers = split(nodes)

    files = [path for layer in layers for path, node in layer.items() if node.kind == "file"]
    assert len(layers) > 5
    assert sorted(files) == sorted(path for path, node in nodes.items() if node.kind == "file")
    assert all(path.rpartition("/")[0] in layer for layer in layers for path in layer if path.count("/") == 2)


def test_a_new_file_changes_one_layer() -> None:
    """The borders are decided by the paths, so the other layers stay as they are."""
    nodes = tree(5000, MB // 4)
    before = split(nodes)

    after = split(nodes | {"/d3/extra": Node("file", 0o644, size=5)})

    assert sum(layer not in before for layer in after) == 1


def test_hard_links_stay_together() -> None:
    """A link in another layer than its file could not be a link."""
    nodes = tree(2000, MB // 4)
    linked = {"/d0/a": Node("file", 0o644, size=MB, inode=(1, 1)), "/d9/z": Node("file", 0o644, size=MB, inode=(1, 1))}

    homes = [number for number, layer in enumerate(split(nodes | linked)) if "/d0/a" in layer or "/d9/z" in layer]

    assert len(homes) == 1


def test_there_are_never_more_layers_than_runtimes_take() -> None:
    """Also a terabyte fits into 127 layers."""
    assert len(split(tree(10_000, 100 * MB))) < 127
