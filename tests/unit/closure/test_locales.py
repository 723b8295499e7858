"""Locales: what an archive and folders hold, and which of them come along."""

import struct

import pytest

from elves import make_elf
from jettison.closure import locales
from jettison.closure.choices import Choices
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.errors import InvalidData, UsageError
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree
from making import setting

ARCHIVE = "/usr/lib/locale/locale-archive"
COLLATE = b"the order of letters"


def ctype(codeset: str) -> bytes:
    """An LC_CTYPE that names its charset."""
    head = struct.pack("<II", 0x20090720, 15) + b"".join(struct.pack("<I", 68) for _ in range(15))
    return head + codeset.encode() + b"\0"


def archive(**charset_of: str) -> bytes:
    """An archive of these locales, which share one LC_COLLATE."""
    head_size, hash_size = 56, 12 * 7
    names, records, files = b"", b"", b""
    rows = []
    names_at = head_size + hash_size
    names_size = sum(len(name) + 1 for name in charset_of)
    records_at = names_at + names_size
    files_at = records_at + 108 * len(charset_of)
    files = COLLATE
    for name, charset in charset_of.items():
        rows.append((1, names_at + len(names), records_at + len(records)))
        names += name.replace("_dot_", ".").encode() + b"\0" + bytes(4) * name.count("_dot_")
        record = [files_at + len(files), len(ctype(charset)), *[files_at, 0] * 2, files_at, len(COLLATE), *[files_at, 0] * 9]
        files += ctype(charset)
        records += struct.pack("<27I", 1, *record)
    table = b"".join(struct.pack("<3I", *row) for row in rows).ljust(hash_size, b"\0")
    head = struct.pack("<14I", 0xDE020109, 1, head_size, len(rows), 7, names_at, 0, 0, records_at, 0, 0, 0, 0, 0)
    return head + table + names + records + files


def root(files: dict[str, Node], imports: tuple[str, ...] = ("setlocale", "strcoll")) -> Tree:
    nodes: dict[str, Node] = {}
    program = made_file(make_elf(imports=imports, needed=["libc.so.6"]), 0o755)
    libc = made_file(make_elf(soname="libc.so.6"))
    for path, node in {"/usr/bin/app": program, "/usr/lib/libc.so.6": libc, **files}.items():
        parts = path.split("/")
        nodes |= {"/".join(parts[:end]): made_dir() for end in range(2, len(parts))}
        nodes[path] = node
    return Tree(nodes)


def closure(tree: Tree, *names: str, environment: tuple[tuple[str, str], ...] = ()) -> Closure:
    entry = Need("/usr/bin/app", Reason("entry", "", "the program"))
    return resolve(tree, [entry], setting(tree, Choices(locales=names))._replace(environment=environment))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("de_DE.UTF-8", "de_DE.utf8"),
        ("de_DE.utf8", "de_DE.utf8"),
        ("de_DE.ISO-8859-15@euro", "de_DE.iso885915@euro"),
        ("ru_RU.8859-5", "ru_RU.iso88595"),
        ("de_DE@euro", "de_DE@euro"),
        ("C", "C"),
    ],
)
def test_a_codeset_is_known_by_its_letters_and_digits(name: str, known: str) -> None:
    """As setlocale(3) compares them."""
    assert locales.normalised(name) == known


def test_locales_of_an_archive_come_as_folders() -> None:
    """What they share is one file."""
    tree = root({ARCHIVE: made_file(archive(de_DE_dot_utf8="UTF-8", fr_FR_dot_utf8="UTF-8"))})
    found = closure(tree)

    german, french = (found.made[f"/usr/lib/locale/{name}.utf8/LC_COLLATE"] for name in ("de_DE", "fr_FR"))
    assert german.inode == french.inode is not None
    assert german.size == len(COLLATE)
    assert ARCHIVE not in found


def test_a_program_that_does_not_sort_or_write_by_a_locale_gets_none() -> None:
    """That it asks for the locale's charset takes no file of it."""
    tree = root({ARCHIVE: made_file(archive(de_DE_dot_utf8="UTF-8"))}, ("setlocale", "nl_langinfo"))

    assert not closure(tree).made


def test_where_locales_are_too_large_the_settings_choose() -> None:
    """Those of the machine, or of the program's environment."""
    names = ("de_DE", "fr_FR", "it_IT")
    files = {f"/usr/lib/locale/{name}.utf8/LC_CTYPE": made_file(b"\0" * (3 << 20)) for name in names}
    files["/etc/default/locale"] = made_file(b'#LANG=it_IT.UTF-8\nLANG="de_DE.UTF-8"\n')
    tree = root(files)

    assert folders(closure(tree)) == {"de_DE.utf8"}
    assert folders(closure(tree, environment=(("LC_TIME", "fr_FR.UTF-8"),))) == {"de_DE.utf8", "fr_FR.utf8"}


def test_a_chosen_locale_comes_whatever_the_program_imports() -> None:
    """The first one is the image's LANG."""
    tree = root({ARCHIVE: made_file(archive(de_DE_dot_utf8="UTF-8", fr_FR_dot_utf8="UTF-8"))}, ())
    found = closure(tree, "fr_FR.UTF-8")

    assert {path.split("/")[4] for path in found.made} == {"fr_FR.utf8"}
    assert [(item.name, item.value) for item in found.variables] == [("LANG", "fr_FR.UTF-8")]


def test_a_chosen_locale_brings_its_charset() -> None:
    """libc converts its texts with a module."""
    gconv = "/usr/lib/x86_64-linux-gnu/gconv"
    text = b"module ISO-8859-15// INTERNAL ISO8859-15 1\nmodule INTERNAL ISO-8859-15// ISO8859-15 1\n"
    files = {f"{gconv}/gconv-modules": made_file(text), f"{gconv}/ISO8859-15.so": made_file(make_elf())}
    tree = root({ARCHIVE: made_file(archive(de_DE="ISO-8859-15")), **files}, ())

    assert f"{gconv}/ISO8859-15.so" in closure(tree, "de_DE")


def test_a_locale_that_is_not_there_is_an_error_with_those_that_are() -> None:
    """And what makes one."""
    tree = root({ARCHIVE: made_file(archive(de_DE_dot_utf8="UTF-8"))})

    with pytest.raises(UsageError, match=r"it_IT\.UTF-8") as error:
        closure(tree, "it_IT.UTF-8")
    assert "de_DE.utf8" in error.value.hint


@pytest.mark.parametrize("damage", [slice(0, 4), slice(8, 12), slice(16, 20), slice(60, 64), slice(64, 68)])
def test_a_broken_archive_is_an_error_with_its_name(damage: slice) -> None:
    """Or leaves a locale out; it never takes what lies outside of the archive."""
    data = bytearray(archive(de_DE_dot_utf8="UTF-8"))
    data[damage] = b"\xff\xff\xff\xff"

    try:
        found = locales.locales(root({ARCHIVE: made_file(bytes(data))}))
    except InvalidData as error:
        assert "locale-archive" in error.message
    else:
        assert all(node.size <= len(data) for item in found.values() for node in item.made.values())


def test_messages_come_with_a_chosen_locale() -> None:
    """Those of the packages whose files are in the image, in the language with its country or without."""
    status = b"Package: app\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
    messages = ["/usr/share/locale/de/LC_MESSAGES/app-tools.mo", "/usr/share/locale/fr/LC_MESSAGES/app-tools.mo"]
    files = {
        "/var/lib/dpkg/status": made_file(status),
        "/var/lib/dpkg/info/app.list": made_file("\n".join(["/usr/bin/app", *messages, ""]).encode()),
        ARCHIVE: made_file(archive(de_AT_dot_utf8="UTF-8")),
        **dict.fromkeys(messages, made_file(b"")),
    }

    found = closure(root(files), "de_AT.UTF-8")

    assert [path for path in found.reasons if path.endswith(".mo")] == messages[:1]


def folders(found: Closure) -> set[str]:
    return {path.split("/")[4] for path in found.reasons if path.startswith("/usr/lib/locale/")}
