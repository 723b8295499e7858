"""One piece of work beside other work, in a thread of its own."""

import _thread  # `threading` takes a millisecond to import
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Beside(Generic[Result]):
    """Starts `work` at once; `wait` gives its result, or raises its error."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._is_working = _thread.allocate_lock()
        self._is_working.acquire()
        _thread.start_new_thread(self._run, ())

    def wait(self) -> Result:
        """Idempotent."""
        with self._is_working:
            if self._error is not None:
                raise self._error
            return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:
            self._error = error
        finally:
            self._is_working.release()
