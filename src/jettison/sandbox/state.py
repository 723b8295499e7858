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

from jettison.oci.process import Process, write_fields
from jettison.sandbox import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jettison.sandbox.seccomp import Filter
    from jettison.sandbox.supervise import Child

_MODE = 0o600
# The lock's file: the runner's process id, then what it tells.
RUNNER_BYTES, _TOLD_BYTES = 10, 200
RUNS, ENDED = b"runs", b"ended"
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
            from jettison.sandbox.container_names import claim

            claim(self.store, name, self.id)
            self.name = name
        self._memory = os.memfd_create("process")
        _write_all(self._memory, write_fields(_process_fields(process)))

    def is_mine(self) -> None:
        """This process is the runner."""
        os.pwrite(self._lock, b"%*d" % (RUNNER_BYTES, os.getpid()), 0)

    def runs(self, child: "Child") -> None:
        """The program has started."""
        self.is_kept = self._is_to_stay
        self._restarts += 1
        self._spaces = child.spaces
        self._since_ns = time.time_ns()
        start = start_of(child.pid)
        self._tell(RUNS, child.pid, start, self._since_ns, self._restarts, os.getpid(), self._memory, *child.spaces)

    def rests(self) -> None:
        """The program has ended, and is to be started again."""
        self._tell(b" ")
        for descriptor in self._spaces:
            os.close(descriptor)
        self._spaces = ()

    def ends(self, status: int, by_memory: bool) -> None:
        """How it ended: who waits has the lock open, also where all is removed."""
        self._tell(ENDED, status, time.time_ns(), int(by_memory), max(self._restarts, 0), self._since_ns)

    def _tell(self, what: bytes, *numbers: int) -> None:
        text = b" ".join([what, *(b"%d" % number for number in numbers)])
        os.pwrite(self._lock, text.ljust(_TOLD_BYTES), RUNNER_BYTES)

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


def start_of(pid: int) -> int:
    """When a process was started, in ticks since the machine's start, proc_pid_stat(5). Errors: OSError."""
    with open(f"/proc/{pid}/stat", "rb", 0) as stream:
        return int(stream.read().rpartition(b")")[2].split()[19])


def remove(store: str, container: str, name: str) -> None:
    """Remove a container's state and free its name. For its runner, or who shares the lock with no runner. The lock goes last:
    while it is there a sweep knows what to do with the rest."""
    folder = f"{store}/containers/{container}"
    if name:
        from jettison.sandbox.container_names import release

        release(store, name, container)
    try:
        while not remove_files(folder, os.listdir(folder)):  # others may have asked for its end meanwhile
            continue
    except FileNotFoundError:
        return


def _unlink(path: str) -> None:
    """Others may remove it too."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def remove_files(folder: str, files: "Collection[str]") -> bool:
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
