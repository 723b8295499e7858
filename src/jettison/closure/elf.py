"""An ELF file's facts: what a dynamic linker would read out of it.

Both classes, both byte orders, any machine. Everything is found through the program headers, so that a file stripped of its
section headers tells as much.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from jettison.closure.elf_file import MAGIC, PT_DYNAMIC, PT_INTERP, PT_NOTE, ByteOrder, ElfFile, Type
from jettison.errors import InvalidData

__all__ = ["MAGIC", "ByteOrder", "DlopenNote", "Elf", "Priority", "Type", "imported_symbols", "is_elf", "read"]

Priority = Literal["required", "recommended", "suggested"]

_FACTS_BUDGET = 16 << 20
_SYMBOLS_BUDGET = 64 << 20
_CHAIN_LIMIT = 1 << 16
_NOTES_LIMIT = 64 << 10
_SYMBOLS_AT_ONCE = 1 << 14

_SHT_DYNSYM = 11
_DT_NEEDED, _DT_HASH, _DT_SYMTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 4, 6, 14, 15, 29
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
    the header's `e_flags`. `code` is (offset, size) of what is machine code and nothing else.
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
    code: tuple[tuple[int, int], ...] = ()


def is_elf(head: bytes) -> bool:
    """Whether a file that starts so is an ELF file."""
    return head[:4] == MAGIC


def read(file: BinaryIO, name: str) -> Elf:
    """The facts of the ELF file `file`, called `name` in errors. Errors: InvalidData."""
    source = ElfFile(file, name, _FACTS_BUDGET)
    needs = list(_versions_needed(source))
    return Elf(
        bits=source.bits,
        byte_order=source.byte_order,
        machine=source.machine,
        abi_flags=source.abi_flags,
        type=source.type,
        is_dynamic=any(segment.type == PT_DYNAMIC for segment in source.segments),
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
        code=tuple(source.code()),
    )


def imported_symbols(file: BinaryIO, name: str) -> tuple[str, ...]:
    """The undefined dynamic symbols, sorted, without their versions. Errors: InvalidData."""
    source = ElfFile(file, name, _SYMBOLS_BUDGET)
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


def _interpreter(source: ElfFile) -> str:
    segment = next((segment for segment in source.segments if segment.type == PT_INTERP), None)
    return source.bytes.text(segment.offset, "interpreter") if segment else ""


def _search_path(source: ElfFile, tag: int, what: str) -> tuple[str, ...]:
    return tuple(source.last_text(tag, what).split(":")) if tag in source.dynamic else ()


def _versions_needed(source: ElfFile) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Each file of which versions are needed, with (version, whether ld.so goes on without it)."""
    for at, (_, count, file, first, _) in _chain(source, source.table(_DT_VERNEED, "version needs"), "HHIII", "version needs"):
        versions = _chain(source, at + first, "IHHII", "version needs", count)
        yield (
            source.text(file, "version need's file"),
            [(source.text(name, "version"), bool(flags & _VER_FLG_WEAK)) for _, (_, flags, _, name, _) in versions],
        )


def _versions_defined(source: ElfFile) -> Iterator[str]:
    """The first name of each definition: the others are the versions it inherits from."""
    table = source.table(_DT_VERDEF, "version definitions")
    for at, row in _chain(source, table, "HHHHIII", "version definitions"):
        name, _ = source.record("II", at + row[5], "version definitions")
        yield source.text(name, "version")


def _chain(
    source: ElfFile, offset: int | None, format: str, what: str, limit: int = _CHAIN_LIMIT
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


def _symbol_count(source: ElfFile) -> int:
    """How many dynamic symbols there are: no field says it, each linker leaves another trace."""
    hash_table = source.table(_DT_HASH, "hash table")
    if hash_table is not None:
        # The entries of DT_HASH are 64 bits wide on these two machines, 32 on all others.
        wide = source.bits == 64 and source.machine in (_EM_S390, _EM_ALPHA)
        return source.record("QQ" if wide else "II", hash_table, "hash table")[1]
    return _gnu_hash_count(source) or _symbols_size(source) // struct.calcsize("=" + source.layout.symbol)


def _symbols_size(source: ElfFile) -> int:
    """How long the table of symbols is by its section header, or at most, up to the next table in memory."""
    table = source.table(_DT_SYMTAB, "symbol table")
    sizes = [size for section_type, offset, size in source.sections() if section_type == _SHT_DYNSYM and offset == table]
    start = source.dynamic[_DT_SYMTAB][0]
    later = [values[0] for tag, values in source.dynamic.items() if tag in _DT_ADDRESSES and values[0] > start]
    return sizes[0] if sizes else min(later, default=start) - start


def _gnu_hash_count(source: ElfFile) -> int:
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


def _dlopen_notes(source: ElfFile) -> Iterator[DlopenNote]:
    """What the file's notes of owner FDO say. A note that is not understood is only advice lost, not an error."""
    for segment in source.segments:
        if segment.type == PT_NOTE:
            data = source.bytes.at(segment.offset, min(segment.size, _NOTES_LIMIT), "notes")
            for owner, note_type, text in _notes(source, data, 8 if segment.align == 8 else 4):
                if owner == b"FDO\0" and note_type == _FDO_DLOPEN:
                    yield from _dlopen_features(text)


def _notes(source: ElfFile, data: bytes, align: int) -> Iterator[tuple[bytes, int, bytes]]:
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
