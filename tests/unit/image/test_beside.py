"""Work beside other work: its result, its error, and no process left."""

import os
import threading
import time
from pathlib import Path

import pytest

from jettison.image.beside import Beside, Child


def test_a_thread_gives_its_result_or_its_error() -> None:
    """As often as asked."""
    assert [Beside(lambda: 1).wait() for _ in range(2)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        Beside(lambda: 1 // 0).wait()


def test_a_child_gives_its_result(children: list[int]) -> None:
    """It worked elsewhere."""
    result = Child(lambda: str(os.getpid())).wait()

    assert children == [int(result)]
    assert is_buried(children[0])


def test_a_childs_error_is_raised_here(children: list[int]) -> None:
    """By doing it again."""
    with pytest.raises(ZeroDivisionError):
        Child(lambda: str(1 // 0)).wait()

    assert is_buried(children[0])


def test_a_child_that_nobody_waits_for_ends(children: list[int]) -> None:
    """Also where it would go on."""

    def work() -> str:
        time.sleep(60)
        return ""

    child = Child(work)

    child.end()
    child.end()

    assert is_buried(children[0])


def test_a_later_child_can_wait_for_an_earlier_one(children: list[int], tmp_path: Path) -> None:
    """Its result stays for the parent."""

    def work() -> str:
        time.sleep(0.3)
        (tmp_path / "made").touch()
        return "first"

    first = Child(work)

    def after() -> str:
        first.settle()
        return str((tmp_path / "made").exists())

    second = Child(after)

    assert (second.wait(), first.wait()) == ("True", "first")
    assert all(map(is_buried, children))


def test_a_process_with_threads_has_no_child() -> None:
    """They would be gone in it, with what they hold."""
    is_done = threading.Event()
    thread = threading.Thread(target=is_done.wait)
    thread.start()
    child = Child(lambda: str(os.getpid()))
    is_done.set()
    thread.join()

    assert int(child.wait()) == os.getpid()
    child.end()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The children that are made, as if the test runner had no thread of its own."""
    made: list[int] = []
    fork = os.fork

    def noted() -> int:
        made.append(fork())
        return made[-1]

    monkeypatch.setattr("jettison.image.beside.os.listdir", lambda _: ["1"])
    monkeypatch.setattr("jettison.image.beside.os.fork", noted)
    return made


def is_buried(pid: int) -> bool:
    """Whether there is nothing to wait for."""
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True
