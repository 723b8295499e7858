"""Locales and charsets, judged by glibc's own tools and by programs in an image."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jettison.closure import gconv, gconv_cache, locales
from jettison.tree.root import DirectoryRoot
from peers import Jettison

WORDS = "Zebra\nÄpfel\nAal\nöl\nOfen\napfel\n"


@pytest.fixture(scope="module")
def german() -> Iterator[Path]:
    """A folder like a machine's root, with sort and a locale-archive that has German and French, in Unicode and not."""
    folder = Path("/tmp") / f"jl.{os.getpid()}"
    archive = folder / locales.FOLDER[1:]
    archive.mkdir(parents=True)
    for name, charset in (("de_DE", "UTF-8"), ("fr_FR", "UTF-8"), ("de_DE@euro", "ISO-8859-15")):
        target = f"{name}.{charset}" if charset == "UTF-8" else name
        source = name.partition("@")[0] if charset == "UTF-8" else name
        subprocess.run(["localedef", f"--prefix={folder}", "-i", source, "-f", charset, target], check=True, capture_output=True)
        subprocess.run(["localedef", "--no-archive", "-i", source, "-f", charset, archive / f"own.{target}"], check=True)
    copied = subprocess.run(["ldd", "/usr/bin/sort"], capture_output=True, text=True, check=True).stdout.split()
    for path in ["/usr/bin/sort", "/usr/bin/date", *(word for word in copied if word.startswith("/"))]:
        (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path[1:])
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def tools(require: Callable[[str], str]) -> None:
    """glibc's own."""
    for tool in ("localedef", "iconvconfig", "iconv", "sort"):
        require(tool)


@pytest.mark.parametrize("name", ["de_DE.UTF-8", "fr_FR.UTF-8", "de_DE@euro"])
def test_an_archive_holds_what_localedef_writes_as_files(german: Path, name: str) -> None:
    """Byte for byte."""
    found = locales.locales(DirectoryRoot(str(german)))[locales.normalised(name)]

    for path, node in found.made.items():
        assert node.content is not None
        with node.content.open() as file:
            own = german / locales.FOLDER[1:] / f"own.{name}" / path[len(found.folder) + 1 :]
            assert file.read() == own.read_bytes(), path
    assert len(found.made) == 12
    assert locales.codeset(DirectoryRoot(str(german)), found) == ("ISO-8859-15" if "euro" in name else "UTF-8")


def test_sort_works_in_german_without_a_hint(jettison: Jettison, german: Path) -> None:
    """The machine has the locale, so the image has it."""
    jettison("pack", "-q", "-t", "sort", "--root", str(german), "/usr/bin/sort")
    inside = jettison("run", "-i", "-e", "LC_ALL=de_DE.UTF-8", "sort", stdin=WORDS)

    assert inside.split() == ["Aal", "apfel", "Äpfel", "Ofen", "öl", "Zebra"]
    assert jettison("run", "-i", "sort", stdin=WORDS).split() == ["Aal", "Ofen", "Zebra", "apfel", "Äpfel", "öl"]


def test_a_chosen_locale_is_the_images_own(jettison: Jettison, german: Path) -> None:
    """LANG of the first."""
    arguments = ["--locale", "fr_FR.UTF-8", "--locale", "de_DE@euro"]
    jettison("pack", "-q", "-t", "date", "--root", str(german), *arguments, "/usr/bin/date")

    assert jettison("run", "date", "-u", "-d", "2024-02-29", "+%A %e %B") == "jeudi 29 février\n"


def test_a_locale_that_the_machine_lacks_is_a_clear_error(jettison: Jettison, german: Path) -> None:
    """With those that it has."""
    done = jettison.call("pack", "--root", str(german), "--locale", "it_IT.UTF-8", "/usr/bin/sort")

    assert done.returncode == 2
    assert "no such locale" in done.stderr and "de_DE.utf8" in done.stderr


def test_the_cache_of_all_charsets_says_what_iconvconfig_says(tmp_path: Path) -> None:
    """Every name leads to the same charset and the same files."""
    root = DirectoryRoot()
    folder = gconv.folders(root)[0]
    own = gconv_cache.write(gconv.configuration(root, folder), folder, "little")
    subprocess.run(["iconvconfig", "-o", tmp_path / "cache"], check=True)

    assert table(own) == table((tmp_path / "cache").read_bytes())


@pytest.mark.parametrize(("charsets", "count"), [("none", 0), ("common", 60), ("all", 200)])
def test_charsets_that_came_along_convert(jettison: Jettison, charsets: str, count: int) -> None:
    """Each that iconv lists in the image gives what it gives outside; with the cache and without it."""
    lines = jettison("pack", "--explain", "-t", "iconv", "--charsets", charsets, "iconv").splitlines()
    names = {Path(line).stem for line in lines if "/gconv/" in line and line.endswith(".so")}
    no_cache = f"GCONV_PATH={gconv.folders(DirectoryRoot())[0]}"

    assert len(names) >= count
    for name in sorted(names & {"SJIS", "EUC-KR", "GB18030", "ISO8859-15", "KOI8-R", "UTF-16", "IBM037"}):
        convert = ["iconv", "-f", name, "-t", "UTF-8"]
        outside = subprocess.run(convert, input="ab12", capture_output=True, text=True, check=True).stdout
        assert jettison("run", "-i", *convert, stdin="ab12") == outside
        assert jettison("run", "-i", "-e", no_cache, *convert, stdin="ab12") == outside


def table(cache: bytes) -> dict[str, tuple[object, ...]]:
    """name → its charset, the folders and files that convert it, and its direct conversions."""
    _, texts, hashes, size, rows, extras = struct.unpack_from("<I5H", cache)

    def text(at: int) -> str:
        return cache[texts + at : cache.index(b"\0", texts + at)].decode()

    def direct(at: int) -> Iterator[tuple[str, str]]:
        at += extras - 1
        while (steps := struct.unpack_from("<H", cache, at)[0]) != 0:
            row, _, file = struct.unpack_from("<3H", cache, at + 2)
            yield text(struct.unpack_from("<H", cache, rows + 12 * row)[0]), text(file)
            at += 2 + 6 * steps

    found: dict[str, tuple[object, ...]] = {}
    for name_at, index in struct.iter_unpack("<2H", cache[hashes : hashes + 4 * size]):
        *row, extra = struct.unpack_from("<6H", cache, rows + 12 * index)
        if name_at:
            found[text(name_at)] = (*map(text, row), sorted(direct(extra)) if extra else [])
    return found
