"""ELF files made by hand: any class, byte order and machine, with the tables that a dynamic linker reads and nothing else."""

import json
import struct
from collections.abc import Mapping, Sequence

BASE = 0x10000  # where the file is loaded, so that no address is an offset by chance


def make_elf(
    bits: int = 64,
    byte_order: str = "little",
    machine: int = 62,
    *,
    kind: int = 3,
    abi_flags: int = 0,
    interpreter: str = "",
    needed: Sequence[str] = (),
    soname: str = "",
    rpath: str | None = None,
    runpath: str | None = None,
    flags_1: int = 0,
    versions_needed: Mapping[str, Sequence[tuple[str, bool]]] | None = None,
    versions_defined: Sequence[str] = (),
    imports: Sequence[str] = (),
    exports: Sequence[str] = (),
    dlopen: Sequence[Mapping[str, object]] | None = None,
    hash_table: str = "sysv",
) -> bytes:
    """The file. `versions_needed`: file → (version, is weak). `hash_table` is "sysv" or "none".

    It has section headers for readelf, which finds versions by them alone; `without_sections` takes them away.
    """
    maker = _Maker(bits, byte_order)
    strings = _Strings()
    blocks: dict[str, bytes] = {
        "interp": interpreter.encode() + b"\0" if interpreter else b"",
        "note": _note(maker, dlopen) if dlopen is not None else b"",
        "dynsym": b"".join(
            [maker.symbol(0, 0)]
            + [maker.symbol(strings.add(name), 0) for name in imports]
            + [maker.symbol(strings.add(name), 1) for name in exports]
        ),
        "verneed": _verneed(maker, strings, versions_needed or {}),
        "verdef": _verdef(maker, strings, versions_defined),
    }
    count = 1 + len(imports) + len(exports)
    words = "QQ" if bits == 64 and machine in (22, 0x9026) else "II"
    blocks["hash"] = maker.pack(words[0] * (3 + count), 1, count, *[0] * (1 + count)) if hash_table == "sysv" else b""
    tags = [(1, strings.add(name)) for name in needed]
    texts = ((14, soname or None), (15, rpath), (29, runpath))
    tags += [(tag, strings.add(text)) for tag, text in texts if text is not None]
    tags += [(0x6FFFFFFB, flags_1)] if flags_1 else []
    blocks["dynstr"] = strings.data
    tables = {"dynstr": 5, "dynsym": 6, "hash": 4, "verneed": 0x6FFFFFFE, "verdef": 0x6FFFFFFC}
    tags += [(10, len(strings.data)), (11, len(maker.symbol(0, 0)))]
    counts = {"verneed": len(versions_needed or ()), "verdef": len(versions_defined)}
    tags += [(0x6FFFFFFF, counts["verneed"]), (0x6FFFFFFD, counts["verdef"])]
    size = len(tags) + sum(1 for name in tables if blocks[name]) + 1
    blocks["dynamic"] = bytes(size * maker.word * 2)
    parts = [name for name in ("interp", "note", "dynamic") if blocks[name]]
    offsets, end = {}, maker.header_size + maker.segment_size * (1 + len(parts))
    for name, data in blocks.items():
        offsets[name] = end = (end + 7) // 8 * 8
        end += len(data)
    tags += [(tag, BASE + offsets[name]) for name, tag in tables.items() if blocks[name]]
    blocks["dynamic"] = b"".join(maker.words(*tag) for tag in (*tags, (0, 0)))
    numbers = {"interp": 3, "note": 4, "dynamic": 2}
    segments = [maker.segment(1, 0, end)] + [maker.segment(numbers[name], offsets[name], len(blocks[name])) for name in parts]
    kinds = {"dynstr": 3, "dynamic": 6, "dynsym": 11, "verneed": 0x6FFFFFFE, "verdef": 0x6FFFFFFD}
    sizes = {"dynamic": 2 * maker.word, "dynsym": len(maker.symbol(0, 0))}
    sections = [
        maker.section(number, offsets[name], len(blocks[name]), counts.get(name, 0), sizes.get(name, 0))
        for name, number in kinds.items()
        if blocks[name]
    ]
    file = maker.header(kind, machine, abi_flags, len(segments), end, 1 + len(sections)) + b"".join(segments)
    for name, block in blocks.items():
        file += bytes(offsets[name] - len(file)) + block
    return file + maker.section(0, 0, 0, 0, 0) + b"".join(sections)


def without_sections(file: bytes) -> bytes:
    """The file as `sstrip` leaves it: its header says that there are no section headers."""
    offset, size = ((40, 8), (32, 4))[file[4] == 1]
    count = 60 if file[4] == 2 else 48
    return file[:offset] + bytes(size) + file[offset + size : count] + bytes(4) + file[count + 4 :]


class _Maker:
    """Packs records of one class and byte order."""

    def __init__(self, bits: int, byte_order: str) -> None:
        self.bits = bits
        self.word = bits // 8
        self.prefix = "<" if byte_order == "little" else ">"
        self.header_size, self.segment_size, self.section_size = (64, 56, 64) if bits == 64 else (52, 32, 40)

    def pack(self, format: str, *values: int) -> bytes:
        return struct.pack(self.prefix + format, *values)

    def words(self, *values: int) -> bytes:
        return self.pack(("Q" if self.bits == 64 else "I") * len(values), *values)

    def header(self, kind: int, machine: int, abi_flags: int, segments: int, sections_at: int, sections: int) -> bytes:
        ident = b"\x7fELF" + bytes([self.bits // 32, 1 if self.prefix == "<" else 2, 1]) + bytes(9)
        middle = self.words(0, self.header_size, sections_at)
        sizes = (self.header_size, self.segment_size, segments, self.section_size, sections, 0)
        return ident + self.pack("HHI", kind, machine, 1) + middle + self.pack("IHHHHHH", abi_flags, *sizes)

    def section(self, kind: int, offset: int, size: int, info: int, entry_size: int) -> bytes:
        """A section header; all that have texts have them in the first section, the string table."""
        place = self.words(2, BASE + offset, offset, size)
        return self.pack("II", 0, kind) + place + self.pack("II", 1, info) + self.words(1, entry_size)

    def segment(self, kind: int, offset: int, size: int) -> bytes:
        if self.bits == 64:
            return self.pack("IIQQQQQQ", kind, 4, offset, BASE + offset, BASE + offset, size, size, 4)
        return self.pack("IIIIIIII", kind, offset, BASE + offset, BASE + offset, size, size, 4, 4)

    def symbol(self, name: int, section: int) -> bytes:
        if self.bits == 64:
            return self.pack("IBBHQQ", name, 0x12, 0, section, 0, 0)
        return self.pack("IIIBBH", name, 0, 0, 0x12, 0, section)


class _Strings:
    """A string table that grows."""

    def __init__(self) -> None:
        self._data = bytearray(1)

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    def add(self, text: str) -> int:
        place = len(self._data)
        self._data += text.encode("utf-8", "surrogateescape") + b"\0"
        return place


def _verneed(maker: _Maker, strings: _Strings, needs: Mapping[str, Sequence[tuple[str, bool]]]) -> bytes:
    table = b""
    for number, (file, versions) in enumerate(needs.items()):
        size = 16 + 16 * len(versions)
        last = number == len(needs) - 1
        table += maker.pack("HHIII", 1, len(versions), strings.add(file), 16, 0 if last else size)
        for index, (version, weak) in enumerate(versions):
            after = 0 if index == len(versions) - 1 else 16
            table += maker.pack("IHHII", _hash(version), 2 if weak else 0, 2 + index, strings.add(version), after)
    return table


def _verdef(maker: _Maker, strings: _Strings, versions: Sequence[str]) -> bytes:
    table = b""
    for number, version in enumerate(versions):
        after = 0 if number == len(versions) - 1 else 28
        flags = 1 if number == 0 else 0  # the first one names the file
        table += maker.pack("HHHHIII", 1, flags, number + 1, 1, _hash(version), 20, after)
        table += maker.pack("II", strings.add(version), 0)
    return table


def _hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return value


def _note(maker: _Maker, features: Sequence[Mapping[str, object]]) -> bytes:
    text = json.dumps(features).encode() + b"\0"
    return maker.pack("III", 4, len(text), 0x407C0C0A) + b"FDO\0" + text + bytes(-len(text) % 4)
