"""gconv-modules.cache, by which glibc finds the module of a charset without reading gconv-modules.

Its layout: iconv/iconvconfig.h of glibc, the same since 2001. A header; texts; a hash table name → charset; charsets, each with
its modules from and to INTERNAL; direct conversions. All offsets have 16 bits.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from jettison.closure.elf import ByteOrder
from jettison.closure.gconv import INTERNAL, Configuration
from jettison.errors import InvalidData

_MAGIC = 0x20010324
_HEAD_BYTES = 16
_LIMIT_BYTES = 0xFFFF
# What glibc converts without a module stands in the cache too: charset, name of its functions, further names.
_BUILT_IN = (
    ("ANSI_X3.4-1968//", "ascii", "ISO-IR-6// ANSI_X3.4-1986// ISO_646.IRV:1991// ASCII// ISO646-US// US-ASCII// US// IBM367//"
     " CP367// CSASCII// ANSI_X3.4// OSF00010020//"),
    ("UCS-4LE//", "ucs4le", ""),
    ("ISO-10646/UTF8/", "utf8", "UTF8// UTF-8// ISO-IR-193// OSF05010001// ISO-10646/UTF-8/"),
    ("ISO-10646/UCS4/", "ucs4", "UCS-4// UCS4// UCS-4BE// CSUCS4// ISO-10646// 10646-1:1993// 10646-1:1993/UCS4/ OSF00010104//"
     " OSF00010105// OSF00010106//"),
)  # fmt: skip
_UCS2_NAMES = "UCS-2// UCS2// OSF00010100// OSF00010101// OSF00010102//"
_UCS2 = {
    "little": (
        ("ISO-10646/UCS2/", "ucs2", f"{_UCS2_NAMES} UCS-2LE// UNICODELITTLE//"),
        ("UNICODEBIG//", "ucs2reverse", "UCS-2BE//"),
    ),
    "big": (
        ("ISO-10646/UCS2/", "ucs2", f"{_UCS2_NAMES} UCS-2BE// UNICODEBIG//"),
        ("UNICODELITTLE//", "ucs2reverse", "UCS-2LE//"),
    ),
}
_UNCHANGED = frozenset({INTERNAL, *(name for name, _, _ in _BUILT_IN)})


class _Charset(NamedTuple):
    """A charset and the file that converts it from INTERNAL, and to it; a built-in function's name starts with `=`."""

    name: str
    from_internal: str = ""
    to_internal: str = ""


def write(found: Configuration, folder: str, byte_order: ByteOrder) -> bytes:
    """The cache of the modules in `folder`, as iconvconfig(8) writes it. Errors: InvalidData where it would be too large."""
    charsets, names = _charsets(found, byte_order)
    texts = _Texts()
    places = {name: texts.offset(name) for name in names}
    order = "<" if byte_order == "little" else ">"
    extras, extra_of = _direct(found, names, texts, f"{folder}/", order)
    rows = b"".join(_row(charset, extra_of.get(charset.name, 0), texts, f"{folder}/", order) for charset in charsets)
    size = _prime(len(names) * 3 // 2)
    hashes = _hashes({name: (places[name], index) for name, index in names.items()}, size, order)
    data = texts.bytes()
    starts = [_HEAD_BYTES, _HEAD_BYTES + len(data)]
    starts += [starts[1] + len(hashes), starts[1] + len(hashes) + len(rows)]
    if starts[-1] + len(extras) > _LIMIT_BYTES:
        raise InvalidData(f"a cache of the charsets in `{folder}` would have {starts[-1]} bytes, expected at most {_LIMIT_BYTES}")
    head = struct.pack(f"{order}I5H2x", _MAGIC, starts[0], starts[1], size, starts[2], starts[3])
    return head + data + hashes + rows + extras


def _charsets(found: Configuration, byte_order: ByteOrder) -> tuple[list[_Charset], dict[str, int]]:
    """The charsets, and name → the number of its charset."""
    known = {INTERNAL: _Charset(INTERNAL)}
    aliases = {"WCHAR_T//": INTERNAL}
    for name, function, more in (*_BUILT_IN, *_UCS2[byte_order]):
        known[name] = _Charset(name, f"=INTERNAL->{function}", f"={function}->INTERNAL")
        aliases |= dict.fromkeys(more.split(), name)
    for start, end, module in found.modules:
        if start == INTERNAL and end not in _UNCHANGED:
            known[end] = known.get(end, _Charset(end))._replace(from_internal=f"{module}.so")
        elif end == INTERNAL and start not in _UNCHANGED:
            known[start] = known.get(start, _Charset(start))._replace(to_internal=f"{module}.so")
    names = {name: index for index, name in enumerate(known)}
    for alias in (*aliases, *found.aliases):
        target = _target(alias, found.aliases | aliases)
        if target in names:
            names.setdefault(alias, names[target])
    return list(known.values()), names


def _target(alias: str, aliases: Mapping[str, str]) -> str:
    """The charset at the end of a chain of aliases; of a ring, one of it."""
    seen = {alias}
    while alias in aliases and aliases[alias] not in seen:
        alias = aliases[alias]
        seen.add(alias)
    return alias


class _Texts:
    """The table of texts: each has an offset, the empty one has 0."""

    def __init__(self) -> None:
        self._offsets = {"": 0}
        self._end = 1

    def offset(self, text: str) -> int:
        if text not in self._offsets:
            if self._end > _LIMIT_BYTES:
                raise InvalidData(f"the charsets' names have more than {_LIMIT_BYTES} bytes, no cache has room for them")
            self._offsets[text] = self._end
            self._end += len(_encoded(text)) + 1
        return self._offsets[text]

    def bytes(self) -> bytes:
        data = b"".join(_encoded(text) + b"\0" for text in self._offsets)
        return data + bytes(-len(data) % 4)


def _direct(
    found: Configuration, names: Mapping[str, int], texts: _Texts, folder: str, order: str
) -> tuple[bytes, dict[str, int]]:
    """The conversions from one charset right to another, and charset → offset of its first one, counted from 1."""
    targets: dict[str, list[tuple[int, str]]] = {}
    for start, end, module in found.modules:
        if start in names and end in names and INTERNAL not in (start, end):
            targets.setdefault(start, []).append((names[end], f"{module}.so"))
    data, offsets = b"", {}
    for start, ends in targets.items():
        offsets[start] = len(data) + 1
        rows = [struct.pack(f"{order}4H", 1, end, texts.offset(folder), texts.offset(file)) for end, file in ends]
        data += b"".join(rows) + struct.pack(f"{order}H", 0)
    return data, offsets


def _row(charset: _Charset, extra: int, texts: _Texts, folder: str, order: str) -> bytes:
    places = [texts.offset(charset.name)]
    for file in (charset.from_internal, charset.to_internal):
        places += [texts.offset(folder if file and not file.startswith("=") else ""), texts.offset(file)]
    return struct.pack(f"{order}6H", *places, extra)


def _hashes(entries: Mapping[str, tuple[int, int]], size: int, order: str) -> bytes:
    """Open addressing: where a place is taken, a step further on that depends on the name."""
    table = [(0, 0)] * size
    for name, entry in entries.items():
        value = _hash(_encoded(name))
        place = value % size
        while table[place] != (0, 0):
            place = (place + 1 + value % (size - 2)) % size
        table[place] = entry
    return b"".join(struct.pack(f"{order}2H", *entry) for entry in table)


def _hash(name: bytes) -> int:
    """The hash function of ELF's symbol tables: gABI, chapter 5."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


def _prime(least: int) -> int:
    number = max(least, 5) | 1
    while any(number % divisor == 0 for divisor in range(3, int(number**0.5) + 1, 2)):
        number += 2
    return number


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
