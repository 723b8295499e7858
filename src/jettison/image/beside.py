"""One piece of work beside other work, in a thread or a process of its own."""

import _thread  # `threading` takes a millisecond to import
import os
import signal
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


class Child:
    """Starts `work` at once in a process of its own, as threads that compute take turns; its result is a short text.

    Where the process has other threads already, which a child would not have, the work is done when it is asked for.
    """

    def __init__(self, work: Callable[[], str]) -> None:
        self._work = work
        self._pid = 0
        if len(os.listdir("/proc/self/task")) > 1:
            return
        self._pipe, end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.write(end, work().encode())
            finally:
                os._exit(0)
        os.close(end)

    def wait(self) -> str:
        """The result; it is asked for once. What the child could not do is done here, with its error."""
        if not self._pid:
            return self._work()
        with open(self._pipe, "rb", closefd=False) as pipe:
            text = pipe.read().decode()
        self._forget()
        return text or self._work()

    def settle(self) -> None:
        """Wait until it has ended, in whatever process: those that were started later may need what it made."""
        if self._pid:
            import select

            ending = select.poll()
            ending.register(self._pipe, 0)  # only whether nobody writes any more: the result is the parent's
            ending.poll()

    def end(self) -> None:
        """End it, where nobody asks for its result any more."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._forget()

    def _forget(self) -> None:
        pid, self._pid = self._pid, 0
        os.close(self._pipe)
        os.waitpid(pid, 0)
