"""A number is one process's at a time, and nobody's when that is dead."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.errors import HostError
from jettison.sandbox.lease import Lease

NUMBERS = range(2, 5)


def taken(path: str) -> tuple[Lease, int]:
    """A lease, and its number."""
    lease = Lease(path)
    return lease, lease.take(NUMBERS, lambda: None, lambda is_last: None)


def in_another(work: Callable[[], object]) -> object:
    """What `work` gives in a process of its own."""
    ours, theirs = multiprocessing.Pipe()

    def tell() -> None:
        try:
            theirs.send(work())
        except HostError as error:
            theirs.send(error.message)

    process = multiprocessing.get_context("fork").Process(target=tell)
    process.start()
    said = ours.recv()
    process.join(10)
    return said


def test_each_has_its_own(tmp_path: Path) -> None:
    """The lowest that is free; a dead process's is."""
    path = str(tmp_path / "run/lease")

    lease, first = taken(path)

    assert first == 2
    assert in_another(lambda: taken(path)[1]) == 3
    assert in_another(lambda: taken(path)[1]) == 3
    lease.give_back(lambda is_last: None)
    assert in_another(lambda: taken(path)[1]) == 2


def test_there_are_no_more(tmp_path: Path) -> None:
    """The error says how many there are."""
    path = str(tmp_path / "lease")
    taken(path)

    said = in_another(lambda: (taken(path)[1], in_another(lambda: (taken(path)[1], in_another(lambda: taken(path)[1])))))

    assert said == (3, (4, "all 3 addresses of the private network are in use"))


def test_the_last_one_cleans(tmp_path: Path) -> None:
    """And nobody else does; the file goes as well."""
    path = tmp_path / "lease"
    told: list[bool] = []
    lease, _ = taken(str(path))

    assert in_another(lambda: _leave(str(path))) == [False]
    lease.give_back(told.append)

    assert told == [True]
    assert not path.exists()


def test_the_last_one_sweeps(tmp_path: Path) -> None:
    """What the dead have left goes, what the living use stays."""
    in_another(lambda: taken(str(tmp_path / "dead"))[1])
    used, _ = taken(str(tmp_path / "used"))

    in_another(lambda: _leave(str(tmp_path / "own")))

    assert [path.name for path in tmp_path.iterdir()] == ["used"]
    used.give_back(lambda is_last: None)


def test_somebody_cleans_up_after_the_dead(tmp_path: Path) -> None:
    """As the last one would have, and only where there is something and nobody lives."""
    path = tmp_path / "lease"
    told: list[bool] = []
    Lease(str(path)).clean_up(told.append)
    assert (told, path.exists()) == ([], False)

    in_another(lambda: taken(str(path))[1])
    Lease(str(path)).clean_up(told.append)
    assert (told, path.exists()) == ([True], False)

    lease, _ = taken(str(path))
    assert in_another(lambda: _cleaned_up(str(path))) == [False]
    lease.give_back(lambda is_last: None)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file nor what was begun."""
    path = tmp_path / "lease"
    told: list[bool] = []

    def fail() -> None:
        raise HostError("no")

    with pytest.raises(HostError):
        Lease(str(path)).take(NUMBERS, fail, told.append)

    assert told == [True]
    assert not path.exists()


def _leave(path: str) -> list[bool]:
    told: list[bool] = []
    taken(path)[0].give_back(told.append)
    return told


def _cleaned_up(path: str) -> list[bool]:
    told: list[bool] = []
    Lease(path).clean_up(told.append)
    return told
