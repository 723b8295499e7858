"""Places in a world whose image lies about them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jettison.sandbox.enter import Failure
from jettison.sandbox.places import is_folder, make_folder, mount_point, own_mount_point


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a world's root folder, `world` in the test's own."""
    (tmp_path / "world").mkdir()
    descriptor = os.open(tmp_path / "world", os.O_PATH)
    yield descriptor
    os.close(descriptor)


def where(descriptor: int, base: Path) -> str:
    """What a descriptor is one of, seen from the root folder."""
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    return path.removeprefix(f"{base}/world") or "/"


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, "/", "/"),
        ({}, "/a/b/c", "/a/b/c"),
        ({}, "//a/./b/", "/a/b"),
        ({}, "/../../a", "/a"),
        ({"l": "/there"}, "/l/x", "/there/x"),
        ({"l": "there/deep"}, "/l/x", "/there/deep/x"),
        ({"l": "../../../out"}, "/l", "/out"),
        ({"l": "m", "m": "/n", "n": "../o/p"}, "/l/x", "/o/p/x"),
        ({"l": "/proc/self/root"}, "/l/x", "/proc/self/root/x"),
    ],
)
def test_a_folder_is_made_inside(root: int, tmp_path: Path, links: dict[str, str], path: str, expected: str) -> None:
    """Links lead where a program in the world would see them lead, also those to nothing."""
    for name, target in links.items():
        (tmp_path / "world" / name).symlink_to(target)

    assert where(make_folder(root, path), tmp_path) == expected
    assert sorted(each.name for each in tmp_path.iterdir()) == ["world"]


def test_a_folder_that_is_there_is_kept(root: int, tmp_path: Path) -> None:
    """With its mode and what lies in it."""
    (tmp_path / "world/a").mkdir(mode=0o700)

    os.close(make_folder(root, "/a/b"))

    assert (tmp_path / "world/a").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("links", [{"l": "l/x"}, {"l": "m/x", "m": "l"}])
def test_circles_end(root: int, tmp_path: Path, links: dict[str, str]) -> None:
    """In an error."""
    for name, target in links.items():
        (tmp_path / "world" / name).symlink_to(target)

    with pytest.raises((OSError, Failure)):
        make_folder(root, "/l/x")


def test_a_file_is_no_folder(root: int, tmp_path: Path) -> None:
    """The error is the kernel's."""
    (tmp_path / "world/f").write_text("")

    with pytest.raises(NotADirectoryError):
        make_folder(root, "/f/x")


def test_a_place_for_a_file(root: int, tmp_path: Path) -> None:
    """An empty file is made where nothing is; what is there stays."""
    (tmp_path / "world/old").write_text("x")

    assert where(mount_point(root, "/a/new", is_folder=False), tmp_path) == "/a/new"
    assert where(mount_point(root, "/old", is_folder=False), tmp_path) == "/old"
    assert (tmp_path / "world/old").read_text() == "x"


def test_our_own_places(root: int, tmp_path: Path) -> None:
    """They are folders, or the image is refused."""
    proc = own_mount_point(root, "proc")
    (tmp_path / "world/dev").symlink_to("/tmp")

    assert is_folder(proc)
    with pytest.raises(Failure, match="its /dev is no folder"):
        own_mount_point(root, "dev")
    os.close(proc)
