"""The runner: a container's program in its world, again where its policy says so, and its health looked after."""

import os
import time

from jettison.errors import JettisonError
from jettison.sandbox.enter import FAILED
from jettison.sandbox.supervise import ENDING, Confined, Signals, require_one_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence

    from jettison.oci.process import Process
    from jettison.sandbox.health import Status
    from jettison.sandbox.plan import Options, Place
    from jettison.sandbox.state import Container
    from jettison.sandbox.upkeep import Health, Restart
else:
    import _signal

# docker's: the pause doubles with each start, and is forgotten after a run of ten seconds.
_PAUSE_S, _LONGEST_PAUSE_S, _GOOD_RUN_S = 0.1, 60.0, 10.0
_SIGKILL = 9


class Kept:
    """What is run: a container's state, process, world and upkeep. `ready` is called once, when the program has started."""

    def __init__(
        self,
        container: "Container",
        process: "Process",
        options: "Options",
        place: "Place",
        restart: "Restart",
        health: "Health | None" = None,
    ) -> None:
        self.container = container
        self.process = process
        self.options = options
        self.place = place
        self.restart = restart
        self.health = health
        self.ready: Callable[[], None] = _nothing


def keep(kept: Kept) -> int:
    """Run it to its last end: its exit status, or 128 and the signal. Errors: HostError, NotStarted."""
    require_one_thread()
    restarts, pause_s = 0, _PAUSE_S
    with Signals():
        while True:
            start_s = time.monotonic()
            status, by_memory, is_over = _run_or_tell(kept)
            if is_over or kept.container.is_stopping or not kept.restart.wants(status, restarts):
                break
            kept.container.rests()
            if time.monotonic() - start_s >= _GOOD_RUN_S:
                pause_s = _PAUSE_S
            # Asked again: who wanted the end may have seen the program of before.
            if not _rest(pause_s) or kept.container.is_stopping:
                break
            restarts, pause_s = restarts + 1, min(pause_s * 2, _LONGEST_PAUSE_S)
    kept.container.ends(status, by_memory)
    return status


def _run_or_tell(kept: Kept) -> "tuple[int, bool, bool]":
    """As `_run`; where it does not start, the container has ended."""
    try:
        return _run(kept)
    except JettisonError as error:
        kept.container.ends(error.exit_status or FAILED, by_memory=False)
        raise


def _run(kept: Kept) -> "tuple[int, bool, bool]":
    """Once: the status, whether the memory limit gave it, and whether somebody asked us for the end."""
    with Confined(kept.process, kept.options, kept.place) as start:
        child, checker = start(), 0
        try:
            health = _first_health(kept)
            if kept.options.private:
                kept.container.replace("ports", _ports(kept.options.private.published))
            kept.container.runs(child)
            kept.ready()
            kept.ready = _nothing
            checker = _start_checks(kept, health)  # not before: who waits for us would wait for it as well
            status = child.follow(kept.options.interactive)
        except BaseException:  # as of a full disk: nobody would ever end it
            _end(child.pid)
            raise
        finally:
            if checker:
                _end(checker)
        return status, start.tell(status), child.was_told_to_end


def _end(pid: int) -> None:
    os.kill(pid, _SIGKILL)
    os.waitpid(pid, 0)


def _nothing() -> None:
    return


def _ports(published: "Sequence[tuple[str, int, int, str]]") -> bytes:
    """A line for each: the machine's address and port, the container's port, the protocol."""
    return "".join(f"{address} {host} {container} {protocol}\n" for address, host, container, protocol in published).encode()


def _first_health(kept: Kept) -> "Status | None":
    if kept.health is None:
        return None
    from jettison.sandbox.health import first_status

    return first_status(kept.container, kept.health)


def _start_checks(kept: Kept, status: "Status | None") -> int:
    """The process id of who checks the health, 0 where nobody does."""
    if kept.health is None or status is None:
        return 0
    from jettison.sandbox.health import start_checks

    return start_checks(kept.container, kept.health, kept.process, kept.options, status)


def _rest(pause_s: float) -> bool:
    """Wait before the next start; False where somebody asks for the end meanwhile."""
    until_s = time.monotonic() + pause_s
    while (left_s := until_s - time.monotonic()) > 0:
        if _signal.sigtimedwait(ENDING, left_s):
            return False
    return True
