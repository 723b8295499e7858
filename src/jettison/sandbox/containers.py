"""The containers of a store, as everybody but their runners sees them: found, listed, waited for, ended."""

import fcntl
import os
import select
import time

from jettison.errors import HostError, NotFound, UsageError
from jettison.sandbox.signals import KILL, TERM, signal_number
from jettison.sandbox.state import Ended, Running, is_alive, read_config, read_runner, read_told, remove, start_of, sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

else:
    import _signal

_LOCK_BYTES = 1000
KILLED = 137  # 128 and SIGKILL: whose runner was killed, and all with it
_HINT = "`jettison ps -a` lists them"


class Found:
    """A container: its folder, and its state as it was when we looked."""

    def __init__(self, store: str, container: str) -> None:
        self.store = store
        self.id = container
        self.folder = f"{store}/containers/{container}"
        self.config = read_config(self.folder)
        self.look()

    def look(self) -> None:
        """Look again."""
        self.is_alive = is_alive(self.folder)
        told = read_told(_read(f"{self.folder}/lock"))
        self.running = told if self.is_alive and isinstance(told, Running) else None
        self.ended = None if self.is_alive else _end(told, self.folder)

    @property
    def name(self) -> str:
        """As given, or empty."""
        return self.text("name")

    @property
    def is_kept(self) -> bool:
        """Whether it stays when it has ended."""
        return "keep" in self.config

    def text(self, fact: str) -> str:
        """A fact of its configuration; empty where there is none."""
        return self.config.get(fact, [""])[-1]

    @property
    def status(self) -> str:
        """docker's word: running, restarting, exited."""
        return "exited" if not self.is_alive else "running" if self.running else "restarting" if self._has_run() else "created"

    def ports(self) -> "list[list[str]]":
        """Of each published port: the machine's address and port, the container's port, the protocol. None where it has ended."""
        return [line.split() for line in _read(f"{self.folder}/ports").decode().splitlines()] if self.running else []

    def health(self) -> "dict[str, Any]":
        """docker's State.Health; nothing where nobody checks."""
        import json

        found = json.loads(_read(f"{self.folder}/health") or b"{}") if self.is_alive else {}
        return found if isinstance(found, dict) else {}

    def health_word(self) -> str:
        """`starting`, `healthy`, `unhealthy`; empty where nobody checks."""
        return str(self.health().get("Status", ""))

    def _has_run(self) -> bool:
        return self.text("restart") not in ("", "no")


def containers(store: str) -> "list[Found]":
    """All of them, the youngest first. What killed runners left is removed."""
    found = [Found(store, container) for container in _ids(store)]
    there = [each for each in found if each.config and (each.is_alive or each.is_kept)]
    for each in found:
        if each not in there:
            sweep(store, each.id)
    return sorted(there, key=lambda each: int(each.text("created")), reverse=True)


def find(store: str, text: str) -> Found:
    """The container of this name, id or beginning of an id. Errors: NotFound, UsageError where several begin so."""
    ids = _ids(store)
    container = _link(f"{store}/names/{text}") if "/" not in text else ""
    meant = [each for each in ids if each == container] or [each for each in ids if each.startswith(text) and text]
    if len(meant) > 1:
        raise UsageError(f"{len(meant)} containers have ids that begin with `{text}`", "give more of it")
    found = Found(store, meant[0]) if meant else None
    if found is None or not found.config or not (found.is_alive or found.is_kept):
        raise NotFound(f"there is no container `{text}`", _HINT)
    return found


def wait(found: Found, timeout_s: "float | None" = None) -> "Ended | None":
    """How it ended, as soon as its runner has; None where that takes longer."""
    lock = _lock(found.folder)
    if lock < 0:
        return _end(None, found.folder)
    try:
        if timeout_s is None:
            fcntl.flock(lock, fcntl.LOCK_SH)
        elif not _wait_for_runner(found.folder, timeout_s):
            return None
        return _end(read_told(os.read(lock, _LOCK_BYTES)), found.folder)
    finally:
        os.close(lock)


def kill(found: Found, number: int) -> None:
    """Send a signal to the program; the signals that end it end its restarts. Errors: NotFound where it does not run."""
    if number in (KILL, TERM):
        mark_stopping(found)
    running = found.running
    if running is None:
        raise NotFound(f"container `{found.name or found.id[:12]}` does not run", _HINT)
    _send(running.init, running.init_start, number)


def stop(found: Found, timeout_s: "int | None" = None, signal: str = "") -> None:
    """Ask the program for its end, and kill it where it takes longer. Nothing where it has ended."""
    if not found.is_alive:
        return
    mark_stopping(found)
    patience_s = int(found.text("stop-timeout")) if timeout_s is None else timeout_s
    word = signal or found.text("stop-signal")
    number = signal_number(word, f"container `{found.name or found.id[:12]}`") if word else TERM
    _ask(found, number)
    if wait(found, None if patience_s < 0 else patience_s):
        return
    found.look()
    _ask(found, KILL)
    wait(found)


def discard(found: Found) -> None:
    """Remove the state of a container that has ended. Errors: UsageError where it runs."""
    lock = _lock(found.folder)
    if lock < 0:
        return
    try:
        while not _locks(lock):
            if is_alive(found.folder):
                hint = "`jettison stop` it first, or `jettison rm -f` kills it"
                raise UsageError(f"container `{found.name or found.id[:12]}` runs", hint)
            time.sleep(0.001)  # somebody who waited for it is about to go
        remove(found.store, found.id, found.name)
    finally:
        os.close(lock)


def mark_stopping(found: Found) -> None:
    """It shall not be started again."""
    try:
        os.close(os.open(f"{found.folder}/stopping", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        return


def _ask(found: Found, number: int) -> None:
    """Signal the program; between two starts, its runner."""
    running = found.running
    if running is not None:
        _send(running.init, running.init_start, number)
        return
    descriptor = _runner(found.folder)
    if descriptor >= 0:
        _signal.pidfd_send_signal(descriptor, number)
        os.close(descriptor)


def _send(pid: int, start: int, number: int) -> None:
    """A number alone may be another process's by now. Nothing where the process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_of(pid) == start:
            _signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, FileNotFoundError):
        return
    except PermissionError as error:
        raise HostError(f"cannot signal the container: {error.strerror}", "be the user who started it") from error
    finally:
        os.close(descriptor)


def _runner(folder: str) -> int:
    """A descriptor of the runner's process, or -1 where it has ended."""
    try:
        descriptor = os.pidfd_open(read_runner(_read(f"{folder}/lock")))
    except OSError:
        return -1
    if is_alive(folder):  # so the number is its own
        return descriptor
    os.close(descriptor)
    return -1


def _wait_for_runner(folder: str, timeout_s: float) -> bool:
    until_s = time.monotonic() + timeout_s
    while is_alive(folder):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        runner = _runner(folder)
        if runner < 0:
            continue
        poll = select.poll()
        poll.register(runner, select.POLLIN)
        poll.poll(left_s * 1000)
        os.close(runner)
    return True


def _end(told: "Running | Ended | None", folder: str) -> Ended:
    """A runner that was killed tells of no end."""
    if isinstance(told, Ended):
        return told
    return Ended(KILLED, _changed_ns(folder), 0, *((told.restarts, told.since_ns) if told else (0, 0)))


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(folder: str) -> int:
    try:
        return os.open(f"{folder}/lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _ids(store: str) -> "list[str]":
    try:
        return os.listdir(f"{store}/containers")
    except FileNotFoundError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", 0) as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def _changed_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return time.time_ns()
