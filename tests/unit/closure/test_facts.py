"""Facts: read once, and with notes not even once."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from elves import make_elf
from jettison.closure.facts import Facts
from jettison.tree.root import DirectoryRoot


class Book:
    """Notes in memory."""

    def __init__(self) -> None:
        self.known: dict[str, object] = {}

    def get(self, key: str) -> object:
        return self.known.get(key)

    def put(self, key: str, value: object) -> None:
        self.known[key] = value


FEATURES = [{"feature": "x", "description": "y", "priority": "required", "soname": ["libx.so.1"]}]


def program(folder: Path) -> DirectoryRoot:
    """A folder with a program."""
    data = make_elf(needed=["libc.so.6"], imports=["system"], dlopen=FEATURES) + b"\0/usr/share/app\0libz.so.1\0"
    (folder / "app").write_bytes(data)
    return DirectoryRoot(str(folder))


@pytest.fixture(autouse=True)
def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's last change is long ago."""
    monkeypatch.setattr("jettison.tree.notes.time.time_ns", lambda: 1 << 62)


def test_noted_facts_are_those_that_were_read(tmp_path: Path) -> None:
    """Whatever their types become in a note."""
    book, read = Book(), Facts()
    root = program(tmp_path)
    first = Facts(book)
    expected = (read.elf(root, "/app"), read.imported_symbols(root, "/app"), read.strings(root, "/app"))
    assert (first.elf(root, "/app"), first.imported_symbols(root, "/app"), first.strings(root, "/app")) == expected

    book.known = json.loads(json.dumps(book.known))
    second = Facts(book)
    noted = (second.elf(root, "/app"), second.imported_symbols(root, "/app"), second.strings(root, "/app"))

    assert noted == expected
    assert len(book.known) == 3


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Its times say so."""
    book = Book()
    Facts(book).strings(program(tmp_path), "/app")

    (tmp_path / "app").write_bytes(make_elf() + b"\0/usr/share/other\0")

    assert Facts(book).strings(DirectoryRoot(str(tmp_path)), "/app").paths == ("/usr/share/other",)


def test_a_file_that_was_just_changed_is_not_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second change within one tick of the clock would not show."""
    monkeypatch.undo()
    book = Book()

    Facts(book).strings(program(tmp_path), "/app")

    assert book.known == {}


def test_machine_code_says_nothing(tmp_path: Path, require: Callable[[str], str]) -> None:
    """What looks like a path among the instructions is none; the constants are all there."""
    require("gcc")
    source = """
        __asm__(".text\\n.byte 0\\n.asciz \\"/usr/share/code\\"");
        const char text[] = "\\0/usr/share/constant";
        int main(void) { return text[0]; }"""
    (tmp_path / "c.c").write_text(source)
    subprocess.run(["gcc", "-Wl,-z,separate-code", "-o", tmp_path / "app", tmp_path / "c.c"], check=True)
    assert b"\0/usr/share/code\0" in (tmp_path / "app").read_bytes()

    paths = Facts().strings(DirectoryRoot(str(tmp_path)), "/app").paths

    assert "/usr/share/constant" in paths
    assert "/usr/share/code" not in paths
