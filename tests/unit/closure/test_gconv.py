"""Charsets: which modules come along, and a cache by which glibc finds them."""

import struct

import pytest

from elves import make_elf
from jettison.closure import gconv, gconv_cache
from jettison.closure.caches import charsets
from jettison.closure.elf import ByteOrder
from jettison.closure.gconv import Configuration
from jettison.errors import InvalidData
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree

FOLDER = "/usr/lib/x86_64-linux-gnu/gconv"
TEXT = b"""\
# a comment
alias   ISO-IR-100//     ISO-8859-1//
alias   latin1//         ISO-8859-1//   # another
module  ISO-8859-1//     INTERNAL        ISO8859-1    1
module  INTERNAL         ISO-8859-1//    ISO8859-1    1
module  BIG5//           INTERNAL        BIG5         1
module  INTERNAL         BIG5//          BIG5         1
alias   BIG-FIVE//       BIG5//
alias   ASCII-ALIAS//    ANSI_X3.4-1968//
"""
MORE = b"module GBK// INTERNAL GBK 1\nmodule INTERNAL GBK// GBK 1\nmodule BIG5// GBK// BIG5GBK 1\n"


def tree(*modules: str) -> Tree:
    files = {
        f"{FOLDER}/gconv-modules": made_file(TEXT),
        f"{FOLDER}/gconv-modules.d/more.conf": made_file(MORE),
        **{f"{FOLDER}/{name}.so": made_file(make_elf()) for name in modules},
    }
    parts = FOLDER.split("/")
    folders = {"/".join(parts[:end]): made_dir() for end in range(2, len(parts) + 1)}
    return Tree({**folders, f"{FOLDER}/gconv-modules.d": made_dir(), **files})


def looked_up(cache: bytes, name: str, order: str = "<") -> tuple[str, ...]:
    """What glibc finds: the charset, then folder and file from INTERNAL and to it; nothing for an unknown name."""
    magic, texts, hashes, size, rows, _ = struct.unpack_from(f"{order}I5H", cache)
    assert magic == 0x20010324
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        if high := value & 0xF0000000:
            value = value ^ high >> 24 ^ high
    place = value % size
    while True:
        at, row = struct.unpack_from(f"{order}2H", cache, hashes + 4 * place)
        if at == 0:
            return ()
        if text_at(cache, texts + at) == name:
            return tuple(text_at(cache, texts + at) for at in struct.unpack_from(f"{order}5H", cache, rows + 12 * row))
        place = (place + 1 + value % (size - 2)) % size


def text_at(cache: bytes, at: int) -> str:
    return cache[at : cache.index(b"\0", at)].decode()


def test_a_configuration_is_read_with_its_folder() -> None:
    """Comments are none, names are in capitals."""
    found = gconv.configuration(tree("BIG5"), FOLDER)

    assert found.aliases["LATIN1//"] == "ISO-8859-1//"
    assert ("BIG5//", "GBK//", "BIG5GBK") in found.modules


def test_modules_of_a_charset_are_found_by_any_of_its_names() -> None:
    """As iconv(1) takes them."""
    found = gconv.configuration(tree(), FOLDER)

    assert gconv.modules_of(found, "latin1") == {"ISO8859-1"}
    assert gconv.modules_of(found, "Big5") == {"BIG5"}


@pytest.mark.parametrize(("byte_order", "order"), [("little", "<"), ("big", ">")])
def test_the_cache_finds_every_name(byte_order: ByteOrder, order: str) -> None:
    """Charsets with modules, their aliases, and what is built in."""
    found = gconv.configuration(tree(), FOLDER)
    cache = gconv_cache.write(found, FOLDER, byte_order)

    folder = f"{FOLDER}/"
    for name in ("ISO-8859-1//", "LATIN1//", "ISO-IR-100//"):
        assert looked_up(cache, name, order) == ("ISO-8859-1//", folder, "ISO8859-1.so", folder, "ISO8859-1.so")
    assert looked_up(cache, "ASCII-ALIAS//", order) == ("ANSI_X3.4-1968//", "", "=INTERNAL->ascii", "", "=ascii->INTERNAL")
    assert looked_up(cache, "UTF-8//", order)[0] == "ISO-10646/UTF8/"
    assert looked_up(cache, "WCHAR_T//", order)[0] == "INTERNAL"
    assert looked_up(cache, "NO-SUCH//", order) == ()


def test_what_did_not_come_along_is_not_in_the_cache() -> None:
    """Neither the module, nor its aliases, nor a direct conversion to it; gconv-modules says the same."""
    made = charsets(tree("BIG5", "BIG5GBK"))

    cache, text = (read(made[f"{FOLDER}/{name}"]) for name in ("gconv-modules.cache", "gconv-modules"))
    assert looked_up(cache, "BIG5//") and looked_up(cache, "BIG-FIVE//")
    assert not looked_up(cache, "ISO-8859-1//") and not looked_up(cache, "LATIN1//")
    assert b"ISO8859-1" not in text and b"LATIN1" not in text and b"BIG-FIVE" in text


def test_a_ring_of_aliases_is_no_name() -> None:
    """A hostile configuration ends."""
    found = Configuration((), {"A//": "B//", "B//": "A//"})

    assert looked_up(gconv_cache.write(found, FOLDER, "little"), "A//") == ()


def test_more_charsets_than_a_cache_can_hold_are_an_error() -> None:
    """Its offsets have sixteen bits."""
    modules = tuple((f"{number:0100}//", "INTERNAL", "M") for number in range(1000))

    with pytest.raises(InvalidData, match="cache"):
        gconv_cache.write(Configuration(modules, {}), FOLDER, "little")


def read(node: Node) -> bytes:
    assert node.content is not None
    with node.content.open() as file:
        return file.read()
