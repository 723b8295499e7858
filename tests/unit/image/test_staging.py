"""Layers side by side: errors, notices and layers that come twice, from processes of their own."""

import os
import signal
from pathlib import Path

import pytest

from jettison.errors import HostileData
from jettison.image.merged import MergedLayers
from jettison.image.rootfs import unpack
from jettison.image.store import LocalStore
from making import Item, Notices, dirs, image, tar


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture(autouse=True)
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processors, and no thread of the test runner's that would forbid a process."""
    listdir = os.listdir
    monkeypatch.setattr("jettison.image.beside.os.listdir", lambda path: ["1"] if "/task" in str(path) else listdir(path))
    monkeypatch.setattr("jettison.image.staging.os.sched_getaffinity", lambda _: {0, 1})


def names_in(store: LocalStore, *parts: str) -> list[str]:
    return [name for part in parts for name in os.listdir(f"{store.path}/{part}")]


def test_an_error_is_the_lowest_layers(local: LocalStore) -> None:
    """Of its own class, with its own text; nothing stays."""
    made = image(local, tar(Item("file", "a")), tar(Item("file", "../b")), tar(Item("file", "../c")))

    with pytest.raises(HostileData, match=r"`\.\./b` of layer 2 "):
        unpack(local, made)

    assert names_in(local, "layers", "tmp") == []


def test_a_layer_that_needs_a_refused_one(local: LocalStore) -> None:
    """It is the refused one that is told, not who waited for it."""
    made = image(local, tar(*dirs("d"), Item("file", "../a")), tar(Item("file", "d/b")))

    with pytest.raises(HostileData, match=r"`\.\./a` of layer 1 "):
        unpack(local, made)

    assert names_in(local, "layers", "tmp") == []


def test_notices_are_told_here(local: LocalStore) -> None:
    """Also those of a process without a terminal; few of them, however many reasons there are."""
    files = [Item("file", str(n), pax={f"SCHILY.xattr.odd.{n}": "x"}) for n in range(100)]
    notices = Notices()

    unpack(local, image(local, tar(*files), tar(Item("file", "a"))), notices)

    assert 0 < len(notices.said) <= 20
    assert "odd.0" in notices.said[0]


def test_a_layer_that_comes_twice(local: LocalStore) -> None:
    """It is unpacked once where it means the same, and anew where it leans on what is below it."""
    plain, leaning = tar(Item("file", "a", "1")), tar(Item("hardlink", "b", "a"))
    same = unpack(local, image(local, plain, plain))
    other = unpack(local, image(local, plain, leaning, tar(Item("file", "a", "2")), leaning))

    assert same[0] == same[1]
    assert other[1] != other[3]
    with MergedLayers(other).open("/b") as stream:
        assert stream.read() == b"2"


def test_a_killed_process_is_made_good(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its layer is unpacked here, and so are those that needed it."""
    here = os.getpid()
    verified = "jettison.image.verified.TarStream.verify"

    def die(*_: object) -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(verified, die)
    made = image(local, tar(*dirs("d"), Item("file", "d/a", "1")), tar(Item("file", "d/b", "2")), tar(Item("file", "d/.wh.a")))

    folders = unpack(local, made)

    assert MergedLayers(folders).listdir("/d") == ["b"]
    assert names_in(local, "tmp") == []
