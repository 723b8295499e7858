"""A container's health: a command that is executed in it again and again, by a process of its own."""

import os
import select
import time

from jettison.errors import JettisonError
from jettison.oci.process import Process
from jettison.sandbox import syscalls
from jettison.sandbox.containers import Found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from jettison.sandbox.plan import Options
    from jettison.sandbox.state import Container
    from jettison.sandbox.supervise import Child
    from jettison.sandbox.upkeep import Health

_SIGKILL = 9
_OUTPUT_BYTES = 4096  # docker's
_CHUNK_BYTES = 1 << 16
_KEPT = 5


class Status:
    """docker's State.Health: `starting`, `healthy` or `unhealthy`, how many checks failed in a row, the last five of them."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._status = "starting"
        self._failures = 0
        self._log: list[dict[str, object]] = []

    def add(self, start_ns: int, status: int, output: bytes, counts: bool) -> None:
        """A check that began then; a failure of the start period does not count."""
        if status == 0:
            self._status, self._failures = "healthy", 0
        elif counts or self._status != "starting":
            self._failures += 1
            if self._failures >= self._retries:
                self._status = "unhealthy"
        line = {"Start": start_ns, "End": time.time_ns(), "ExitCode": status, "Output": output.decode("utf-8", "replace")}
        self._log = [*self._log, line][-_KEPT:]

    def write(self) -> bytes:
        """As JSON; times in nanoseconds."""
        import json

        return json.dumps({"Status": self._status, "FailingStreak": self._failures, "Log": self._log}).encode()


def first_status(container: "Container", health: "Health") -> Status:
    """`starting`, told to whoever looks."""
    status = Status(health.retries)
    container.replace("health", status.write())
    return status


def start_checks(container: "Container", health: "Health", process: Process, options: "Options", status: Status) -> int:
    """The process id of who checks from now on, until it is killed or the runner is. It has all that we have open."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() == parent:
            _check_on(container, health, Process(health.argv, process.env, process.cwd, process.user), options, status)
    finally:
        os._exit(1)


def _check_on(container: "Container", health: "Health", process: Process, options: "Options", status: Status) -> "NoReturn":
    start_s = time.monotonic()
    while True:
        time.sleep(health.interval_s)
        in_start_period = time.monotonic() - start_s < health.start_period_s
        start_ns = time.time_ns()
        code, output = _check(container, health, process, options)
        status.add(start_ns, code, output, counts=not in_start_period)
        container.replace("health", status.write())


def _check(container: "Container", health: "Health", process: Process, options: "Options") -> "tuple[int, bytes]":
    """Execute the command: its status, or -1 where there is none, and the beginning of what it printed."""
    from jettison.sandbox.join import Init, join

    running = Found(container.store, container.id).running
    if running is None:
        return -1, b""
    reader, writer = os.pipe()
    try:
        _print_to(writer)
        with Init(running) as init:
            init.open_spaces(running)
            child = join(init, process, options.system_calls, options.capabilities, interactive=False, terminal=False)
        _print_to(os.open(os.devnull, os.O_WRONLY))
        return _follow(child, reader, health.timeout_s)
    except JettisonError as error:
        return -1, error.message.encode()
    finally:
        os.close(reader)


def _follow(child: "Child", reader: int, timeout_s: float) -> "tuple[int, bytes]":
    ended = os.pidfd_open(child.pid)
    poll = select.poll()
    for descriptor in (ended, reader):
        poll.register(descriptor, select.POLLIN)
    until_s = time.monotonic() + timeout_s
    output = b""
    is_over = is_late = False
    while not is_over and not is_late:
        ready = dict(poll.poll(max(0, until_s - time.monotonic()) * 1000))
        is_over, is_late = ended in ready, time.monotonic() >= until_s
        if reader in ready:
            printed = os.read(reader, _CHUNK_BYTES)  # as much as a pipe has: what others go on printing is not waited for
            output += printed[: _OUTPUT_BYTES - len(output)]
            if not printed:
                poll.unregister(reader)
    os.close(ended)
    if not is_over:
        os.kill(child.pid, _SIGKILL)
        output = f"Health check exceeded timeout ({timeout_s:g}s)".encode()
    status = child.follow(reads_stdin=False)
    return (status if is_over else -1), output


def _print_to(descriptor: int) -> None:
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
