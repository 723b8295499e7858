"""A container's state: a folder of the store, locked by its runner for as long as that lives. Others read it.

    containers/<id>/   id: 64 hexadecimal digits
        lock           held by the runner; where it is free, the container has ended. It tells the runner's process id, and
                       while the program runs those of now, at the end how it ended
        config         what does not change, as fields of a record
        stopping       there where somebody asked for the end: no restart
        filter         the system calls that a profile allows the program
        health         how the last health checks went
        ports          the ports of this machine that lead to it, a line each
        log, log.1     what a detached program printed
    names/<name>       a link to the id

What the program is, with its environment, is in the runner's memory alone (`process`): `exec` reads it through /proc.
"""

import fcntl
import os
import time

from jettison.errors import UsageError
from jettison.oci.process import Process, User, read_fields, write_fields
from jettison.sandbox import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jettison.sandbox.seccomp import Filter
    from jettison.sandbox.supervise import Child

_MODE = 0o600
# The lock's file: the runner's process id, then what it tells.
_RUNNER_BYTES, _TOLD_BYTES = 10, 200
_RUNS, _ENDED = b"runs", b"ended"
_ENOTEMPTY = 39  # errno(3)

# In the order in which they are entered: each is the user's.
SPACES = {
    "user": syscalls.CLONE_NEWUSER,
    "mnt": syscalls.CLONE_NEWNS,
    "pid": syscalls.CLONE_NEWPID,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "net": syscalls.CLONE_NEWNET,
}


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


class Container:
    """The state as its runner writes it. Use it in a `with`: at the end what is not to be kept is removed."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.id = self.name = self.folder = ""
        self._memory = -1
        self._restarts = -1
        self._since_ns = 0
        self._spaces: Sequence[int] = ()
        self.is_kept = self._is_to_stay = False
        self._make()

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_kept:
            remove(self.store, self.id, self.name)
        for descriptor in (*self._spaces, self._memory, self._lock):
            if descriptor >= 0:
                os.close(descriptor)

    def register(self, name: str, facts: "Sequence[tuple[str, str]]", process: Process, system_calls: "Filter | None") -> None:
        """Be seen, with these facts. Errors: UsageError where the name is taken."""
        self.is_mine()
        self._is_to_stay = ("keep", "") in facts
        if system_calls:
            _write(f"{self.folder}/filter", system_calls.program)
            facts = [*facts, ("seccomp", system_calls.name), ("seccomp-flags", str(system_calls.flags))]
        self.replace("config", write_fields([("id", self.id), ("name", name), *facts]))
        if name:  # after the config, by which a sweep finds the name
            _claim(self.store, name, self.id)
            self.name = name
        self._memory = os.memfd_create("process")
        _write_all(self._memory, write_fields(_process_fields(process)))

    def is_mine(self) -> None:
        """This process is the runner."""
        os.pwrite(self._lock, b"%*d" % (_RUNNER_BYTES, os.getpid()), 0)

    def runs(self, child: "Child") -> None:
        """The program has started."""
        self.is_kept = self._is_to_stay
        self._restarts += 1
        self._spaces = child.spaces
        self._since_ns = time.time_ns()
        start = start_of(child.pid)
        self._tell(_RUNS, child.pid, start, self._since_ns, self._restarts, os.getpid(), self._memory, *child.spaces)

    def rests(self) -> None:
        """The program has ended, and is to be started again."""
        self._tell(b" ")
        for descriptor in self._spaces:
            os.close(descriptor)
        self._spaces = ()

    def ends(self, status: int, by_memory: bool) -> None:
        """How it ended: who waits has the lock open, also where all is removed."""
        self._tell(_ENDED, status, time.time_ns(), int(by_memory), max(self._restarts, 0), self._since_ns)

    def _tell(self, what: bytes, *numbers: int) -> None:
        text = b" ".join([what, *(b"%d" % number for number in numbers)])
        os.pwrite(self._lock, text.ljust(_TOLD_BYTES), _RUNNER_BYTES)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file of the state, whole or not at all."""
        _write(f"{self.folder}/.{name}", content)
        os.rename(f"{self.folder}/.{name}", f"{self.folder}/{name}")

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked for the end."""
        return os.path.exists(f"{self.folder}/stopping")

    def _make(self) -> None:
        """A folder and its lock. Somebody's sweep may be quicker than the lock, so look again."""
        while True:
            self.id = os.urandom(32).hex()
            self.folder = f"{self.store}/containers/{self.id}"
            try:
                os.mkdir(self.folder, 0o700)
            except FileNotFoundError:
                os.makedirs(self.folder, 0o700)
            try:
                self._lock = os.open(f"{self.folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            except FileNotFoundError:
                continue
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink:
                return
            os.close(self._lock)


# Reading


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
    words = lock[_RUNNER_BYTES:].split()
    numbers = [int(word) for word in words[1:]]
    if words[:1] == [_RUNS]:
        return Running(*numbers)
    return Ended(*numbers) if words[:1] == [_ENDED] else None


def read_runner(lock: bytes) -> int:
    """The runner's process id, as the lock's file tells it."""
    return int(lock[:_RUNNER_BYTES] or b"0")


def read_process(running: Running) -> Process:
    """What was started, out of the runner's memory. Errors: OSError."""
    with open(f"/proc/{running.runner}/fd/{running.memory}", "rb", 0) as stream:
        fields = read_fields(stream.read())
    user = User(int(fields["uid"][0]), int(fields["gid"][0]), [int(gid) for gid in fields.get("group", ())], fields["home"][0])
    return Process(fields["arg"], fields.get("env", ()), fields["cwd"][0], user)


def start_of(pid: int) -> int:
    """When a process was started, in ticks since the machine's start, proc_pid_stat(5). Errors: OSError."""
    with open(f"/proc/{pid}/stat", "rb", 0) as stream:
        return int(stream.read().rpartition(b")")[2].split()[19])


# Removing


def remove(store: str, container: str, name: str) -> None:
    """Remove a container's state and free its name. For its runner, or who shares the lock with no runner. The lock goes last:
    while it is there a sweep knows what to do with the rest."""
    folder = f"{store}/containers/{container}"
    if name:
        _release(store, name, container)
    try:
        while not _remove_files(folder, os.listdir(folder)):  # others may have asked for its end meanwhile
            continue
    except FileNotFoundError:
        return


def _unlink(path: str) -> None:
    """Others may remove it too."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


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


def _remove_files(folder: str, files: "Collection[str]") -> bool:
    """Remove a folder of these files, the lock last; False where it has more. Errors: FileNotFoundError."""
    # Who follows the log reads on from the older files to the newer ones: never from one that is gone to an older one.
    for file in sorted(files, key=lambda name: (name != "lock", len(name), name), reverse=True):
        _unlink(f"{folder}/{file}")
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno != _ENOTEMPTY:
            raise
        return False
    return True


def _remove_lockless(folder: str) -> bool:
    """Whose maker has not come to its lock, and never will; or whose remover has not come to its end. A maker that lives makes
    another."""
    try:
        files = os.listdir(folder)
        return "lock" not in files and _remove_files(folder, files)
    except FileNotFoundError:
        return False


# Names


def _claim(store: str, name: str, container: str) -> None:
    """Make the name this container's. Errors: UsageError where it is another's that runs or is kept."""
    path = f"{store}/names/{name}"
    lock = _lock_names(store)
    try:
        if os.path.lexists(path):
            folder = f"{store}/containers/{_owner(path)}"
            if is_alive(folder) or is_kept(folder):
                hint = f"give another `--name`, or remove that one: `jettison rm -f {name}`"
                raise UsageError(f"the name `{name}` is taken by a container", hint)
            os.unlink(path)
        os.symlink(container, path)
    finally:
        os.close(lock)


def _release(store: str, name: str, container: str) -> None:
    path = f"{store}/names/{name}"
    lock = _lock_names(store)
    try:
        if _owner(path) == container:
            os.unlink(path)
    finally:
        os.close(lock)


def _lock_names(store: str) -> int:
    os.makedirs(f"{store}/names", 0o700, exist_ok=True)
    lock = os.open(f"{store}/names", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _owner(path: str) -> str:
    """The id that a name links to; empty where it links to none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _process_fields(process: Process) -> "list[tuple[str, str]]":
    user = process.user
    return [
        *(("arg", text) for text in process.argv),
        *(("env", text) for text in process.env),
        ("cwd", process.cwd),
        ("uid", str(user.uid)),
        ("gid", str(user.gid)),
        *(("group", str(gid)) for gid in user.groups),
        ("home", user.home),
    ]


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    try:
        _write_all(descriptor, content)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
