"""Layers are written in one pass, the same whatever the number of threads; GNU tools read them."""

import gzip
import hashlib
import os
import subprocess
import tarfile
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from jettison.image.image import Layer
from jettison.image.layers import COMPRESSIONS, Compression, cached_layer, forget_lost_layers, write_layer
from jettison.image.store import LocalStore, open_store
from jettison.tree.disk import read_tree
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.tar import stream

CHUNK = 4 << 20
NODES = {
    "/small": made_file(b"x"),
    "/zeros": made_file(bytes(3 * CHUNK)),
    "/noise": made_file(os.urandom(CHUNK + 12345)),
    "/d": made_dir(),
    **{f"/d/{number:04d}": made_file(bytes([number % 251]) * number) for number in range(600)},
}


def tar(nodes: Iterable[tuple[str, Node]]) -> bytes:
    """The whole stream."""
    return b"".join(stream(nodes))


@pytest.fixture
def local(store: Path) -> LocalStore:
    """A store of the test's own."""
    return open_store(str(store))


def written(local: LocalStore, nodes: dict[str, Node], compression: Compression = "gzip") -> tuple[Layer, bytes]:
    """A layer and its blob."""
    with local.batch() as batch:
        layer = write_layer(nodes.items(), batch, compression)
    return layer, Path(local.blob_path(layer.descriptor.digest)).read_bytes()


def plain(blob: bytes, compression: Compression) -> bytes:
    """What a stranger's decompressor gives."""
    if compression == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(BytesIO(blob), read_across_frames=True) as stream:
            return stream.read()
    return gzip.decompress(blob) if compression == "gzip" else blob


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_is_written_is_the_tar_stream(local: LocalStore, compression: Compression) -> None:
    """Across the borders of chunks, over zeros and noise; digests and sizes are those of the bytes."""
    layer, blob = written(local, NODES, compression)

    expected = tar(NODES.items())
    assert plain(blob, compression) == expected
    assert layer.diff_id.hex == hashlib.sha256(expected).hexdigest()
    assert (layer.descriptor.digest.hex, layer.descriptor.size) == (hashlib.sha256(blob).hexdigest(), len(blob))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_number_of_processors_leaves_no_trace(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch, compression: Compression
) -> None:
    """One thread or eight: the same bytes."""
    digests = set()
    for count in (1, 8):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=count: set(range(count)))
        digests.add(written(local, NODES, compression)[0].descriptor.digest)

    assert len(digests) == 1


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, CHUNK - 1536, CHUNK - 512, CHUNK, CHUNK + 1, 2 * CHUNK - 1024])
def test_every_size_ends_where_it_should(local: LocalStore, size: int) -> None:
    """A file that ends at, before or after a chunk's border."""
    nodes = {"/f": made_file(b"\1" * size), "/g": made_file(b"g")}

    assert gzip.decompress(written(local, nodes)[1]) == tar(nodes.items())


def test_gnu_tar_and_gzip_read_a_layer_of_several_members(local: LocalStore, tmp_path: Path) -> None:
    """`tar -tzf` lists every file."""
    (tmp_path / "layer.tar.gz").write_bytes(written(local, NODES)[1])

    listed = subprocess.run(["tar", "-tzf", str(tmp_path / "layer.tar.gz")], capture_output=True, text=True, check=True).stdout

    assert {f"/{name.rstrip('/')}" for name in listed.splitlines()} == set(NODES)


def test_an_unchanged_tree_is_not_read_again(local: LocalStore, tmp_path: Path) -> None:
    """Files count as the same by device, inode, size and times; a changed one gives another layer."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(os.urandom(1 << 20))
        os.utime(folder / name, (1, 1))

    def layer() -> Layer:
        with local.batch() as batch:
            return cached_layer(read_tree(str(folder)).nodes, local, batch)

    time.sleep(0.15)  # the files have settled
    before = layer()
    notes = os.listdir(f"{local.path}/cache")
    again = layer()
    (folder / "b").write_bytes(os.urandom(1 << 20))
    changed = layer()

    assert len(notes) == 1
    assert again == before
    assert changed.diff_id != before.diff_id


def test_a_tree_that_was_just_written_is_not_remembered(local: LocalStore, tmp_path: Path) -> None:
    """A change within the clock's tick would not show in its times."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a").write_bytes(os.urandom(2 << 20))

    with local.batch() as batch:
        cached_layer(read_tree(str(tmp_path / "tree")).nodes, local, batch)

    assert not os.path.exists(f"{local.path}/cache")


def test_a_note_of_a_lost_layer_is_forgotten(local: LocalStore, tmp_path: Path) -> None:
    """A clean-up leaves no note that leads to nothing, and keeps those that lead to a layer."""
    for name in ("kept", "lost"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(os.urandom(2 << 20))
    time.sleep(0.15)
    with local.batch() as batch:
        layers = [cached_layer(read_tree(str(tmp_path / name)).nodes, local, batch) for name in ("kept", "lost")]
    local.delete(layers[1].descriptor.digest)

    with local.cleaning():
        forget_lost_layers(local)

    (note,) = os.listdir(f"{local.path}/cache")
    assert str(layers[0].diff_id) in Path(local.path, "cache", note).read_text()


def test_tarfile_agrees(local: LocalStore) -> None:
    """Names, sizes and kinds."""
    with tarfile.open(fileobj=BytesIO(written(local, NODES, "none")[1])) as archive:
        found = {f"/{member.name}": member.size for member in archive}

    assert found == {path: node.size for path, node in NODES.items()}


def test_dense_files_among_others_are_stored_and_all_come_back(local: LocalStore) -> None:
    """Noise is not made longer, text beside it is made shorter, and the whole is the tar stream."""
    noise, text = os.urandom(300_000), b"some words and more words, " * 12_000
    nodes = {f"/{number}": made_file(noise if number % 2 else text) for number in range(8)}

    _, blob = written(local, nodes)

    assert gzip.decompress(blob) == tar(nodes.items())
    assert len(blob) < 4 * len(noise) + 4 * len(text) // 5
