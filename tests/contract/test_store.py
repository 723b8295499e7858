"""What every store keeps to, whoever keeps the blobs."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.errors import NotFound
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest

STORES: dict[str, Callable[[Path], LocalStore]] = {"local": lambda folder: LocalStore(str(folder / "store"))}

pytestmark = pytest.mark.parametrize("name", STORES)


def test_what_is_put_can_be_opened(name: str, tmp_path: Path) -> None:
    """The digest is that of the bytes, and the bytes come back."""
    store = STORES[name](tmp_path)

    digest = store.put(b"hello")

    assert digest == Digest.of(b"hello")
    assert store.has(digest)
    assert store.size(digest) == 5
    with store.open(digest) as stream:
        assert stream.read() == b"hello"


def test_put_is_idempotent(name: str, tmp_path: Path) -> None:
    """Twice the same is once."""
    store = STORES[name](tmp_path)

    assert store.put(b"x") == store.put(b"x")
    assert store.digests() == [Digest.of(b"x")]


def test_what_is_not_there_is_not_found(name: str, tmp_path: Path) -> None:
    """In a store that nothing was put in, and in one that has other blobs."""
    store = STORES[name](tmp_path)

    for _ in range(2):
        assert not store.has(Digest.of(b"x"))
        with pytest.raises(NotFound):
            store.open(Digest.of(b"x"))
        store.put(b"other")


def test_delete_is_idempotent(name: str, tmp_path: Path) -> None:
    """It is gone, also when it was."""
    store = STORES[name](tmp_path)
    digest = store.put(b"x")

    store.delete(digest)
    store.delete(digest)

    assert not store.has(digest)
    assert store.digests() == []


def test_many_may_put_the_same(name: str, tmp_path: Path) -> None:
    """Threads that put the same blobs at once leave each of them whole, once."""
    store = STORES[name](tmp_path)
    blobs = [bytes([number]) * 10_000 for number in range(10)]
    threads = [threading.Thread(target=lambda: [store.put(blob) for blob in blobs]) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(store.digests()) == {Digest.of(blob) for blob in blobs}
    assert all(store.read(Digest.of(blob)) == blob for blob in blobs)
