"""An ELF file's frame: its header, segments and dynamic table, and bounded reads of what they point to.

Read by seek and read, a page at a time, each page once: what a linker wants to know of a library lies on three or four pages,
however big it is. What all reads of one file may cost is bounded by a budget, so that an absurd file is an InvalidData with its
name, soon and in little memory. Layouts: elf(5), and the gABI's chapters "Object Files" and "Dynamic Linking".
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from jettison.errors import InvalidData

MAGIC = b"\x7fELF"

ByteOrder = Literal["little", "big"]
Type = Literal["rel", "exec", "dyn", "core", "other"]

PT_DYNAMIC, PT_INTERP, PT_NOTE = 2, 3, 4

_TYPES: dict[int, Type] = {1: "rel", 2: "exec", 3: "dyn", 4: "core"}
_BYTE_ORDERS: dict[int, ByteOrder] = {1: "little", 2: "big"}
_PT_LOAD = 1
_PF_X, _PF_R = 1, 4
_DT_STRTAB = 5

_PAGE = 4096
_SMALLEST_READ = 64  # a read has a cost of its own, so that many tiny ones run out too
_STRING_LIMIT = 64 << 10
_SEGMENTS_LIMIT = 64 << 10
_DYNAMIC_LIMIT = 1 << 20


class _Layout(NamedTuple):
    """Where the fields lie that are as wide as an address. Each format is for one record, without its byte order."""

    header: str
    segment: str
    section: str
    dynamic: str
    symbol: str


# Fields are in the specification's order; what is not asked for is a pad (`x`).
_LAYOUTS = {
    # header: type machine 4x entry phoff shoff flags 2x phentsize phnum shentsize shnum 2x; segment: type offset vaddr filesz
    # flags align, where 64 bits have the flags second; section: type offset size; symbol: name section index
    32: _Layout("HH4x4xIII2xHHHH2x", "III4xI4xII", "4xI8xII16x", "II", "I10xH"),
    64: _Layout("HH4x8xQQI2xHHHH2x", "IIQQ8xQ8xQ", "4xI16xQQ24x", "QQ", "I2xH16x"),
}


class Segment(NamedTuple):
    """A part of the file that the header tells of."""

    type: int
    offset: int
    address: int
    size: int
    flags: int
    align: int


class _Bytes:
    """Reads of a file, a page at a time, each page once, until the budget is spent. Errors: InvalidData."""

    def __init__(self, file: BinaryIO, name: str, budget: int) -> None:
        self.name = name
        self.size = file.seek(0, 2)
        self._file = file
        self._left = self._budget = budget
        self._pages: dict[int, bytes] = {}

    def at(self, offset: int, size: int, what: str) -> bytes:
        """The bytes at an offset, all of them."""
        self._spend(size)
        if offset + size > self.size:
            raise InvalidData(f"`{self.name}` has {self.size} bytes, and its {what} should lie at {offset}, {size} bytes long")
        page, start = divmod(offset, _PAGE)
        data = self._page(page)[start : start + size] if start + size <= _PAGE else self._read(offset, size)
        if len(data) != size:
            raise InvalidData(f"`{self.name}` became shorter while it was read")
        return data

    def text(self, offset: int, what: str) -> str:
        """The NUL-terminated text at an offset."""
        parts: list[bytes] = []
        page, start = divmod(offset, _PAGE)
        while page * _PAGE < self.size and len(parts) * _PAGE <= _STRING_LIMIT:
            data = self._page(page)
            end = data.find(b"\0", start)
            parts.append(data[start : None if end < 0 else end])
            if end >= 0:
                text = b"".join(parts)
                self._spend(len(text))
                return os.fsdecode(text)
            page, start = page + 1, 0
        raise InvalidData(f"`{self.name}`: its {what} at {offset} is a text without an end")

    def _page(self, number: int) -> bytes:
        if number not in self._pages:
            self._spend(_PAGE)
            self._pages[number] = self._read(number * _PAGE, _PAGE)
        return self._pages[number]

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _spend(self, cost: int) -> None:
        self._left -= max(cost, _SMALLEST_READ)
        if self._left < 0:
            raise InvalidData(f"`{self.name}`: its tables are more than {self._budget >> 20} MiB, no linker's are")


class ElfFile:
    """An ELF file whose header, segments and dynamic table are read; the rest is read on demand. Errors: InvalidData."""

    def __init__(self, file: BinaryIO, name: str, budget: int) -> None:
        self.bytes = _Bytes(file, name, budget)
        ident = self.bytes.at(0, 16, "identification")
        self.bits = {1: 32, 2: 64}.get(ident[4], 0)
        byte_order = _BYTE_ORDERS.get(ident[5])
        if ident[:4] != MAGIC or not self.bits or byte_order is None:
            expected = "7f454c46, then 01 or 02 twice"
            raise InvalidData(f"`{name}` is not an ELF file: it starts with {ident[:6].hex()}, expected {expected}")
        self.byte_order = byte_order
        self._prefix = "<" if byte_order == "little" else ">"
        self.layout = _LAYOUTS[self.bits]
        header = self.record(self.layout.header, 16, "header")
        number, self.machine, segments_at, self._sections_at, self.abi_flags = header[:5]
        segment_size, segment_count, self._section_size, self._section_count = header[5:]
        self.type = _TYPES.get(number, "other")
        self.segments = self._segments(segments_at, segment_size, segment_count)
        self.dynamic = self._dynamic()
        self._strings: int | None = None

    def record(self, format: str, offset: int, what: str) -> tuple[int, ...]:
        packer = struct.Struct(self._prefix + format)
        return packer.unpack(self.bytes.at(offset, packer.size, what))

    def records(self, format: str, offset: int, count: int, what: str, stride: int = 0) -> Iterator[tuple[int, ...]]:
        """`count` records that lie one after the other, `stride` bytes apart."""
        size = struct.calcsize(self._prefix + format)
        padded = f"{self._prefix}{format}{max(stride - size, 0)}x"
        return struct.iter_unpack(padded, self.bytes.at(offset, count * max(size, stride), what))

    def file_offset(self, address: int) -> int | None:
        """Where in the file the byte lies that is loaded at an address."""
        for segment in self.segments:
            if segment.type == _PT_LOAD and segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        return None

    def code(self) -> list[tuple[int, int]]:
        """(offset, size) of the machine code, in order, where the linker put nothing else there: constants have a segment too."""
        loaded = [segment for segment in self.segments if segment.type == _PT_LOAD]
        if all(segment.flags != _PF_R for segment in loaded):
            return []
        return sorted((segment.offset, segment.size) for segment in loaded if segment.flags & _PF_X)

    def table(self, tag: int, what: str) -> int | None:
        """Where in the file the table of a dynamic tag lies; None where there is no such tag."""
        if tag not in self.dynamic:
            return None
        offset = self.file_offset(self.dynamic[tag][0])
        if offset is None:
            raise InvalidData(f"`{self.bytes.name}`: its {what} is at address {self.dynamic[tag][0]:#x}, which no segment loads")
        return offset

    def text(self, index: int, what: str) -> str:
        if self._strings is None:
            self._strings = self.table(_DT_STRTAB, "string table")
        if self._strings is None:
            raise InvalidData(f"`{self.bytes.name}`: its dynamic table names no string table")
        return self.bytes.text(self._strings + index, what)

    def texts(self, tag: int, what: str) -> tuple[str, ...]:
        return tuple(self.text(index, what) for index in self.dynamic.get(tag, ()))

    def last_text(self, tag: int, what: str) -> str:
        """The text of a tag that may be there once; ld.so takes the last."""
        return self.text(self.dynamic[tag][-1], what) if tag in self.dynamic else ""

    def sections(self) -> Iterator[tuple[int, ...]]:
        if self._section_size < struct.calcsize(self._prefix + self.layout.section):
            return iter(())
        return self.records(self.layout.section, self._sections_at, self._section_count, "section headers", self._section_size)

    def _segments(self, offset: int, size: int, count: int) -> list[Segment]:
        if not count or self.type not in ("exec", "dyn"):
            return []
        if size < struct.calcsize(self._prefix + self.layout.segment):
            raise InvalidData(f"`{self.bytes.name}`: its program headers are {size} bytes each, too few for {self.bits} bits")
        if size * count > _SEGMENTS_LIMIT:
            raise InvalidData(f"`{self.bytes.name}` has {count} program headers of {size} bytes, Linux takes 64 KiB of them")
        rows = self.records(self.layout.segment, offset, count, "program headers", size)
        if self.bits == 64:
            rows = ((kind, *fields, flags, align) for kind, flags, *fields, align in rows)
        return [Segment(*row) for row in rows]

    def _dynamic(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        segment = next((segment for segment in self.segments if segment.type == PT_DYNAMIC), None)
        if segment is None:
            return found
        size = struct.calcsize(self._prefix + self.layout.dynamic)
        count = min(segment.size, _DYNAMIC_LIMIT) // size
        for tag, value in self.records(self.layout.dynamic, segment.offset, count, "dynamic table"):
            if tag == 0:
                break
            found.setdefault(tag, []).append(value)
        return found
