"""Unpacking layers: what comes out, and that nothing a layer says changes anything outside its folder."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

import pytest

from jettison.errors import InvalidData, JettisonError
from jettison.image.image import Image
from jettison.image.merged import MergedLayers
from jettison.image.rootfs import prepare, unpack
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.oci.digest import Digest
from making import Item, Notices, dirs, image, tar

SECRET = "the secret outside"


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that attacks aim at; also the current one."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    (folder / "secret.txt").chmod(0o600)
    monkeypatch.chdir(folder)
    return folder


def shown(store: LocalStore, made: Image) -> dict[str, str]:
    """What the image has: path → kind, and a link's target or a file's bytes. The tree and the unpacked layers must agree."""
    tree = image_tree(store, made)
    root = MergedLayers(unpack(store, made))
    result = {}
    for path, node in tree.nodes.items():
        found = root.lstat(path)
        assert found is not None, f"{path} is not unpacked"
        assert (found.kind, found.mode, found.target, found.size) == (node.kind, node.mode, node.target, node.size), path
        if node.kind == "file":
            with tree.open(path) as one, root.open(path) as other:
                text = one.read()
                assert text == other.read(), path
            result[path] = text.decode()
        else:
            result[path] = node.target or node.kind
    assert listed(root, "/") == set(result) - {"/"}
    return result


def listed(root: MergedLayers, folder: str) -> set[str]:
    found = set()
    for name in root.listdir(folder):
        path = f"{folder.rstrip('/')}/{name}"
        node = root.lstat(path)
        assert node is not None
        found |= {path} | (listed(root, path) if node.kind == "dir" else set())
    return found


class Shape(NamedTuple):
    """Layers, and what is at some paths afterwards (None: nothing)."""

    layers: list[list[Item]]
    expected: dict[str, str | None]


def file(name: str, text: str = "x") -> Item:
    return Item("file", name, text)


def link(name: str, target: str) -> Item:
    return Item("symlink", name, target)


def hard(name: str, target: str) -> Item:
    return Item("hardlink", name, target)


BASE = [*dirs("d", "d/e"), file("d/a", "1"), file("d/b", "2"), file("d/e/c", "3"), file("f", "4")]

SHAPES = {
    "names with dots and slashes": Shape([[file("./a/././b"), file("/c"), *dirs("./")]], {"/a/b": "x", "/c": "x"}),
    "names that are no UTF-8": Shape([[file("\udcff\udcfe")]], {"/\udcff\udcfe": "x"}),
    "twins in upper and lower case, NFC and NFD": Shape(
        [[file("a"), file("A", "y"), file("\u00e9"), file("e\u0301", "z")]], {"/A": "y", "/\u00e9": "x"}
    ),
    "folders that no entry names": Shape([[file("a/b/c")]], {"/a": "dir", "/a/b": "dir", "/a/b/c": "x"}),
    "the same name twice": Shape([[file("a", "1"), file("a", "2")]], {"/a": "2"}),
    "a folder replaced by a file": Shape([[*dirs("a"), file("a/b"), file("a", "y")]], {"/a": "y", "/a/b": None}),
    "a file replaced by a folder": Shape([[file("a"), *dirs("a"), file("a/b")]], {"/a/b": "x"}),
    "a file that is a folder of the next": Shape([[file("a"), file("a/b")]], {"/a": "dir", "/a/b": "x"}),
    "a link replaced by a folder": Shape([[link("a", "/etc"), *dirs("a"), file("a/b")]], {"/a": "dir", "/etc": None}),
    "a folder replaced by a link": Shape([[*dirs("a", "b"), file("a/x"), link("a", "b")]], {"/a": "b", "/b/x": None}),
    "a folder's entry twice": Shape([[*dirs("a"), file("a/x"), Item("dir", "a", mode=0o700)]], {"/a/x": "x"}),
    # Links are followed inside the image, as a process in it would.
    "through an absolute link": Shape([[link("l", "/etc"), file("l/passwd")]], {"/etc/passwd": "x", "/l": "/etc"}),
    "through a relative link": Shape([[*dirs("a/b"), link("a/l", "b"), file("a/l/x")]], {"/a/b/x": "x"}),
    "through a link that climbs": Shape([[link("l", "../../../../.."), file("l/x")]], {"/x": "x"}),
    "through chained links": Shape([[link("a", "b"), link("b", "/c"), file("a/x")]], {"/c/x": "x"}),
    "through a link of a lower layer": Shape(
        [[*dirs("usr", "usr/lib"), link("lib", "usr/lib"), file("usr/lib/old")], [file("lib/new")]],
        {"/lib": "usr/lib", "/usr/lib/new": "x", "/usr/lib/old": "x"},
    ),
    "over a link": Shape([[link("a", "/etc/passwd"), file("a")]], {"/a": "x", "/etc": None}),
    "a link over a link": Shape([[link("a", "x"), link("a", "y")]], {"/a": "y"}),
    # Hard links.
    "hard link": Shape([[file("a"), hard("b", "a"), hard("c/d", "./a"), hard("e", "/a")]], {"/b": "x", "/c/d": "x", "/e": "x"}),
    "hard link of a link": Shape([[link("a", "secret.txt"), hard("b", "a")]], {"/b": "secret.txt"}),
    "hard link through a link": Shape([[*dirs("d"), file("d/x"), link("l", "d"), hard("b", "l/x")]], {"/b": "x"}),
    "hard link over a file": Shape([[file("a"), file("b", "y"), hard("b", "a")]], {"/b": "x"}),
    "hard link into a lower layer": Shape([[file("a", "low")], [hard("b", "a")]], {"/a": "low", "/b": "low"}),
    "hard link of a lower link": Shape([[link("a", "t")], [hard("b", "a")]], {"/b": "t"}),
    # Whiteouts.
    "whiteout": Shape([BASE, [*dirs("d"), file("d/.wh.a")]], {"/d/a": None, "/d/b": "2"}),
    "whiteout of a folder": Shape([BASE, [file(".wh.d")]], {"/d": None, "/d/e/c": None, "/f": "4"}),
    "whiteout of nothing": Shape([BASE, [file(".wh.nothing")]], {"/nothing": None, "/f": "4"}),
    "whiteout and what replaces it": Shape([BASE, [file(".wh.f"), file("f", "new")]], {"/f": "new"}),
    "whiteout after what replaces it": Shape([BASE, [file("f", "new"), file(".wh.f")]], {"/f": "new"}),
    "whiteout of a folder that is made anew": Shape(
        [BASE, [file(".wh.d"), *dirs("d"), file("d/n")]], {"/d/n": "x", "/d/a": None, "/d/e": None}
    ),
    "whiteout after the folder that is made anew": Shape(
        [BASE, [*dirs("d"), file("d/n"), file(".wh.d")]], {"/d/n": "x", "/d/a": None}
    ),
    "whiteout of what the same layer brings elsewhere": Shape([[file("a")], [file("b"), file(".wh.a")]], {"/a": None, "/b": "x"}),
    "whiteout with a payload": Shape([BASE, [file(".wh.f", "payload")]], {"/f": None}),
    "whiteout that is a folder": Shape([BASE, dirs(".wh.f")], {"/f": None}),
    "whiteout through a link": Shape([BASE, [link("l", "d"), file("l/.wh.a")]], {"/d/a": None, "/d/b": "2"}),
    "whiteout of a link": Shape([[link("l", "/etc"), file("etc/x")], [file(".wh.l")]], {"/l": None, "/etc/x": "x"}),
    "opaque": Shape(
        [BASE, [*dirs("d"), file("d/.wh..wh..opq"), file("d/n")]], {"/d/a": None, "/d/e": None, "/d/n": "x", "/f": "4"}
    ),
    "opaque after the contents": Shape([BASE, [*dirs("d"), file("d/n"), file("d/.wh..wh..opq")]], {"/d/a": None, "/d/n": "x"}),
    "opaque and a whiteout in it": Shape(
        [BASE, [file("d/.wh..wh..opq"), file("d/.wh.a")]], {"/d/a": None, "/d/b": None, "/d": "dir"}
    ),
    "opaque root": Shape([BASE, [file(".wh..wh..opq"), file("n")]], {"/d": None, "/f": None, "/n": "x"}),
    "back after a whiteout": Shape([BASE, [file(".wh.d")], [file("d/a", "back")]], {"/d/a": "back", "/d/b": None}),
    "a file over a folder": Shape([BASE, [file("d", "file")]], {"/d": "file", "/d/a": None}),
    "a folder over a file": Shape([BASE, [*dirs("f"), file("f/x")]], {"/f/x": "x"}),
    "a folder over a link": Shape([[link("l", "d"), *dirs("d")], [*dirs("l"), file("l/x")]], {"/l/x": "x", "/d/x": None}),
    "aufs' own books": Shape([[file("a"), *dirs(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs")]], {"/a": "x"}),
    "the mode of a lower folder": Shape([[Item("dir", "tmp", mode=0o1777)], [file("tmp/x")]], {"/tmp": "dir", "/tmp/x": "x"}),
    "the same layer twice": Shape([[file("a")], [file(".wh.a")], [file("a")]], {"/a": "x"}),
    "no layer": Shape([], {"/": "dir"}),
    "an empty layer": Shape([[]], {"/": "dir"}),
    "a raw overlay whiteout": Shape([BASE, [Item("char", "f")]], {"/f": "4"}),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case: str, local: LocalStore, outside: Path) -> None:
    """Each shape gives what a process in the image would see; the unpacked layers and the tree agree; nothing outside changes."""
    shape = SHAPES[case]
    made = image(local, *(tar(*items) for items in shape.layers))

    result = shown(local, made)

    assert {path: result.get(path) for path in shape.expected} == shape.expected
    assert untouched(outside)


REFUSED = {
    "..": [file("../x")],
    "up and down": [file("a/../../x")],
    "far up": [file("../" * 30 + "tmp/x")],
    "only up": [file("..")],
    "a folder up": dirs(".."),
    "a link up": [link("..", "x")],
    "up at the end": [*dirs("a"), file("a/..")],
    "no name": [file("")],
    "the root is a file": [file("./")],
    "the root is a link": [link("/.", "/etc")],
    "the root is a FIFO": [Item("fifo", ".")],
    "the root is a hard link": [file("a"), hard(".", "a")],
    "a link to nothing": [link("a", "")],
    "a loop of links": [link("a", "b"), link("b", "a"), file("a/x")],
    "a link to itself": [link("a", "a"), file("a/x")],
    "hard link up": [hard("b", "../secret.txt")],
    "hard link to the current folder": [hard("b", "secret.txt")],
    "hard link by an absolute path": [hard("b", "/etc/passwd")],
    "hard link through a link out": [link("l", "/etc"), hard("b", "l/passwd")],
    "hard link before its target": [hard("b", "a"), file("a")],
    "hard link of a folder": [*dirs("d"), hard("b", "d")],
    "hard link of itself": [file("a"), hard("a", "a")],
    "hard link of the root": [hard("b", "/")],
    "hard link of a whiteout": [file(".wh.a"), hard("b", ".wh.a")],
    "hard link that removes its target": [*dirs("a"), file("a/b"), hard("a", "a/b")],
    "hard link to nothing": [hard("b", "")],
    "whiteout of nothing": [file(".wh.")],
    "whiteout of this folder": [file("d/.wh..")],
    "whiteout of the folder above": [file("d/.wh...")],
    "below a whiteout": [file(".wh.y/.wh.x")],
    "very deep": [file("d/" * 300 + "x")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_shapes(case: str, local: LocalStore, outside: Path) -> None:
    """Each is an error that names the layer; no layer appears, nothing is left over, nothing outside changes."""
    made = image(local, tar(*REFUSED[case]))

    with pytest.raises(InvalidData, match=f"layer 1 of {made.digest.short}"):
        prepare(local, made.digest)

    assert os.listdir(f"{local.path}/layers") == os.listdir(f"{local.path}/tmp") == os.listdir(f"{local.path}/run") == []
    assert untouched(outside)
    with pytest.raises(InvalidData):
        image_tree(local, made)


def untouched(outside: Path) -> bool:
    secret = outside / "secret.txt"
    info = secret.stat()
    return (
        os.listdir(outside) == ["secret.txt"]
        and (stat.S_IMODE(info.st_mode), info.st_nlink) == (0o600, 1)
        and secret.read_text() == SECRET
    )


def test_modes_are_exact_under_any_umask(local: LocalStore) -> None:
    """Also of folders without rights, which are closed when all is in them; times too. Without root, setuid is dropped."""
    made = image(
        local,
        tar(
            Item("dir", "t", mode=0o1777, mtime=5),
            Item("dir", "closed", mode=0o000, mtime=6),
            Item("file", "closed/s", "x", mode=0o4755, mtime=-7),
            Item("file", "none", mode=0o000),
        ),
    )
    old = os.umask(0o777)
    try:
        [folder] = unpack(local, made)
    finally:
        os.umask(old)

    is_root = os.geteuid() == 0
    found = {name: os.lstat(f"{folder}/{name}") for name in ("t", "closed", "none")}
    assert [stat.S_IMODE(info.st_mode) for info in found.values()] == [0o1777, 0o000, 0o000]
    assert [int(found[name].st_mtime) for name in ("t", "closed")] == [5, 6]
    os.chmod(f"{folder}/closed", 0o700)
    info = os.lstat(f"{folder}/closed/s")
    assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (0o4755 if is_root else 0o755, -7)


def test_other_users_cannot_reach_a_layer(local: LocalStore) -> None:
    """The store is closed to others, so that no setuid program of an image is theirs (CVE-2021-41091)."""
    image(local, tar())

    assert stat.S_IMODE(os.stat(local.path).st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["trusted.overlay.redirect", "user.overlay.redirect", "user.overlay.opaque", "user.overlay.metacopy"]
)
def test_overlay_attributes_are_not_smuggled_in(name: str, local: LocalStore) -> None:
    """overlayfs would obey them: redirect reads into another layer's folder, hide what is below."""
    made = image(local, tar(*dirs("d"), file("d/x")), tar(Item("dir", "d", pax={f"SCHILY.xattr.{name}": "y"})))

    folders = unpack(local, made)

    assert os.listxattr(f"{folders[1]}/d") == []
    assert shown(local, made)["/d/x"] == "x"
    assert all(not node.xattrs for node in image_tree(local, made).nodes.values())


def test_user_attributes_are_kept(local: LocalStore) -> None:
    """Of files and folders."""
    attributes = {"SCHILY.xattr.user.colour": "blue"}
    made = image(local, tar(Item("dir", "d", pax=attributes), Item("file", "d/f", pax=attributes)))

    [folder] = unpack(local, made)

    assert [os.getxattr(f"{folder}/{name}", "user.colour") for name in ("d", "d/f")] == [b"blue"] * 2


def test_holes_stay_holes(local: LocalStore) -> None:
    """A megabyte of zeros takes no place on the disk."""
    made = image(local, tar(Item("file", "zeros", bytes(4 << 20)), Item("file", "end", bytes(2 << 20) + b"end")))

    [folder] = unpack(local, made)

    assert os.stat(f"{folder}/zeros").st_size == 4 << 20
    assert os.stat(f"{folder}/zeros").st_blocks == 0
    assert Path(folder, "end").read_bytes() == bytes(2 << 20) + b"end"


def test_a_layer_that_leans_on_others_is_not_lent(local: LocalStore) -> None:
    """The same layer over other layers means something else: one image never gets another one's files."""
    leaning = tar(hard("b", "a"))
    evil, good = image(local, tar(file("a", "evil")), leaning), image(local, tar(file("a", "good")), leaning)

    assert shown(local, evil)["/b"] == "evil"
    assert shown(local, good)["/b"] == "good"


def test_what_is_below_counts_whoever_came_first(local: LocalStore) -> None:
    """A file in a folder that its layer does not describe: the folder is a link in one image and nothing in the other."""
    leaning = tar(file("lib/new"))
    alone = image(local, tar(file("a")), leaning)
    merged = image(local, tar(*dirs("usr", "usr/lib"), link("lib", "usr/lib")), leaning)

    assert shown(local, alone)["/lib"] == "dir"
    assert shown(local, merged)["/lib"] == "usr/lib"
    assert shown(local, merged)["/usr/lib/new"] == "x"


def test_a_wrong_diff_id_is_refused(local: LocalStore) -> None:
    """The bytes in the tar archive must be those that the config names; nothing appears before that is certain."""
    good, other = tar(file("a")), tar(file("b"))
    made = image(local, good)
    evil = image(local, other)
    raw_config = evil.raw_config.replace(evil.config.diff_ids[0].hex.encode(), made.config.diff_ids[0].hex.encode())
    raw_manifest = evil.raw_manifest.replace(str(evil.manifest.config.digest).encode(), str(Digest.of(raw_config)).encode())
    lying = Image(raw_manifest, raw_config)
    for data in (raw_config, raw_manifest):
        local.put(data)

    with pytest.raises(InvalidData, match="its config says"):
        prepare(local, lying.digest)

    assert os.listdir(f"{local.path}/layers") == []


def test_a_wrong_size_is_refused(local: LocalStore) -> None:
    """A layer's blob has exactly the length that its manifest says."""
    made = image(local, tar(file("a")), compress=False)
    size = made.manifest.layers[0].size
    raw_manifest = made.raw_manifest.replace(f'"size":{size}'.encode(), f'"size":{size - 1}'.encode())
    local.put(raw_manifest)

    with pytest.raises(InvalidData, match="its manifest says"):
        prepare(local, Digest.of(raw_manifest))


def test_bytes_behind_the_archive_count(local: LocalStore) -> None:
    """The diff id is that of all bytes, also of those behind the end of the tar archive."""
    made = image(local, tar(file("a")) + b"behind" * 1000)

    assert shown(local, made)["/a"] == "x"


def test_what_is_there_is_not_unpacked_again(local: LocalStore) -> None:
    """Idempotent; a layer that images share is unpacked once."""
    shared = tar(file("a"))
    one, two = image(local, shared), image(local, shared, tar(file("b")))
    [folder] = unpack(local, one)
    before = os.stat(folder)

    folders = unpack(local, two)

    assert folders[0] == folder
    assert os.stat(folder) == before
    assert prepare(local, two.digest) == prepare(local, two.digest)


def test_special_files(local: LocalStore) -> None:
    """A FIFO is made; a device only by root; neither is ever opened."""
    notices = Notices()
    made = image(local, tar(Item("fifo", "p"), Item("fifo", "p"), Item("block", "sda", device=(8, 0)), hard("sdb", "sda")))

    [folder] = unpack(local, made, notices)

    assert stat.S_ISFIFO(os.lstat(f"{folder}/p").st_mode)
    assert os.path.lexists(f"{folder}/sda") == os.path.lexists(f"{folder}/sdb") == (not notices.said)


def test_errors_are_ours(local: LocalStore) -> None:
    """A blob that is gone is an error with a name, not a traceback."""
    made = image(local, tar(file("a")))
    local.delete(made.manifest.layers[0].digest)

    with pytest.raises(JettisonError, match="no blob"):
        prepare(local, made.digest)
