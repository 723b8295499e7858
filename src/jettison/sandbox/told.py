"""What the state of a container tells everybody but its runner; and the end of a state that nobody holds."""

import fcntl
import os

from jettison.oci.process import Process, User, read_fields
from jettison.sandbox.state import ENDED, RUNNER_BYTES, RUNS, SPACES, remove, remove_files


class Running:
    """A container's processes of now: the init, when it was started (in the kernel's ticks, and in nanoseconds since 1970), how
    often before; the runner, and its descriptors of the process and of the namespaces."""

    __slots__ = ("init", "init_start", "memory", "restarts", "runner", "since_ns", "spaces")

    def __init__(self, init: int, init_start: int, since_ns: int, restarts: int, runner: int, memory: int, *spaces: int) -> None:
        self.init = init
        self.init_start = init_start
        self.since_ns = since_ns
        self.restarts = restarts
        self.runner = runner
        self.memory = memory
        self.spaces = dict(zip(SPACES, spaces, strict=True))


class Ended:
    """How a container ended: its status, when (in nanoseconds), whether by its memory limit, how often it was started again, and
    when last; 0 where it never was."""

    __slots__ = ("at_ns", "by_memory", "restarts", "since_ns", "status")

    def __init__(self, status: int, at_ns: int, by_memory: int, restarts: int, since_ns: int = 0) -> None:
        self.status = status
        self.at_ns = at_ns
        self.by_memory = bool(by_memory)
        self.restarts = restarts
        self.since_ns = since_ns


def is_alive(folder: str) -> bool:
    """Whether the runner of the container in `folder` lives."""
    try:
        lock = os.open(f"{folder}/lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def is_kept(folder: str) -> bool:
    """Whether the container in `folder` stays when it has ended."""
    return "keep" in read_config(folder)


def read_config(folder: str) -> "dict[str, list[str]]":
    """The facts; none where there is no container any more."""
    try:
        with open(f"{folder}/config", "rb", 0) as stream:
            return read_fields(stream.read())
    except FileNotFoundError:
        return {}


def read_told(lock: bytes) -> "Running | Ended | None":
    """What the lock's file tells of the program; None where it has not started, or is to be started again."""
    words = lock[RUNNER_BYTES:].split()
    numbers = [int(word) for word in words[1:]]
    if words[:1] == [RUNS]:
        return Running(*numbers)
    return Ended(*numbers) if words[:1] == [ENDED] else None


def read_runner(lock: bytes) -> int:
    """The runner's process id, as the lock's file tells it."""
    return int(lock[:RUNNER_BYTES] or b"0")


def read_process(running: Running) -> Process:
    """What was started, out of the runner's memory. Errors: OSError."""
    with open(f"/proc/{running.runner}/fd/{running.memory}", "rb", 0) as stream:
        fields = read_fields(stream.read())
    user = User(int(fields["uid"][0]), int(fields["gid"][0]), [int(gid) for gid in fields.get("group", ())], fields["home"][0])
    return Process(fields["arg"], fields.get("env", ()), fields["cwd"][0], user)


def sweep(store: str, container: str) -> bool:
    """Remove what a killed runner left of a container that is not kept; False where there is nothing to remove."""
    folder = f"{store}/containers/{container}"
    try:
        lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _remove_lockless(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        config = read_config(folder)
        if "keep" in config:
            return False
        remove(store, container, config.get("name", [""])[0])
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def _remove_lockless(folder: str) -> bool:
    """Whose maker has not come to its lock, and never will; or whose remover has not come to its end. A maker that lives makes
    another."""
    try:
        files = os.listdir(folder)
        return "lock" not in files and remove_files(folder, files)
    except FileNotFoundError:
        return False
