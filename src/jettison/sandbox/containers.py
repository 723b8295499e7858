"""The containers of a store, as everybody but their runners sees them: found, listed, waited for, ended."""

import fcntl
import os
import select
import time

from jettison.errors import HostError, NotFound, UsageError
from jettison.sandbox.cgroups import sweep_groups
from jettison.sandbox.container_names import owner
from jettison.sandbox.lease import FOLDER as NETWORKS
from jettison.sandbox.signals import KILL, TERM, signal_number
from jettison.sandbox.state import remove, start_of
from jettison.sandbox.told import Ended, Running, is_alive, read_config, read_runner, read_told, sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any
else:
    import _signal

_LOCK_BYTES = 1000
_LOOK_AGAIN_S, _SOON_S = 1.0, 0.01
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
        self.is_ending = self.is_alive and isinstance(told, Ended)
        self.ended = None if self.is_alive and not self.is_ending else _end(told, self.folder)

    @property
    def name(self) -> str:
        """As given, or empty."""
        return self.text("name")

    @property
    def label(self) -> str:
        """For messages: its name, or the beginning of its id."""
        return f"`{self.name or self.id[:12]}`"

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
        if self.is_ending or not self.is_alive:
            return "exited"
        return "running" if self.running else "restarting" if self._has_run() else "created"

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
    """All of them, the youngest first. What killed runners left is removed, control groups and root's network too."""
    found = [Found(store, container) for container in _ids(store)]
    there = [each for each in found if each.config and (each.is_alive or each.is_kept)]
    for each in found:
        if each not in there:
            sweep(store, each.id)
    sweep_groups()
    if os.geteuid() == 0 and os.path.exists(NETWORKS):
        from jettison.sandbox import bridge

        bridge.sweep()
    return sorted(there, key=lambda each: int(each.text("created")), reverse=True)


def find(store: str, text: str) -> Found:
    """The container of this name, id or beginning of an id. Errors: NotFound, UsageError where several begin so."""
    ids = _ids(store)
    container = owner(f"{store}/names/{text}") if "/" not in text else ""
    meant = [each for each in ids if each == container] or [each for each in ids if each.startswith(text) and text]
    if len(meant) > 1:
        raise UsageError(f"{len(meant)} containers have ids that begin with `{text}`", "give more of it")
    found = Found(store, meant[0]) if meant else None
    if found is None or not found.config or not (found.is_alive or found.is_kept):
        raise NotFound(f"there is no container `{text}`", _HINT)
    return found


def wait(found: Found) -> Ended:
    """How it ended, as soon as its runner has. Errors: NotFound where it was removed before we looked."""
    try:
        lock = os.open(f"{found.folder}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"container {found.label} has ended and was removed", "`jettison wait` it before its end") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        return _end(read_told(os.read(lock, _LOCK_BYTES)), found.folder)
    finally:
        os.close(lock)


def kill(found: Found, number: int) -> None:
    """Send a signal to the program; the signals that end it end its restarts. Errors: NotFound where it does not run."""
    is_end = number in (KILL, TERM, _stop_signal(found))
    if is_end and found.is_alive:
        _mark_stopping(found)
    if found.running is None and not (is_end and found.status == "restarting"):
        raise NotFound(f"container {found.label} does not run", _HINT)
    _ask(found, number)


def stop(found: Found, timeout_s: "int | None" = None, signal: str = "") -> None:
    """Ask the program for its end, and kill it where it takes longer. Nothing where it has ended."""
    if not found.is_alive:
        return
    number = signal_number(signal, "`--signal`") if signal else _stop_signal(found)
    patience_s = int(found.text("stop-timeout")) if timeout_s is None else timeout_s
    _mark_stopping(found)
    _ask(found, number)
    if not _has_ended(found.folder, patience_s):
        _ask(found, KILL)
        _has_ended(found.folder, -1)


def discard(found: Found) -> None:
    """Remove the state of a container that has ended. Errors: UsageError where it runs."""
    if is_alive(found.folder):
        raise UsageError(f"container {found.label} runs", "`jettison stop` it first, or `jettison rm -f` kills it")
    remove(found.store, found.id, found.name)


def _stop_signal(found: Found) -> int:
    """As docker has it: TERM, where an image names a signal that is none."""
    try:
        return signal_number(found.text("stop-signal") or "TERM", "the stop signal")
    except UsageError:
        return TERM


def _mark_stopping(found: Found) -> None:
    """It shall not be started again."""
    try:
        os.close(os.open(f"{found.folder}/stopping", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError:
        return


def _ask(found: Found, number: int) -> None:
    """Signal the program as it is now; before its start or between two, its runner, which ends then."""
    found.look()
    running = found.running
    if running is not None:
        _send(running.init, number, lambda: start_of(running.init) == running.init_start)
    elif not found.is_ending:
        _send(_runner(found.folder), KILL if number == KILL else TERM, lambda: is_alive(found.folder))


def _send(pid: int, number: int, is_meant: "Callable[[], bool]") -> None:
    """A number alone may be another process's by now. Nothing where the process has ended."""
    descriptor = _open_process(pid)
    try:
        if descriptor >= 0 and is_meant():
            _signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, FileNotFoundError):
        return
    except PermissionError as error:
        raise HostError(f"cannot signal the container: {error.strerror}", "be the user who started it") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _has_ended(folder: str, timeout_s: float) -> bool:
    """Whether the runner has ended in so many seconds, -1 for any number of them."""
    until_s = time.monotonic() + timeout_s
    while is_alive(folder):
        left_s = until_s - time.monotonic()
        if left_s <= 0 <= timeout_s:
            return False
        _await_process(_runner(folder), left_s if timeout_s >= 0 else _LOOK_AGAIN_S)
    return True


def _await_process(pid: int, timeout_s: float) -> None:
    """Until a process has ended; not for long where its number is not known yet."""
    descriptor = _open_process(pid)
    poll = select.poll()
    if descriptor >= 0:
        poll.register(descriptor, select.POLLIN)
    poll.poll(min(timeout_s, _LOOK_AGAIN_S if descriptor >= 0 else _SOON_S) * 1000)
    if descriptor >= 0:
        os.close(descriptor)


def _runner(folder: str) -> int:
    return read_runner(_read(f"{folder}/lock"))


def _open_process(pid: int) -> int:
    """A descriptor of a process; -1 where it has ended."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _end(told: "Running | Ended | None", folder: str) -> Ended:
    """A runner that was killed tells of no end."""
    if isinstance(told, Ended):
        return told
    restarts, since_ns = (told.restarts, told.since_ns) if told else (0, 0)
    return Ended(KILLED, _changed_ns(f"{folder}/lock"), 0, restarts, since_ns)


def _ids(store: str) -> "list[str]":
    try:
        return os.listdir(f"{store}/containers")
    except FileNotFoundError:
        return []


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
