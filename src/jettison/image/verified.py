"""A layer's tar bytes, counted and hashed on their way: who has read to the end knows that they are the image's."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from jettison.errors import HostileData, InvalidData
from jettison.image.image import Layer
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.tree.decompress import decompressed
from jettison.tree.untar import Source

_SIZE_LIMIT_BYTES = 16 << 30
_RATIO_LIMIT = 100
_DRAIN_BYTES = 1 << 20


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
