"""Blobs on their way into a store: written, hashed, synced, and made visible together."""

import hashlib
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO, NamedTuple, Protocol

from jettison.errors import InternalError
from jettison.image.beside import Beside
from jettison.image.durable import create, sync_file, sync_folder, unlink
from jettison.oci.digest import Digest

_LARGE_BYTES = 4 << 20


class Shelf(Protocol):
    """Where blobs are written and where they end up."""

    def temporary(self) -> str:
        """A path that nobody else uses."""

    def blob_path(self, digest: Digest) -> str:
        """The path of the blob with this digest."""


class Blob(NamedTuple):
    """What was written: its name and its length in bytes."""

    digest: Digest
    size: int


class Batch:
    """Blobs that become visible together. Made by `LocalStore.batch`."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._pending: dict[str, Blob] = {}
        self._syncs: dict[str, Beside[None]] = {}

    def put(self, data: bytes) -> Digest:
        """Keep `data`."""
        digest = Digest.of(data)
        if self._is_there(Blob(digest, len(data))):
            return digest
        with self.writer(hashing=False) as writer:
            writer.write(data)
            writer.finish(digest)
        return digest

    @contextmanager
    def writer(self, hashing: bool = True) -> "Iterator[BlobWriter]":
        """A writer of one blob, complete at the end of the `with`.

        Without `hashing` the caller computes the digest and gives it to `finish`.
        """
        path = self._shelf.temporary()
        writer = BlobWriter(path, hashing)
        try:
            yield writer
            self._pending[path] = Blob(writer.finish(), writer.size)
            if writer.size >= _LARGE_BYTES:  # the disk works while the next blob is made
                self._syncs[path] = Beside(partial(sync_file, path))
        except BaseException:
            writer.close()
            unlink(path)
            raise

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes of a blob of this batch, which is not visible yet."""
        return open({blob.digest: path for path, blob in self._pending.items()}[digest], "rb")

    def keep(self, digests: Container[Digest]) -> None:
        """Only these are to become visible."""
        for path in [path for path, blob in self._pending.items() if blob.digest not in digests]:
            del self._pending[path]
            unlink(path)

    def commit(self) -> None:
        """Sync every file, then give all of them their names, then sync the folder once."""
        missing = {path: blob for path, blob in self._pending.items() if not self._is_there(blob)}
        for path in missing:  # side by side: a filesystem commits together what waits together
            if path not in self._syncs:
                self._syncs[path] = Beside(partial(sync_file, path))
        for path in missing:
            self._syncs[path].wait()  # the kernel tells each failure once, to whoever syncs
        for path, blob in missing.items():
            os.rename(path, self._shelf.blob_path(blob.digest))
        # Also where all were there: the process that renamed them may not have come to this line.
        for folder in {os.path.dirname(self._shelf.blob_path(blob.digest)) for blob in self._pending.values()}:
            sync_folder(folder)

    def discard(self) -> None:
        """Remove what has not got its name."""
        for sync in self._syncs.values():
            with suppress(OSError):
                sync.wait()
        for path in self._pending:
            unlink(path)

    def _is_there(self, blob: Blob) -> bool:
        try:
            return os.stat(self._shelf.blob_path(blob.digest)).st_size == blob.size
        except FileNotFoundError:
            return False


class BlobWriter:
    """Receives one blob's bytes, counting and hashing as they come. Made by `LocalStore.writer` and `Batch.writer`."""

    def __init__(self, path: str, hashing: bool) -> None:
        self._stream = create(path)
        self._hash = hashlib.sha256() if hashing else None
        self._digest: Digest | None = None
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; its length in bytes."""
        if self._hash is not None:
            self._hash.update(data)
        self.size += len(data)
        return self._stream.write(data)

    def finish(self, digest: Digest | None = None) -> Digest:
        """The blob is complete. `digest` is the caller's own where it hashed the bytes itself. Errors: OSError."""
        self._stream.close()
        if self._digest is None:
            self._digest = digest or Digest("sha256", self._hash.hexdigest() if self._hash else "")
        return self._digest

    def close(self) -> None:
        """Give up. Idempotent, and harmless after `finish`."""
        with suppress(OSError):
            self._stream.close()

    @property
    def digest(self) -> Digest:
        """The blob's name, once it is complete."""
        if self._digest is None:
            raise InternalError("a blob was asked for its digest before it was complete")
        return self._digest
