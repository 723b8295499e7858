"""Files that are whole or absent, and folders that are removed whatever is in them."""

import os
import stat
from pathlib import Path

import pytest

from jettison.image.durable import create, remove_tree


def test_a_new_file_is_readable_under_any_umask(tmp_path: Path) -> None:
    """And never one that was there."""
    old = os.umask(0o777)
    try:
        create(str(tmp_path / "file")).close()
    finally:
        os.umask(old)

    assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o644
    with pytest.raises(FileExistsError):
        create(str(tmp_path / "file"))


def test_removing_follows_no_link(tmp_path: Path) -> None:
    """What a link leads to stays."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "folder").symlink_to(tmp_path / "kept")
    (tmp_path / "gone" / "file").symlink_to(tmp_path / "kept" / "file")

    remove_tree(str(tmp_path / "gone"))

    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_removing_very_deep_folders(tmp_path: Path) -> None:
    """Deeper than any path, than Python's stack and than the number of open files."""
    top = tmp_path / "top"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)

    remove_tree(str(top))

    assert os.listdir(tmp_path) == []


def test_removing_what_is_closed(tmp_path: Path) -> None:
    """Folders without rights, FIFOs, odd names; how many bytes that freed."""
    top = tmp_path / "top"
    (top / "closed" / "inner").mkdir(parents=True)
    (top / "closed" / "inner" / "file").write_bytes(b"x" * 10_000)
    os.mkfifo(top / "fifo")
    Path(os.fsdecode(bytes(top) + b"/\xff")).write_text("")
    for folder in (top / "closed" / "inner", top / "closed", top):
        folder.chmod(0)

    assert remove_tree(str(top)) >= 10_000

    assert os.listdir(tmp_path) == []
