"""Notes in the store's cache: kept for the next command, and never believed when they are broken."""

from pathlib import Path

import pytest

from jettison.image.notes import StoredNotes
from jettison.image.store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


def keep(store: LocalStore, **values: object) -> Path:
    """Notes with these values, kept; their file."""
    notes = StoredNotes(store, "/bin/app")
    for key, value in values.items():
        notes.put(key, value)
    with store.writing():
        notes.keep()
    return next(Path(store.path, "cache").glob("*.notes"))


def test_notes_are_there_for_the_next_command_on_the_same_program(store: LocalStore) -> None:
    """Names that are not UTF-8 too."""
    keep(store, symbols=["open", "\udcff"])

    assert StoredNotes(store, "/bin/app").get("symbols") == ["open", "\udcff"]
    assert StoredNotes(store, "/bin/other").get("symbols") is None


def test_what_was_not_asked_for_is_forgotten(store: LocalStore) -> None:
    """So a program's notes do not grow from release to release."""
    keep(store, old=[1])
    keep(store, new=[2])

    assert StoredNotes(store, "/bin/app").get("old") is None
    assert StoredNotes(store, "/bin/app").get("new") == [2]


def test_nothing_new_writes_nothing(store: LocalStore) -> None:
    """The second pack of the same program."""
    file = keep(store, a=[1])
    before = file.stat().st_mtime_ns

    notes = StoredNotes(store, "/bin/app")
    notes.get("a")
    with store.writing():
        notes.keep()

    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "break_it", [lambda data: data[:-1], lambda data: b"", lambda data: b"\xff" + data, lambda data: data[65:]]
)
def test_broken_notes_say_nothing(store: LocalStore, break_it: object) -> None:
    """Torn, empty, changed, or without their sum."""
    file = keep(store, a=[1])
    file.write_bytes(break_it(file.read_bytes()))  # type: ignore[operator]

    assert StoredNotes(store, "/bin/app").get("a") is None
