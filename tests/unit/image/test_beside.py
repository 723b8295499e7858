"""Work beside other work: its result, its error, and no process left."""

import os
import threading
import time

import pytest

from jettison.image.beside import Beside, Child


def test_a_thread_gives_its_result_or_its_error() -> None:
    """As often as asked."""
    assert [Beside(lambda: 1).wait() for _ in range(2)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        Beside(lambda: 1 // 0).wait()


def test_a_child_gives_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """It worked elsewhere."""
    alone(monkeypatch)

    assert int(Child(lambda: str(os.getpid())).wait()) != os.getpid()
    assert_no_child()


def test_a_childs_error_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """By doing it again."""
    alone(monkeypatch)

    with pytest.raises(ZeroDivisionError):
        Child(lambda: str(1 // 0)).wait()
    assert_no_child()


def test_a_child_that_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it would go on."""
    alone(monkeypatch)

    def work() -> str:
        time.sleep(60)
        return ""

    child = Child(work)

    child.end()
    child.end()

    assert_no_child()


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


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the test runner had no thread of its own."""
    monkeypatch.setattr("jettison.image.beside.sys._current_frames", lambda: {1: None})


def assert_no_child() -> None:
    """There is no process to wait for."""
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
