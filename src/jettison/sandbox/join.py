"""A further program in a world that runs: `exec`. It gets what the first one got, and no more."""

import os
import resource

from jettison.errors import HostError, NotFound
from jettison.sandbox import cgroups, syscalls
from jettison.sandbox.capabilities import holds
from jettison.sandbox.console import Terminal
from jettison.sandbox.departure import (
    MANY_USERS,
    ONE_USER,
    CommandLine,
    Descriptors,
    Identity,
    Privileges,
    Session,
    WorkingDirectory,
)
from jettison.sandbox.enter import Failure
from jettison.sandbox.limits import ULIMITS, EnterGroup
from jettison.sandbox.operations import Operation
from jettison.sandbox.places import FOLDER
from jettison.sandbox.program import Execute, Program, search_path
from jettison.sandbox.reentry import in_order
from jettison.sandbox.seccomp import UNCONFINED, SystemCalls
from jettison.sandbox.state import SPACES, start_of
from jettison.sandbox.supervise import Child, begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.oci.process import Process
    from jettison.sandbox.enter import World
    from jettison.sandbox.seccomp import Filter
    from jettison.sandbox.state import Running

_TERMINALS = os.makedev(5, 2)  # /dev/ptmx: Documentation/admin-guide/devices.txt


class Init:
    """The init of a world that runs, by a descriptor: no other process can take its place. Use it in a `with`."""

    def __init__(self, running: "Running") -> None:
        """Errors: NotFound where it has ended."""
        self.pid = running.init
        self.spaces: dict[str, int] = {}
        try:
            self.descriptor = os.pidfd_open(running.init)
        except ProcessLookupError as error:
            raise _ended() from error
        if not self._is(running.init_start):
            os.close(self.descriptor)
            raise _ended()

    def __enter__(self) -> "Init":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self.descriptor, *self.spaces.values()):
            os.close(descriptor)

    def open_spaces(self, running: "Running") -> None:
        """Open its namespaces, which are not ours, as its runner has them open: nobody may look into the init itself.

        Errors: NotFound where it has ended, HostError.
        """
        try:
            for name, number in running.spaces.items():
                self._open_space(name, f"/proc/{running.runner}/fd/{number}")
        except FileNotFoundError as error:
            raise _ended() from error
        except PermissionError as error:
            raise HostError(f"cannot enter the container: {error.strerror}", "be the user who started it") from error
        if not self._is(running.init_start):  # else its runner's descriptors were nobody knows whose
            raise _ended()

    def has_many_users(self) -> bool:
        """Whether its user namespace has more users than one."""
        with open(f"/proc/{self.pid}/uid_map", "rb", 0) as stream:
            return sum(int(line.split()[2]) for line in stream.read().splitlines()) > 1

    def _open_space(self, name: str, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if os.path.samestat(os.fstat(descriptor), os.stat(f"/proc/self/ns/{name}")):
            os.close(descriptor)
        else:
            self.spaces[name] = descriptor

    def _is(self, start: int) -> bool:
        """Whether the descriptor's process is the one that started then: its number is its own while it is not buried."""
        try:
            return start_of(self.pid) == start
        except FileNotFoundError:
            return False


def join(
    init: Init, process: "Process", system_calls: "Filter | None", capabilities: int, interactive: bool, terminal: bool
) -> Child:
    """Start a process in the world of `init`, whose spaces are open. Errors: HostError, NotStarted."""
    group = cgroups.Membership(init.pid)
    try:
        return begin(
            _steps(init, process, group, system_calls, capabilities, interactive, terminal),
            0,
            lambda pid: _introduce(init, group, pid),
            terminal,
            list(init.spaces.values()),
        )
    finally:
        group.close()


def _steps(
    init: Init,
    process: "Process",
    group: cgroups.Membership,
    system_calls: "Filter | None",
    capabilities: int,
    interactive: bool,
    terminal: bool,
) -> "list[Operation]":
    user = process.user
    return [
        EnterGroup(group.doors()),
        Descriptors(),
        Identity(),
        Session(interactive or terminal),
        CommandLine(),
        Join(in_order(init.spaces) if holds(capabilities, "SYS_ADMIN") else init.spaces),
        *([FurtherTerminal(user.uid)] if terminal else []),
        WorkingDirectory(process.cwd),
        Program(process.argv[0], search_path(process.env)),
        Privileges(user.uid, user.gid, user.groups, capabilities),
        *([] if system_calls is UNCONFINED else [SystemCalls(system_calls, capabilities)]),
        Execute(process.argv, process.env, has_init=True, has_terminal=terminal),
    ]


class Join(Operation):
    """Enter the namespaces of the world; the user's first, as a rule, which gives the right to the others."""

    hint = "be the user who started it"

    def __init__(self, spaces: "dict[str, int]") -> None:
        self.spaces = spaces

    def describe(self) -> str:
        return f"enter the world's namespaces: {' '.join(self.spaces)}"

    def execute(self, world: "World") -> None:
        for name, descriptor in self.spaces.items():
            syscalls.set_namespace(descriptor, SPACES[name])
            os.close(descriptor)
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)  # as the first program's: the own control group is the topmost
        # What a change of user resets: nobody in there may look into this process, which dies with its parent.
        syscalls.set_process(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, 9)
        world.root = os.open("/", FOLDER)


class FurtherTerminal(Terminal):
    """A terminal of the world's own devpts, for one more program."""

    def __init__(self, uid: int) -> None:
        super().__init__(None, uid)

    def execute(self, world: "World") -> None:
        world.mounts["pts"] = pts = syscalls.open_in_root(world.root, "dev/pts", FOLDER)
        if os.stat("ptmx", dir_fd=pts, follow_symlinks=False).st_rdev != _TERMINALS:
            raise Failure("the container's /dev/pts is not its terminals any more")
        super().execute(world)

    def bind_console(self, world: "World", theirs: int) -> None:
        """/dev/console is the first program's."""


def _introduce(init: Init, group: cgroups.Membership, pid: int) -> bytes:
    group.attach(pid)
    for kind in ULIMITS.values():
        _copy_limit(init.pid, pid, kind)
    return MANY_USERS if init.has_many_users() else ONE_USER


def _copy_limit(source: int, target: int, kind: int) -> None:
    """What the first program may not, the next one may not; more than the caller has is not to be had."""
    limit = resource.prlimit(source, kind)
    if limit != resource.prlimit(target, kind):
        try:
            resource.prlimit(target, kind, limit)
        except (OSError, ValueError):
            return


def _ended() -> NotFound:
    return NotFound("the container has just ended", "`jettison ps` lists those that run")
