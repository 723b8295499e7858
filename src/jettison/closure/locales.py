"""The locales of a Root: those that glibc's locale-archive holds, and those that are folders.

The archive's layout: locale/locarchive.h of glibc. Header, hash table of names, texts, a record a locale: where each category's
file lies. Files that locales share are in it once. Nothing is compiled anew: what glibc maps is what comes along.
"""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jettison.errors import InvalidData
from jettison.tree.node import Node, made_file
from jettison.tree.root import Root, resolve

FOLDER = "/usr/lib/locale"
_ARCHIVE = f"{FOLDER}/locale-archive"
_MAGIC = 0xDE020109
_HEAD_WORDS = 14
_LIMIT_BYTES = 512 << 20
_LIMIT_LOCALES = 4096
_LIMIT_NAME = 256
# The categories in the order of <locale.h>'s numbers; the sixth one, LC_ALL, is no file.
_CATEGORIES = (
    "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LC_COLLATE", "LC_MONETARY", "LC_MESSAGES/SYS_LC_MESSAGES", "", "LC_PAPER", "LC_NAME",
    "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION",
)  # fmt: skip
_CODESET_INDEX = 14  # _NL_CTYPE_CODESET_NAME in <langinfo.h>
_BUILT_IN = re.compile(r"C|POSIX|C\.utf-?8", re.IGNORECASE)


class Locale(NamedTuple):
    """`name` as the Root has it; `made` are the files that an archive holds, `paths` those that the Root has as files."""

    name: str
    made: Mapping[str, Node]
    paths: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Where its files lie, or come to lie."""
        return f"{FOLDER}/{self.name}"


def locales(root: Root) -> dict[str, Locale]:
    """normalised name → the locale; of those in the archive and as a folder, the archive's, as setlocale(3) looks there first."""
    from jettison.closure.rules import glob

    found = {}
    for name in root.listdir(FOLDER):
        if resolve(root, f"{FOLDER}/{name}/LC_CTYPE").node is not None:
            found[normalised(name)] = Locale(name, {}, tuple(sorted(glob(root, f"{FOLDER}/{name}/**"))))
    return found | {normalised(item.name): item for item in _archived(root)}


def normalised(name: str) -> str:
    """`de_DE.utf8` for `de_DE.UTF-8`: glibc's codesets are compared by their letters and digits, and `iso` stands for none."""
    language, dot, rest = name.partition(".")
    codeset, at, modifier = rest.partition("@")
    plain = "".join(sign for sign in codeset.lower() if sign.isalnum())
    return language + dot + (f"iso{plain}" if plain.isdecimal() else plain) + at + modifier


def is_built_in(name: str) -> bool:
    """Whether every image has the locale, or none needs to."""
    return bool(_BUILT_IN.fullmatch(name))


def languages(name: str) -> tuple[str, ...]:
    """The names that translations for a locale have, the closest first: `de_AT.UTF-8` → de_AT, de."""
    territory = re.split(r"[.@]", name)[0]
    return tuple(dict.fromkeys((territory, territory.partition("_")[0])))


def codeset(root: Root, locale: Locale) -> str:
    """The charset of a locale's texts; empty where its file does not say so."""
    path = f"{locale.folder}/LC_CTYPE"
    node = locale.made.get(path)
    content = node.content if node else None
    with content.open() if content else root.open(resolve(root, path).path) as file:
        data = file.read(_LIMIT_BYTES)
    try:
        order = "<" if data[3:4] == b"\x20" else ">"  # 0x20090720: LIMAGIC in locale/localeinfo.h, dates with a category in them
        (start,) = struct.unpack_from(f"{order}I", data, 8 + 4 * _CODESET_INDEX)
        return data[start : data.index(b"\0", start)].decode("ascii", "replace")
    except (struct.error, ValueError):
        return ""


def _archived(root: Root) -> Iterator[Locale]:
    node = root.lstat(_ARCHIVE)
    if node is None or node.kind != "file" or not node.size:
        return
    with root.open(_ARCHIVE) as file:
        data = file.read(_LIMIT_BYTES)
    try:
        yield from _read(data)
    except (struct.error, ValueError) as error:
        raise InvalidData(f"`{_ARCHIVE}` is no archive of locales: {error}") from error


def _read(data: bytes) -> Iterator[Locale]:
    """The locales of an archive, in the byte order of its machine."""
    order = "<" if data[:4] == struct.pack("<I", _MAGIC) else ">"
    head = struct.unpack_from(f"{order}{_HEAD_WORDS}I", data)
    if head[0] != _MAGIC:
        raise ValueError(f"it starts with {head[0]:#x}, expected {_MAGIC:#x}")
    _, _, names_at, _, names_size = head[:5]
    rows = struct.iter_unpack(f"{order}3I", data[names_at : names_at + 12 * names_size])
    used = sorted((name_at, record_at) for _, name_at, record_at in rows if record_at)[:_LIMIT_LOCALES]
    for name_at, record_at in used:
        name = data[name_at : data.index(b"\0", name_at, name_at + _LIMIT_NAME)].decode("ascii")
        if name.strip(".") and "/" not in name:
            record = struct.unpack_from(f"{order}{2 * len(_CATEGORIES)}I", data, record_at + 4)
            yield Locale(name, dict(_files(data, f"{FOLDER}/{name}", record)), ())


def _files(data: bytes, folder: str, record: tuple[int, ...]) -> Iterator[tuple[str, Node]]:
    """A locale's files: with hard links what locales share, as localedef(1) links them."""
    for category, start, size in zip(_CATEGORIES, record[::2], record[1::2], strict=True):
        if start + size > len(data):
            raise ValueError(f"{category or 'a file'} should lie at {start}, {size} bytes long, of {len(data)}")
        if category:
            node = made_file(data[start : start + size])
            yield f"{folder}/{category}", node._replace(inode=(-1, start))
