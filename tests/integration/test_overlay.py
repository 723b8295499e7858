"""The kernel judges the unpacked layers: mounted, they are what we say they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jettison.image.merged import MergedLayers
from jettison.image.record import record_layers
from jettison.image.rootfs import prepare, unpack
from jettison.image.store import LocalStore
from making import Item, dirs, image, tar

LAYERS = (
    [
        *dirs("d", "d/e", "kept"),
        Item("file", "d/a", "1"),
        Item("file", "d/e/c", "2"),
        Item("file", "f", "3", owner=(5, 6), mode=0o4755),
        Item("symlink", "lib", "d"),
        Item("file", "kept/x", "4"),
    ],
    [*dirs("d"), Item("file", "d/.wh.a"), Item("file", ".wh.kept"), Item("file", "lib/through", "5"), Item("hardlink", "g", "f")],
    [
        *dirs("d", "d/e"),
        Item("file", "d/e/.wh..wh..opq"),
        Item("file", "d/e/new", "6"),
        *dirs("kept"),
        Item("file", "kept/y", "7"),
    ],
    [Item("file", "top", bytes(1 << 20)), Item("file", ".wh.nothing")],
)

LOOK = """
import os, sys
for folder, folders, files in os.walk(sys.argv[1]):
    for name in folders + files:
        path = os.path.join(folder, name)
        info = os.lstat(path)
        content = os.readlink(path) if os.path.islink(path) else "" if os.path.isdir(path) else open(path).read()[:10]
        print(repr((path.removeprefix(sys.argv[1]), oct(info.st_mode), info.st_uid, info.st_gid, content)))
"""


@pytest.mark.parametrize("count", [2, 3, 4])
def test_an_overlay_mount_shows_what_we_say(count: int, root: None, tmp_path: Path) -> None:
    """Whiteouts, opaque folders, hard links into other layers, owners and modes, seen through overlayfs with `userxattr`."""
    store = LocalStore(str(tmp_path / "store"))
    made = image(store, *(tar(*items) for items in LAYERS[:count]))
    layers = record_layers(prepare(store, made.digest))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    lower = ":".join(f"{store.path}/layers/{layer}" for layer in reversed(layers))
    script = f"mount -t overlay -o ro,userxattr,lowerdir={lower} overlay {mounted} && exec {sys.executable} - {mounted}"

    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], input=LOOK, capture_output=True, text=True, check=True
    ).stdout

    assert sorted(said.splitlines()) == sorted(_lines(MergedLayers(unpack(store, made)), "/"))
    assert os.listdir(mounted) == []


def _lines(merged: MergedLayers, folder: str) -> list[str]:
    lines = []
    kinds = {"dir": 0o40000, "file": 0o100000, "symlink": 0o120000}
    for name in merged.listdir(folder):
        path = f"{folder.rstrip('/')}/{name}"
        node = merged.lstat(path)
        assert node is not None
        content = node.target
        if node.kind == "file":
            with merged.open(path) as stream:
                content = stream.read(10).decode()
        lines.append(repr((path, oct(node.mode | kinds[node.kind]), node.uid, node.gid, content)))
        lines += _lines(merged, path) if node.kind == "dir" else []
    return lines
