"""Decompressing streams, of friends and of enemies."""

import gzip
import io
import random
import struct

import pytest
import zstandard

from jettison.errors import InvalidData
from jettison.tree.decompress import compression_of, decompressed

RAW = random.Random(1).randbytes(50_000) * 4
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress
SKIPPABLE = b"\x53\x2a\x4d\x18" + struct.pack("<I", 5) + b"hello"

GOOD = {
    "none": (RAW, RAW),
    "shorter than a magic": (b"ab", b"ab"),
    "nothing": (b"", b""),
    "gzip": (gzip.compress(RAW), RAW),
    "gzip of nothing": (gzip.compress(b""), b""),
    "gzip in members": (gzip.compress(RAW) + gzip.compress(b"more"), RAW + b"more"),
    "gzip padded with zeros": (gzip.compress(RAW) + bytes(100_000), RAW),
    "gzip in members with zeros between": (gzip.compress(RAW) + bytes(70_000) + gzip.compress(b"more"), RAW + b"more"),
    "zstd": (ZSTD(RAW), RAW),
    "zstd in frames": (ZSTD(RAW) + ZSTD(b"more"), RAW + b"more"),
    "zstd with frames to skip": (SKIPPABLE + ZSTD(RAW) + SKIPPABLE + ZSTD(b"more") + SKIPPABLE, RAW + b"more"),
}

BAD = {
    "gzip truncated": gzip.compress(RAW)[:-5],
    "gzip truncated in the middle": gzip.compress(RAW)[:10_000],
    "gzip with a wrong checksum": gzip.compress(RAW)[:-8] + bytes(8),
    "gzip followed by garbage": gzip.compress(RAW) + b"garbage",
    "zstd broken": ZSTD(RAW)[:100] + bytes(1000) + ZSTD(RAW)[1100:],
    "zstd with a window of two gibibytes": b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\1\0\0",
    "bzip2": b"BZh91AY&SY",
    "xz": b"\xfd7zXZ\0\0\4",
    "lz4": b"\x04\x22\x4d\x18dd",
}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_held_comes_out(case: str) -> None:
    """Also when it is read in small pieces."""
    data, expected = GOOD[case]

    with decompressed(io.BytesIO(data), "the blob") as stream:
        pieces = [stream.read(1000) for _ in range(10)]
        rest = stream.read()

    assert b"".join(pieces) + rest == expected


@pytest.mark.parametrize("case", BAD)
def test_what_is_broken_is_an_error(case: str) -> None:
    """The error names what was read."""
    with pytest.raises(InvalidData, match="the blob"):
        decompressed(io.BytesIO(BAD[case]), "the blob").read()


def test_a_bomb_is_unpacked_a_piece_at_a_time() -> None:
    """Whatever a megabyte unpacks to, only what is asked for is made."""
    bomb = gzip.compress(bytes(200 << 20), 9)

    with decompressed(io.BytesIO(bomb), "the blob") as stream:
        assert stream.read(1 << 20) == bytes(1 << 20)


def test_the_bytes_tell_the_format() -> None:
    """Nobody's word counts, only the beginning of the stream."""
    assert [compression_of(data[:6], "") for data in (RAW, gzip.compress(b""), ZSTD(b""), SKIPPABLE)] == [
        "none",
        "gzip",
        "zstd",
        "zstd",
    ]
