"""The runner of a detached container: a process of its own session, whose output goes to the container's log."""

import os
import sys
from contextlib import suppress

from jettison.errors import JettisonError, of_kernel
from jettison.sandbox import syscalls
from jettison.sandbox.enter import FAILED
from jettison.sandbox.keep import keep
from jettison.sandbox.log import Log
from jettison.sandbox.program import FIRST_SOCKET
from jettison.sandbox.supervise import NotStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from jettison.sandbox.keep import Kept

_CHUNK_BYTES = 1 << 16
_READY = b"ready"
_MESSAGE_BYTES = 4096  # PIPE_BUF: whole, or not at all
_SIGTERM = 15


def detach(kept: "Kept", log: "Log | None", stdin: int = -1) -> None:
    """Run a container in the background, and come back when its program has started. The container is its runner's from here on.

    `log` takes what it prints; `stdin`: the descriptor that it reads from, -1 for nothing. Errors: NotStarted, with the
    status that `run` gives.
    """

    def run(ready: "Callable[[], None]") -> None:
        with kept.container as container:
            container.is_kept = False
            container.is_mine()
            os.chdir("/")
            syscalls.set_command_line(f"jettison: container {container.id[:12]}")
            _close_inherited(kept.options.listening)
            logger = _connect(log, stdin)
            kept.ready = ready
            try:
                keep(kept)
            finally:
                _await(logger)

    kept.container.is_kept = True
    in_background(run)


def in_background(run: "Callable[[Callable[[], None]], object]") -> None:
    """Let a process of its own session `run`, and come back when it calls what it is given. Errors: NotStarted, with what it
    raised before."""
    reader, writer = os.pipe()
    runner = os.fork()
    if runner == 0:
        os.close(reader)
        _run_and_leave(run, writer)
    os.close(writer)
    try:
        said = os.read(reader, _MESSAGE_BYTES)
    except BaseException:  # somebody who does not want to wait for the start does not want it
        os.kill(runner, _SIGTERM)
        raise
    finally:
        os.close(reader)
    if said != _READY:
        os.waitpid(runner, 0)
        status, message, hint = (os.fsdecode(said).split("\0") + ["", ""])[:3]
        raise NotStarted(message or "the background process was killed", hint, int(status or FAILED))


def _run_and_leave(run: "Callable[[Callable[[], None]], object]", writer: int) -> "NoReturn":
    """Until it is ready, errors are the caller's to tell; then they go to stderr, which is no longer the caller's."""
    is_ready = False

    def ready() -> None:
        nonlocal is_ready
        is_ready = True
        sys.stderr = open(2, "w", 1, closefd=False)  # noqa: SIM115
        with suppress(BrokenPipeError):  # who started it was killed; it runs on, and can be found
            os.write(writer, _READY)
        os.close(writer)

    def tell(status: int, message: str, hint: str = "") -> None:
        if is_ready:
            sys.stderr.write(f"error: {message}\n")
        else:
            os.write(writer, os.fsencode(f"{status}\0{message}\0{hint}")[:_MESSAGE_BYTES])

    try:
        os.setsid()
        run(ready)
    except JettisonError as error:
        tell(error.exit_status if isinstance(error, NotStarted) else FAILED, error.message, error.hint)
    except OSError as error:
        tell(FAILED, of_kernel(error).message, of_kernel(error).hint)
    except BaseException as error:  # nothing may unwind into the caller's code: this is a copy of its process
        tell(FAILED, f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _close_inherited(sockets: int) -> None:
    """What the caller's caller has open, as a lock or a pipe of a shell's, is not ours to keep. Whatever we or the caller have
    opened ourselves is closed by an exec(2), so what would stay open then is theirs."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor >= FIRST_SOCKET + sockets:
            with suppress(OSError):  # the folder's own
                if os.get_inheritable(descriptor):
                    os.close(descriptor)


def leave_streams() -> None:
    """stdin, stdout and stderr are nobody's. What is said until all has started still goes to the caller's stderr."""
    sys.stderr = open(os.dup(2), "w")  # noqa: SIM115
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


def _connect(log: "Log | None", stdin: int) -> int:
    """Leave the caller's streams: the process id of who writes the log, or 0."""
    leave_streams()
    if stdin >= 0:
        os.dup2(stdin, 0)  # the other end of a pipe of ours is open here too, so that it does not end
    if log is None:
        return 0
    pipes = [os.pipe() for _ in range(2)]
    logger = os.fork()
    if logger == 0:
        _be_logger(log, [reader for reader, _ in pipes])
    log.close()
    for number, (reader, writer) in enumerate(pipes, 1):
        os.dup2(writer, number)
        os.close(writer)
        os.close(reader)
    return logger


def _be_logger(log: Log, readers: "list[int]") -> "NoReturn":
    """Write what comes until nobody can print any more. It outlives a killed runner by a moment."""
    import select

    try:
        syscalls.close_others([*readers, log.descriptor])
        streams = dict(zip(readers, (b"stdout", b"stderr"), strict=True))
        poll = select.poll()
        for reader in readers:
            poll.register(reader, select.POLLIN)
        while streams:
            for reader, _ in poll.poll():
                printed = os.read(reader, _CHUNK_BYTES)
                if printed:
                    _keep(log, streams[reader], printed)
                else:
                    poll.unregister(reader)
                    del streams[reader]
    finally:
        os._exit(0)


def _keep(log: Log, stream: bytes, printed: bytes) -> None:
    """A full disk stops the log, and not the program."""
    try:
        log.write(stream, printed)
    except OSError:
        return


def _await(logger: int) -> None:
    """The log is whole before the container has ended."""
    if logger:
        for descriptor in (1, 2):
            os.close(descriptor)
        os.waitpid(logger, 0)
