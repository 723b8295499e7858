"""ld.so.cache: the table that ldconfig(8) makes and ld.so(8) looks a soname up in; read in every form, written in the newest.

Layout: glibc's elf/dl-cache.h describes it. The old form (`ld.so-1.7.0`) may stand before the new one
(`glibc-ld.so.cache1.1`); then ld.so reads the new one, and so do we.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jettison.closure.elf import ByteOrder, Elf
from jettison.errors import InvalidData

PATH = "/etc/ld.so.cache"

_OLD_MAGIC = b"ld.so-1.7.0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_EXTENSION_MAGIC = 0xEAA42174
_HWCAPS_TAG = 1
_HWCAP_EXTENSION = 1 << 62  # the entry is for a folder of glibc-hwcaps, whose number is in the low 32 bits
_BYTE_ORDERS: dict[int, ByteOrder] = {2: "little", 3: "big"}
_TEXT_LIMIT = 4096
_TEXTS_LIMIT = 32 << 20
_EXTENSION_LIMIT = 64

# Header: magic, number of entries, bytes of the strings, byte order, place of the extension. Row: flags, soname, path, the
# kernel's version (unused), hwcap.
_HEADER = {"little": "<20sIIB3xI12x", "big": ">20sIIB3xI12x"}
_ROW = {"little": "<iIIIQ", "big": ">iIIIQ"}
_OLD_HEADER, _OLD_ROW = 16, 12
_OLD_ROW_FORMAT = {"little": "<iII", "big": ">iII"}

# FLAG_ELF_LIBC6 of elf/ldconfig.h and the machine's own bits: what ld.so of that machine wants an entry to have.
_LIBC6 = 0x0003
_MACHINE_FLAGS = {
    (62, 64): 0x0300,  # x86-64
    (62, 32): 0x0800,  # x32
    (183, 64): 0x0A00,  # AArch64
    (22, 64): 0x0400,  # S/390
    (21, 64): 0x0500,  # PowerPC
    (43, 64): 0x0100,  # SPARC
    (50, 64): 0x0200,  # IA-64
    (8, 64): 0x0700,  # MIPS
}
_ABI_FLAGS = {  # machine: (bits of e_flags, their value → the cache's flags)
    40: (0x600, {0x400: 0x0900, 0x200: 0x0B00}),  # Arm: hard and soft float
    243: (0x006, {0x000: 0x0F00, 0x004: 0x1000}),  # RISC-V: soft and double float
    258: (0x007, {0x001: 0x1100, 0x003: 0x1200}),  # LoongArch: soft and double float
}


class Entry(NamedTuple):
    """A soname and the path it leads to. `hwcaps` says for which processors only: a folder of glibc-hwcaps, or an old mask."""

    soname: str
    path: str
    flags: int
    hwcaps: str = ""


class Cache(NamedTuple):
    """The entries in the file's order: of entries that are equal to ld.so, the first one counts."""

    byte_order: ByteOrder
    entries: tuple[Entry, ...]


def flags_of(elf: Elf) -> int:
    """What the flags of an entry are that an object like `elf` may load."""
    mask, values = _ABI_FLAGS.get(elf.machine, (0, {}))
    return _LIBC6 | _MACHINE_FLAGS.get((elf.machine, elf.bits), 0) | values.get(elf.abi_flags & mask, 0)


def parse(data: bytes, name: str) -> Cache:
    """The cache in `data`, which is called `name` in errors. Errors: InvalidData."""
    try:
        start = _new_form(data)
        return _parse_new(data, start) if start >= 0 else _parse_old(data)
    except (struct.error, ValueError) as error:
        raise InvalidData(f"`{name}` is not a cache of ldconfig: {error}", "make it anew with `ldconfig`") from error


def write(entries: Iterable[tuple[str, str, int]], byte_order: ByteOrder = "little") -> bytes:
    """A cache of (soname, path, flags) that ld.so reads. The same entries give the same bytes.

    Of entries with the same soname and flags the first one counts for ld.so.
    """
    ordered = sorted(dict.fromkeys(entries), key=lambda entry: _order(entry[0]), reverse=True)
    header, row = struct.Struct(_HEADER[byte_order]), struct.Struct(_ROW[byte_order])
    strings, places = _string_table({text for entry in ordered for text in entry[:2]}, header.size + row.size * len(ordered))
    order_flag = next(flag for flag, order in _BYTE_ORDERS.items() if order == byte_order)
    rows = [row.pack(flags, places[soname], places[path], 0, 0) for soname, path, flags in ordered]
    return b"".join([header.pack(_NEW_MAGIC, len(rows), len(strings), order_flag, 0), *rows, strings])


def _string_table(texts: set[str], start: int) -> tuple[bytes, dict[str, int]]:
    """The texts one after the other, and where each lies if the first one lies at `start`."""
    table, places = bytearray(), {}
    for text in sorted(texts):
        places[text] = start + len(table)
        table += os.fsencode(text) + b"\0"
    return bytes(table), places


def _order(soname: str) -> list[tuple[int, int]]:
    """The order ld.so bisects in: runs of digits are numbers, and greater than anything else."""
    parts = re.findall(rb"([0-9]+)|([^0-9])", os.fsencode(soname))
    return [(1, int(digits)) if digits else (0, other[0]) for digits, other in parts]


def _new_form(data: bytes) -> int:
    """Where the new form starts; -1 if there is only the old one, or none."""
    if data.startswith(_NEW_MAGIC):
        return 0
    # Aligned for its 64-bit fields, which is four bytes on some 32-bit machines.
    end = _OLD_HEADER + _OLD_ROW * _count(data, 12, _OLD_HEADER, _OLD_ROW)[0] if data.startswith(_OLD_MAGIC) else len(data)
    return data.find(_NEW_MAGIC, end, end + 8 + len(_NEW_MAGIC))


def _count(data: bytes, at: int, header: int, row: int, byte_order: ByteOrder | None = None) -> tuple[int, ByteOrder]:
    """The number of rows after a header: in the byte order that is known, or in the one in which it fits the file."""
    for order in (byte_order,) if byte_order else _BYTE_ORDERS.values():
        count = int.from_bytes(data[at : at + 4], order)
        if header <= len(data) and count * row <= len(data) - header:
            return count, order
    raise ValueError(f"{len(data)} bytes are too few for the entries it announces")


def _parse_old(data: bytes) -> Cache:
    if not data.startswith(_OLD_MAGIC):
        raise ValueError(f"it starts with {data[:20].hex()}")
    count, byte_order = _count(data, 12, _OLD_HEADER, _OLD_ROW)
    end = _OLD_HEADER + count * _OLD_ROW
    text = _Texts(data, end)
    rows = struct.iter_unpack(_OLD_ROW_FORMAT[byte_order], data[_OLD_HEADER:end])
    return Cache(byte_order, tuple(Entry(text.at(key), text.at(value), flags) for flags, key, value in rows))


def _parse_new(data: bytes, start: int) -> Cache:
    """The new form, from `start` on: its texts are counted from there, its extension from the file's first byte."""
    rows_at = start + struct.calcsize(_HEADER["little"])
    order_flag = data[rows_at - 20] if len(data) >= rows_at else 0
    row_size = struct.calcsize(_ROW["little"])
    count, byte_order = _count(data, start + len(_NEW_MAGIC), rows_at, row_size, _BYTE_ORDERS.get(order_flag & 3))
    _, _, _, _, extension_at = struct.unpack_from(_HEADER[byte_order], data, start)
    text = _Texts(data, start)
    hwcaps = list(_hwcaps(data, extension_at, byte_order, text)) if extension_at else []
    rows = struct.iter_unpack(_ROW[byte_order], data[rows_at : rows_at + count * row_size])
    entries = (Entry(text.at(key), text.at(value), flags, _hwcaps_name(mask, hwcaps)) for flags, key, value, _, mask in rows)
    return Cache(byte_order, tuple(entries))


def _hwcaps(data: bytes, at: int, byte_order: ByteOrder, text: "_Texts") -> Iterator[str]:
    """The names of the folders of glibc-hwcaps that entries refer to by number."""
    prefix = "<" if byte_order == "little" else ">"
    magic, count = struct.unpack_from(prefix + "II", data, at)
    if magic != _EXTENSION_MAGIC:
        raise ValueError(f"its extension starts with {magic:#x}, expected {_EXTENSION_MAGIC:#x}")
    for number in range(min(count, _EXTENSION_LIMIT)):
        tag, _, start, size = struct.unpack_from(prefix + "IIII", data, at + 8 + 16 * number)
        if tag == _HWCAPS_TAG:
            for (place,) in struct.iter_unpack(prefix + "I", data[start : start + size // 4 * 4]):
                yield text.at(place)


def _hwcaps_name(mask: int, hwcaps: list[str]) -> str:
    if not mask:
        return ""
    number = mask & 0xFFFFFFFF
    return hwcaps[number] if mask & _HWCAP_EXTENSION and number < len(hwcaps) else f"hwcap {mask:#x}"


class _Texts:
    """The NUL-terminated texts of a cache. They may overlap, so that what is read in all is bounded."""

    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base
        self._left = _TEXTS_LIMIT

    def at(self, place: int) -> str:
        start = self._base + place
        end = self._data.find(b"\0", start, start + _TEXT_LIMIT)
        self._left -= end - start
        if end < 0 or self._left < 0:
            raise ValueError(f"the text at {place} has no end, or its texts are more than {_TEXTS_LIMIT >> 20} MiB")
        return os.fsdecode(self._data[start:end])
