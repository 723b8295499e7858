"""Compressed bytes → a stream of what they hold; the format is told by its first bytes, never by what somebody claims."""

import io
import zlib
from typing import TYPE_CHECKING, BinaryIO

from jettison.errors import HostError, InvalidData

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_INPUT_BYTES = 64 << 10
_BUFFER_BYTES = 256 << 10
_WINDOW_LIMIT_BYTES = 128 << 20  # what `zstd --long` makes, and `zstd -d` takes without being asked
MAGIC_BYTES = 6
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x04\x22\x4d\x18": "lz4"}


def compression_of(head: bytes, what: str) -> str:
    """`gzip`, `zstd` or `none`, by the first bytes of a stream. Errors: InvalidData for what we do not read."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (head[:1] and head[0] >> 4 == 5 and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"  # RFC 8878: a frame, or a frame to be skipped
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise InvalidData(f"{what} is compressed with {name}, expected gzip, zstd or none", f"use `{name} -d` first")
    return "none"


def decompressed(stream: BinaryIO, what: str) -> io.BufferedReader:
    """The bytes that `stream` holds, decompressed as they are read. Errors, also while reading: InvalidData naming `what`."""
    head = stream.read(MAGIC_BYTES)
    readers = {"gzip": _Gzip, "zstd": _Zstd, "none": _Rest}
    return io.BufferedReader(readers[compression_of(head, what)](head, stream, what), _BUFFER_BYTES)


class _Rest(io.RawIOBase):
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, stream: BinaryIO, what: str) -> None:
        self._head = head
        self._stream = stream
        self._what = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with memoryview(buffer) as view:
            data = self._fill(len(view))
            view[: len(data)] = data
        return len(data)

    def _fill(self, count: int) -> bytes:
        """Up to `count` bytes of the answer; none at its end."""
        return self._input(count)

    def _input(self, count: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._stream.read(count)


class _Gzip(_Rest):
    """RFC 1952, with all members and with the zeros that some writers pad with."""

    def __init__(self, head: bytes, stream: BinaryIO, what: str) -> None:
        super().__init__(head, stream, what)
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._waiting = b""

    def _fill(self, count: int) -> bytes:
        while not self._member.eof or self._next_member():
            waiting = self._waiting or self._input(_INPUT_BYTES)
            try:
                data = self._member.decompress(waiting, count)
            except zlib.error as error:
                raise InvalidData(f"{self._what} is no whole gzip stream: {error}") from error
            self._waiting = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if data:
                return data
            if not waiting and not self._member.eof:
                raise InvalidData(f"{self._what} ends inside a gzip member: it is truncated")
        return b""

    def _next_member(self) -> bool:
        while not (waiting := self._waiting.lstrip(b"\0")):
            self._waiting = self._input(_INPUT_BYTES)
            if not self._waiting:
                return False
        self._waiting = waiting
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return True


class _Zstd(_Rest):
    """RFC 8878, with all frames, also those to be skipped (zstd:chunked keeps its table of contents there)."""

    def __init__(self, head: bytes, stream: BinaryIO, what: str) -> None:
        super().__init__(head, stream, what)
        try:
            import zstandard
        except ImportError as error:
            hint = "`pip install zstandard` brings it"
            raise HostError(f"cannot read {what}, compressed with zstd: no Python module `zstandard`", hint) from error
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_LIMIT_BYTES)
        compressed = io.BufferedReader(_Rest(head, stream, what))
        self._reader = decompressor.stream_reader(compressed, read_size=_INPUT_BYTES, read_across_frames=True)
        self._error = zstandard.ZstdError

    def _fill(self, count: int) -> bytes:
        try:
            return self._reader.read(count)
        except self._error as error:
            raise InvalidData(f"{self._what} is no zstd stream that we read: {error}") from error
