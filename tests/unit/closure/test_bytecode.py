"""What is kept of data files."""

from pathlib import Path

import pytest

from jettison.closure.bytecode import kept_or_made

FIELDS = ("name", "number")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data file of ours, where bytecode may be written."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    monkeypatch.setattr("sys.pycache_prefix", None)
    path = tmp_path / "a.toml"
    path.write_text("a")
    return path


def test_it_is_made_once(file: Path) -> None:
    """And again when the file has changed."""
    assert kept_or_made([str(file)], FIELDS, lambda: [("first", 1)]) == [("first", 1)]
    assert kept_or_made([str(file)], FIELDS, lambda: [("second", 2)]) == [("first", 1)]

    file.write_text("ab")

    assert kept_or_made([str(file)], FIELDS, lambda: [("second", 2)]) == [("second", 2)]


def test_what_is_broken_is_made_anew(file: Path) -> None:
    """A torn file, or one of another Python."""
    kept_or_made([str(file)], FIELDS, lambda: [("first",)])
    for kept in (file.parent / "__pycache__").iterdir():
        kept.write_bytes(kept.read_bytes()[:5])

    assert kept_or_made([str(file)], FIELDS, lambda: [("second",)]) == [("second",)]


def test_nothing_is_written_where_python_writes_no_bytecode(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONDONTWRITEBYTECODE holds here too."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    kept_or_made([str(file)], FIELDS, lambda: [("first",)])

    assert not (file.parent / "__pycache__").exists()


def test_what_was_kept_of_other_fields_is_made_anew(file: Path) -> None:
    """A newer jettison has other ones, whatever the dates of its files."""
    kept_or_made([str(file)], ("name",), lambda: [("first",)])

    assert kept_or_made([str(file)], FIELDS, lambda: [("second", 2)]) == [("second", 2)]
