"""An ELF file's facts: what a dynamic linker would read out of it.

Both classes, both byte orders, any machine. Everything is found through the program headers, so that a file stripped of its
section headers tells as much. Read by seek and read, a page at a time: facts of a library are three or four pages, however big
it is. What the tables of one file may cost is bounded (`_FACTS_BUDGET`), so that an absurd file is an InvalidData with its
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
Priority = Literal["required", "recommended", "suggested"]

_TYPES: dict[int, Type] = {1: "rel", 2: "exec", 3: "dyn", 4: "core"}
_BYTE_ORDERS: dict[int, ByteOrder] = {1: "little", 2: "big"}

_PAGE = 4096
_FACTS_BUDGET = 16 << 20
_SYMBOLS_BUDGET = 64 << 20
_SMALLEST_READ = 64  # a read has a cost of its own, so that many tiny ones run out too
_STRING_LIMIT = 64 << 10
_SEGMENTS_LIMIT = 64 << 10
_DYNAMIC_LIMIT = 1 << 20
_CHAIN_LIMIT = 1 << 16
_NOTES_LIMIT = 64 << 10
_SYMBOLS_AT_ONCE = 1 << 14

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_SHT_DYNSYM = 11
_DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 4, 5, 6, 14, 15, 29
_DT_GNU_HASH, _DT_FLAGS_1, _DT_VERDEF, _DT_VERNEED = 0x6FFFFEF5, 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFE
# What may follow the symbols in memory: PLTGOT, RELA, INIT, FINI, REL, JMPREL, RELR, VERSYM and the tables above.
_DT_ADDRESSES = (3, 4, 5, 7, 12, 13, 17, 23, 36, 0x6FFFFFF0, _DT_GNU_HASH, _DT_VERDEF, _DT_VERNEED)
_DF_1_NODEFLIB = 0x800
_VER_FLG_WEAK = 2
_EM_S390, _EM_ALPHA = 22, 0x9026
_FDO_DLOPEN = 0x407C0C0A
_PRIORITIES: dict[str, Priority] = {"required": "required", "recommended": "recommended", "suggested": "suggested"}


class DlopenNote(NamedTuple):
    """A library that the file says it may dlopen(3): the first of `sonames` that is there serves `feature`."""

    feature: str
    description: str
    priority: Priority
    sonames: tuple[str, ...]


class Elf(NamedTuple):
    """The facts. `versions_needed` is (file, versions) with the weak ones, which are (file, version) in `weak_versions`.

    `rpath` and `runpath` are split at `:` and not expanded: of an empty text one empty part, of none no part. `abi_flags` is
    the header's `e_flags`.
    """

    bits: int
    byte_order: ByteOrder
    machine: int
    abi_flags: int
    type: Type
    is_dynamic: bool = False
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    no_default_libs: bool = False
    versions_needed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    weak_versions: tuple[tuple[str, str], ...] = ()
    versions_defined: tuple[str, ...] = ()
    dlopen: tuple[DlopenNote, ...] = ()


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
    # align; section: type offset size; symbol: name section index
    32: _Layout("HH4x4xIII2xHHHH2x", "III4xI8xI", "4xI8xII16x", "II", "I10xH"),
    64: _Layout("HH4x8xQQI2xHHHH2x", "I4xQQ8xQ8xQ", "4xI16xQQ24x", "QQ", "I2xH16x"),
}


class _Segment(NamedTuple):
    type: int
    offset: int
    address: int
    size: int
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


class _Object:
    """An ELF file whose header, segments and dynamic table are read; the rest is read on demand."""

    def __init__(self, file: BinaryIO, name: str, budget: int) -> None:
        self.bytes = _Bytes(file, name, budget)
        ident = self.bytes.at(0, 16, "identification")
        self.bits = {1: 32, 2: 64}.get(ident[4], 0)
        byte_order = _BYTE_ORDERS.get(ident[5])
        if not is_elf(ident) or not self.bits or byte_order is None:
            raise InvalidData(f"`{name}` is not an ELF file: it starts with {ident[:6].hex()}, expected 7f454c46")
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

    def _segments(self, offset: int, size: int, count: int) -> list[_Segment]:
        if not count or self.type not in ("exec", "dyn"):
            return []
        if size < struct.calcsize(self._prefix + self.layout.segment):
            raise InvalidData(f"`{self.bytes.name}`: its program headers are {size} bytes each, too few for {self.bits} bits")
        if size * count > _SEGMENTS_LIMIT:
            raise InvalidData(f"`{self.bytes.name}` has {count} program headers of {size} bytes, Linux takes 64 KiB of them")
        return [_Segment(*row) for row in self.records(self.layout.segment, offset, count, "program headers", size)]

    def _dynamic(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        segment = next((segment for segment in self.segments if segment.type == _PT_DYNAMIC), None)
        if segment is None:
            return found
        size = struct.calcsize(self._prefix + self.layout.dynamic)
        count = min(segment.size, _DYNAMIC_LIMIT) // size
        for tag, value in self.records(self.layout.dynamic, segment.offset, count, "dynamic table"):
            if tag == 0:
                break
            found.setdefault(tag, []).append(value)
        return found


def is_elf(head: bytes) -> bool:
    """Whether a file that starts so is an ELF file."""
    return head[:4] == MAGIC


def read(file: BinaryIO, name: str) -> Elf:
    """The facts of the ELF file `file`, called `name` in errors. Errors: InvalidData."""
    source = _Object(file, name, _FACTS_BUDGET)
    needs = list(_versions_needed(source))
    return Elf(
        bits=source.bits,
        byte_order=source.byte_order,
        machine=source.machine,
        abi_flags=source.abi_flags,
        type=source.type,
        is_dynamic=any(segment.type == _PT_DYNAMIC for segment in source.segments),
        interpreter=_interpreter(source),
        soname=source.last_text(_DT_SONAME, "SONAME"),
        needed=source.texts(_DT_NEEDED, "NEEDED entry"),
        rpath=_search_path(source, _DT_RPATH, "RPATH"),
        runpath=_search_path(source, _DT_RUNPATH, "RUNPATH"),
        no_default_libs=bool(source.dynamic.get(_DT_FLAGS_1, [0])[-1] & _DF_1_NODEFLIB),
        versions_needed=tuple((file, tuple(version for version, _ in versions)) for file, versions in needs),
        weak_versions=tuple((file, version) for file, versions in needs for version, weak in versions if weak),
        versions_defined=tuple(_versions_defined(source)),
        dlopen=tuple(_dlopen_notes(source)),
    )


def imported_symbols(file: BinaryIO, name: str) -> tuple[str, ...]:
    """The undefined dynamic symbols, sorted, without their versions. Errors: InvalidData."""
    source = _Object(file, name, _SYMBOLS_BUDGET)
    offset = source.table(_DT_SYMTAB, "symbol table")
    if offset is None:
        return ()
    size, left = struct.calcsize("=" + source.layout.symbol), _symbol_count(source)
    indexes: set[int] = set()
    while left > 0:
        count = min(left, _SYMBOLS_AT_ONCE)
        rows = source.records(source.layout.symbol, offset, count, "symbol table")
        indexes.update(index for index, section in rows if section == 0 and index)
        offset, left = offset + count * size, left - count
    return tuple(sorted({source.text(index, "symbol's name") for index in indexes} - {""}))


def _interpreter(source: _Object) -> str:
    segment = next((segment for segment in source.segments if segment.type == _PT_INTERP), None)
    return source.bytes.text(segment.offset, "interpreter") if segment else ""


def _search_path(source: _Object, tag: int, what: str) -> tuple[str, ...]:
    return tuple(source.last_text(tag, what).split(":")) if tag in source.dynamic else ()


def _versions_needed(source: _Object) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Each file of which versions are needed, with (version, whether ld.so goes on without it)."""
    for at, (_, count, file, first, _) in _chain(source, source.table(_DT_VERNEED, "version needs"), "HHIII", "version needs"):
        versions = _chain(source, at + first, "IHHII", "version needs", count)
        yield (
            source.text(file, "version need's file"),
            [(source.text(name, "version"), bool(flags & _VER_FLG_WEAK)) for _, (_, flags, _, name, _) in versions],
        )


def _versions_defined(source: _Object) -> Iterator[str]:
    """The first name of each definition: the others are the versions it inherits from."""
    table = source.table(_DT_VERDEF, "version definitions")
    for at, row in _chain(source, table, "HHHHIII", "version definitions"):
        name, _ = source.record("II", at + row[5], "version definitions")
        yield source.text(name, "version")


def _chain(
    source: _Object, offset: int | None, format: str, what: str, limit: int = _CHAIN_LIMIT
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The records of a list whose last field is the distance to the next one: (offset, fields).

    A distance is never negative, so no list is a ring; its length is bounded by the file's budget.
    """
    for _ in range(limit):
        if offset is None:
            return
        row = source.record(format, offset, what)
        yield offset, row
        offset = offset + row[-1] if row[-1] else None


def _symbol_count(source: _Object) -> int:
    """How many dynamic symbols there are: no field says it, each linker leaves another trace."""
    hash_table = source.table(_DT_HASH, "hash table")
    if hash_table is not None:
        # The entries of DT_HASH are 64 bits wide on these two machines, 32 on all others.
        wide = source.bits == 64 and source.machine in (_EM_S390, _EM_ALPHA)
        return source.record("QQ" if wide else "II", hash_table, "hash table")[1]
    return _gnu_hash_count(source) or _symbols_size(source) // struct.calcsize("=" + source.layout.symbol)


def _symbols_size(source: _Object) -> int:
    """How long the table of symbols is by its section header, or at most, up to the next table in memory."""
    table = source.table(_DT_SYMTAB, "symbol table")
    sizes = [size for section_type, offset, size in source.sections() if section_type == _SHT_DYNSYM and offset == table]
    start = source.dynamic[_DT_SYMTAB][0]
    later = [values[0] for tag, values in source.dynamic.items() if tag in _DT_ADDRESSES and values[0] > start]
    return sizes[0] if sizes else min(later, default=start) - start


def _gnu_hash_count(source: _Object) -> int:
    """The number after the last symbol in the GNU hash table; 0 where it is empty: it holds no undefined symbols."""
    table = source.table(_DT_GNU_HASH, "GNU hash table")
    if table is None:
        return 0
    buckets, first, bloom_words, _ = source.record("IIII", table, "GNU hash table")
    buckets_at = table + 16 + bloom_words * source.bits // 8
    last = max((index for (index,) in source.records("I", buckets_at, buckets, "GNU hash table")), default=0)
    if last < first:
        return 0
    chains_at = buckets_at + 4 * buckets
    for index in range(last, last + _CHAIN_LIMIT):
        if source.record("I", chains_at + 4 * (index - first), "GNU hash table")[0] & 1:
            return index + 1
    raise InvalidData(f"`{source.bytes.name}`: its GNU hash table has a chain without an end")


def _dlopen_notes(source: _Object) -> Iterator[DlopenNote]:
    """What the file's notes of owner FDO say. A note that is not understood is only advice lost, not an error."""
    for segment in source.segments:
        if segment.type == _PT_NOTE:
            data = source.bytes.at(segment.offset, min(segment.size, _NOTES_LIMIT), "notes")
            for owner, note_type, text in _notes(source, data, 8 if segment.align == 8 else 4):
                if owner == b"FDO\0" and note_type == _FDO_DLOPEN:
                    yield from _dlopen_features(text)


def _notes(source: _Object, data: bytes, align: int) -> Iterator[tuple[bytes, int, bytes]]:
    """(owner, type, description) of each whole note."""
    packer = struct.Struct("<III" if source.byte_order == "little" else ">III")
    at = 0
    while at + 12 <= len(data):
        owner_size, size, note_type = packer.unpack_from(data, at)
        start = _round_up(at + 12 + owner_size, align)
        yield data[at + 12 : at + 12 + owner_size], note_type, data[start : start + size]
        at = _round_up(start + size, align)


def _round_up(number: int, align: int) -> int:
    return (number + align - 1) // align * align


def _dlopen_features(text: bytes) -> Iterator[DlopenNote]:
    import json

    try:
        features = json.loads(text.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return
    for feature in features if isinstance(features, list) else ():
        sonames = feature.get("soname") if isinstance(feature, dict) else None
        if isinstance(sonames, list) and all(isinstance(name, str) and name.isprintable() for name in sonames):
            yield DlopenNote(
                str(feature.get("feature", "")),
                str(feature.get("description", "")),
                _PRIORITIES.get(str(feature.get("priority")), "recommended"),  # the specification's default
                tuple(sonames),
            )
