"""A container's state goes, whoever was killed in the middle of making or removing it, and whoever asks for its end meanwhile."""

from pathlib import Path

import pytest

from jettison.errors import UsageError
from jettison.oci.process import Process, User
from jettison.sandbox.containers import Found, _mark_stopping
from jettison.sandbox.state import Container
from jettison.sandbox.told import sweep

PROCESS = Process(["/hello"], [], "/", User(0, 0))


def names(store: Path, folder: str) -> list[str]:
    """What is in a folder of the store."""
    return sorted(path.name for path in (store / folder).glob("*"))


def test_who_asks_for_the_end_does_not_keep_the_state(store: Path) -> None:
    """`stop` leaves its mark in a folder that its runner removes all the same."""
    with Container(str(store)) as container:
        container.register("web", [], PROCESS, None)
        _mark_stopping(Found(str(store), container.id))
    assert (names(store, "containers"), names(store, "names")) == ([], [])


@pytest.mark.parametrize("left", [[], ["config"], ["log", "stopping"]])
def test_remains_without_a_lock_are_swept(store: Path, left: list[str]) -> None:
    """Whoever removed them was killed after the lock's end; or was making them, before it."""
    folder = store / "containers" / "0"
    folder.mkdir(parents=True)
    for name in left:
        (folder / name).touch()
    assert sweep(str(store), "0")
    assert names(store, "containers") == []


def test_a_name_goes_with_a_container_that_was_killed_before_its_start(store: Path) -> None:
    """A name is never taken by a container whose folder does not tell of it."""
    container = Container(str(store))
    container.register("web", [], PROCESS, None)
    container.is_kept = True  # as a killed runner does: removes nothing
    with container:
        pass
    assert sweep(str(store), container.id)
    assert names(store, "names") == []


def test_a_container_whose_name_is_taken_takes_it_from_nobody(store: Path) -> None:
    """Its own state goes, and the name stays the other's."""
    with Container(str(store)) as first:
        first.register("web", [], PROCESS, None)
        with Container(str(store)) as second, pytest.raises(UsageError, match="is taken"):
            second.register("web", [], PROCESS, None)
        assert names(store, "containers") == [first.id]
        assert (store / "names" / "web").readlink() == Path(first.id)
