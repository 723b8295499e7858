"""An image's layers, unpacked once and kept; and its run record, worked out once.

A layer appears as layers/<diff id> when its bytes are verified, its files written and the disk has them: never before. The
rare layer whose meaning depends on what is below it (a hard link into a lower layer, files below somebody else's symbolic
link) is kept by its chain id instead, so that no image can lend another one its files.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jettison.errors import HostileData, InvalidData
from jettison.events import SILENT, Reporter
from jettison.image.changes import Changes
from jettison.image.durable import remove_tree, sync_filesystem, sync_folder
from jettison.image.image import Image, Layer
from jettison.image.merged import MergedLayers
from jettison.image.record import run_record
from jettison.image.store import LocalStore
from jettison.image.unpack import Unpacker
from jettison.oci.digest import Digest
from jettison.tree.decompress import decompressed
from jettison.tree.untar import Source, read_tar

_SIZE_LIMIT_BYTES = 16 << 30
_RATIO_LIMIT = 100
_DRAIN_BYTES = 1 << 20


def prepare(store: LocalStore, digest: Digest, reporter: Reporter = SILENT) -> bytes:
    """Make the image with this manifest ready to run; its run record. Idempotent, and safe beside others who do the same.

    Errors: NotFound, InvalidData, HostileData, HostError.
    """
    image = store.image(digest)
    with store.writing():
        record = run_record(image, unpack(store, image, reporter))
        if _read(store.run_path(digest)) != record:  # a running container holds a lock on the file that is there
            store.replace(store.run_path(digest), record)
    return record


def unpack(store: LocalStore, image: Image, reporter: Reporter = SILENT) -> list[str]:
    """The folders of the image's unpacked layers, the lowest first; those that are missing are unpacked now."""
    names = layer_names(image)
    found = [_unpacked(store, pair) for pair in names]
    folders = [folder for folder in found if folder]
    if len(folders) == len(names):
        return folders
    with store.writing():
        return _unpack_missing(store, image, names, reporter)


def _unpacked(store: LocalStore, names: tuple[Digest, Digest]) -> str:
    """Where a layer is unpacked; empty where it is not."""
    return next((path for path in map(store.layer_path, names) if os.path.isdir(path)), "")


def _unpack_missing(store: LocalStore, image: Image, names: list[tuple[Digest, Digest]], reporter: Reporter) -> list[str]:
    """All are written before the disk is waited for, once, and appear then."""
    staged: dict[str, str] = {}  # where it is to be → where it is now
    folders: list[str] = []
    try:
        for number, (layer, pair) in enumerate(zip(image.layers, names, strict=True), 1):
            paths = [store.layer_path(name) for name in pair]
            folder = next((path for path in paths if path in staged), "") or _unpacked(store, pair)
            if not folder:
                staging = store.temporary()
                staged[staging] = staging
                lower = MergedLayers([staged.get(path, path) for path in folders])
                depends_on_lower = _unpack_layer(
                    store, layer, staging, lower, reporter, f"layer {number} of {image.digest.short}"
                )
                folder = paths[depends_on_lower]
                staged[folder] = staged.pop(staging)
            folders.append(folder)
        _publish(store, staged)
    finally:
        for staging in staged.values():
            with suppress(FileNotFoundError):
                remove_tree(staging)
    return folders


def layer_names(image: Image) -> list[tuple[Digest, Digest]]:
    """By what each layer may be kept: its diff id, or its chain id, which also says what is below it."""
    names: list[tuple[Digest, Digest]] = []
    for layer in image.layers:
        chain = Digest.of(f"{names[-1][1]} {layer.diff_id}".encode()) if names else layer.diff_id
        names.append((layer.diff_id, chain))
    return names


@contextmanager
def layer_entries(store: LocalStore, layer: Layer, what: str) -> "Iterator[TarStream]":
    """The tar bytes of a layer, hashed as they are read."""
    size = store.size(layer.descriptor.digest)
    if size != layer.descriptor.size:
        raise InvalidData(f"{what} is {size} bytes, its manifest says {layer.descriptor.size}")
    with store.open(layer.descriptor.digest) as blob:
        yield TarStream(decompressed(blob, what), what, size_limit(size))


def size_limit(compressed_bytes: int) -> int:
    """How many bytes a layer may unpack to."""
    return max(_SIZE_LIMIT_BYTES, _RATIO_LIMIT * compressed_bytes)


class TarStream:
    """Bytes that are counted and hashed on their way to their reader."""

    def __init__(self, stream: Source, what: str, limit_bytes: int) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._what = what
        self._left = limit_bytes

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._hash.update(data)
        self._left -= len(data)
        if self._left < 0:
            raise HostileData(f"refusing {self._what}: it unpacks to {_RATIO_LIMIT} times its size, and more than 16 GiB")
        return data

    def verify(self, diff_id: Digest) -> None:
        """Read what is left, also behind the archive's end, and compare. Errors: InvalidData."""
        while self.read(_DRAIN_BYTES):
            pass
        if self._hash.hexdigest() != diff_id.hex:
            found = f"sha256:{self._hash.hexdigest()}"
            raise InvalidData(f"{self._what} holds the tar archive {found}, its config says {diff_id}")


def _unpack_layer(store: LocalStore, layer: Layer, staging: str, lower: MergedLayers, reporter: Reporter, what: str) -> bool:
    """Unpack into a new folder and verify; whether the result depends on the layers below."""
    changes = Changes(lower, what)
    with _private_umask():
        os.mkdir(staging, 0o700)
        unpacker = Unpacker(staging, lower, reporter, what)
        try:
            with layer_entries(store, layer, what) as tar:
                for change in changes.of(read_tar(tar, what)):
                    unpacker.apply(change)
                tar.verify(layer.diff_id)
            unpacker.finish(changes.root)
        finally:
            unpacker.close()
    reporter.step("unpacked", what)
    return changes.depends_on_lower


def _publish(store: LocalStore, staged: dict[str, str]) -> None:
    """Sync, then rename. Another process may be faster: its result is the same."""
    if not staged:
        return
    sync_filesystem(f"{store.path}/tmp")
    for folder, staging in staged.items():
        try:
            os.rename(staging, folder)
        except OSError:
            if not os.path.isdir(folder):
                raise
    sync_folder(f"{store.path}/layers")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


@contextmanager
def _private_umask() -> Iterator[None]:
    old = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(old)
