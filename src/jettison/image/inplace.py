"""Files read where they lie: in a layer's tar archive, which may itself lie in another. What is compressed is spooled once.

A fat image is read once from its beginning to its end, and neither unpacked nor copied into the store.
"""

import io
import os
from bisect import bisect_right
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from jettison.events import SILENT, Reporter
from jettison.tree.decompress import MAGIC_BYTES, compression_of, decompressed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ZEROS = bytes(1 << 20)  # as much as the longest piece that a tar archive is read in


class Held:
    """An open file of which only the bytes matter. It is closed when nothing refers to it any more."""

    descriptor = -1

    def __init__(self, file: BinaryIO) -> None:
        self.descriptor = os.dup(file.fileno())
        self.size = os.fstat(self.descriptor).st_size

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def append(self, data: bytes) -> None:
        """Write at its end; zeros are left out, as a hole: what unpacks to gibibytes of them takes no room."""
        if data == _ZEROS[: len(data)]:
            os.ftruncate(self.descriptor, self.size + len(data))
            self.size += len(data)
            return
        with memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(self.descriptor, view[done:], self.size + done)
        self.size += len(data)


class Slice(NamedTuple):
    """The Content of a file whose bytes lie in another: `extents` are (offset in the content, offset in `file`, length), in
    order; what lies between them is zeros."""

    file: Held
    extents: tuple[tuple[int, int, int], ...]
    size: int

    def open(self) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))


class Stream(Protocol):
    """Bytes in order, and where they can be found again."""

    def read(self, count: int, /) -> bytes:
        """The next bytes; fewer at the end only."""


class InPlace:
    """The bytes of a slice in order, where they lie in `file`: `here` is where the next byte lies."""

    def __init__(self, content: Slice, reporter: Reporter = SILENT) -> None:
        (_, self.here, self._left), *_ = content.extents
        self.file = content.file
        self._stream = content.open()
        self._reporter = reporter

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._pass(len(data))
        return data

    def skip(self, count: int) -> int:
        """Pass over the next bytes without reading them; how many there were."""
        count = min(count, self._left)
        self._stream.seek(count, os.SEEK_CUR)
        self._pass(count)
        return count

    def _pass(self, count: int) -> None:
        self.here += count
        self._left -= count
        self._reporter.progress("reading", self.here, 0)


class Spooled:
    """A stream whose bytes are written to the end of `file` as they pass by: `here` is where the next one will lie."""

    def __init__(self, stream: Stream, file: Held, reporter: Reporter = SILENT) -> None:
        self.file = file
        self.here = file.size
        self._stream = stream
        self._reporter = reporter

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self.file.append(data)
        self.here += len(data)
        self._reporter.progress("reading", self.here, 0)
        return data


def plain(blob: Slice, spool: Held, what: str, reporter: Reporter = SILENT) -> InPlace | Spooled:
    """The bytes that `blob` holds, decompressed: where they lie if they are not compressed, else at the end of `spool`.

    Errors, also while reading: InvalidData.
    """
    stream = blob.open()
    compression = compression_of(stream.read(MAGIC_BYTES), what)
    if compression == "none" and len(blob.extents) == 1:
        return InPlace(blob, reporter)
    stream.seek(0)
    return Spooled(decompressed(stream, what), spool, reporter)


def whole(file: BinaryIO) -> Slice:
    """All of a file, which the caller may close."""
    held = Held(file)
    return Slice(held, ((0, 0, held.size),), held.size)


class _Reader(io.RawIOBase):
    """A seekable stream over a slice. The file's own position is not touched, so that many may be open."""

    def __init__(self, content: Slice) -> None:
        super().__init__()
        self._file = content.file
        self._extents = content.extents
        self._starts = [start for start, _, _ in content.extents]
        self._size = content.size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with memoryview(buffer).cast("B") as view:
            count = min(len(view), self._size - self._at)
            if count <= 0:
                return 0
            number = bisect_right(self._starts, self._at) - 1
            start, where, length = self._extents[number] if number >= 0 else (0, 0, 0)
            if self._at < start + length:
                with view[: min(count, start + length - self._at)] as part:
                    done = os.preadv(self._file.descriptor, [part], where + self._at - start)
            else:
                following = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
                done = min(count, following - self._at)
                view[:done] = bytes(done)
            self._at += done
            return done

    def readall(self) -> bytes:
        parts = []
        while (left := self._size - self._at) > 0 and (data := self.read(min(left, 1 << 26))):
            parts.append(data)
        return b"".join(parts)
