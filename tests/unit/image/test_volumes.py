"""The store's volumes: made once, held by many, removed by one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.errors import NotFound, UsageError
from jettison.image.volumes import hold, names, remove


def alone(what: str, action: Callable[[], int]) -> int:
    """Whoever owns all files needs nobody's help."""
    raise AssertionError(what)


def test_a_volume_is_made_once(tmp_path: Path) -> None:
    """Under any umask, in a folder of the owner's alone; what is in it stays."""
    folder = str(tmp_path / "volumes")
    old = os.umask(0o077)
    first = hold(folder, "v")
    os.umask(old)
    (tmp_path / "volumes/v/file").write_text("x")

    second = hold(folder, "v")

    assert os.path.sameopenfile(first, second)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("volumes", "volumes/v")] == [0o700, 0o755]
    assert (tmp_path / "volumes/v/file").exists()
    os.close(first)
    os.close(second)


def test_who_holds_a_volume_keeps_it(tmp_path: Path) -> None:
    """It is gone when nobody does, with the file of its filling."""
    folder, staging = str(tmp_path / "volumes"), str(tmp_path / "staging")
    held = hold(folder, "v")
    (tmp_path / "volumes/.v").write_text("")

    with pytest.raises(UsageError, match="is used by a container"):
        remove(folder, "v", staging, alone)
    assert names(folder) == ["v"]
    os.close(held)
    remove(folder, "v", staging, alone)

    assert os.listdir(tmp_path) == ["volumes"] and os.listdir(folder) == []
    with pytest.raises(NotFound):
        remove(folder, "v", staging, alone)
