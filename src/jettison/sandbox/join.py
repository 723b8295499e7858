"""A further program in a world that runs: `exec`. It gets what the first one got, and no more."""

import os
import resource
from contextlib import suppress

from jettison.errors import HostError, NotFound, UsageError
from jettison.sandbox import cgroups, syscalls
from jettison.sandbox.capabilities import holds
from jettison.sandbox.console import Terminal, size_of
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
from jettison.sandbox.limits import ULIMITS, EnterGroup, least
from jettison.sandbox.operations import Operation
from jettison.sandbox.places import FOLDER
from jettison.sandbox.program import Execute, Program, search_path
from jettison.sandbox.reentry import in_order
from jettison.sandbox.seccomp import UNCONFINED, SystemCalls
from jettison.sandbox.state import SPACES, start_of
from jettison.sandbox.supervise import Child, begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.oci.process import Process, User
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
        return sum(len(each) for each in self._ids("uid_map")) > 1

    def require_user(self, user: "User") -> None:
        """Errors: UsageError where its user namespace has no such user."""
        for name, wanted, what in (("uid_map", user.uid, "user"), ("gid_map", user.gid, "group")):
            if not any(wanted in each for each in self._ids(name)):
                hint = "an ordinary user's container has its own user alone: leave `--user` out, or start one with this `--user`"
                raise UsageError(f"the container has no {what} {wanted}", hint)

    def _ids(self, name: str) -> "list[range]":
        """The numbers that users or groups have inside, user_namespaces(7)."""
        try:
            with open(f"/proc/{self.pid}/{name}", "rb", 0) as stream:
                lines = [[int(word) for word in line.split()] for line in stream.read().splitlines()]
        except FileNotFoundError as error:
            raise _ended() from error
        return [range(first, first + count) for first, _, count in lines]

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
    """Start a process in the world of `init`, whose spaces are open. Errors: NotFound, UsageError, HostError, NotStarted."""
    init.require_user(process.user)
    group = _group(init)
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


def _group(init: Init) -> cgroups.Membership:
    try:
        return cgroups.Membership(init.pid)
    except FileNotFoundError as error:
        raise _ended() from error
    except OSError as error:
        raise _no_group(error) from error


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
        *([FurtherTerminal(size_of(0) or size_of(1), user.uid)] if terminal else []),
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

    def execute(self, world: "World") -> None:
        world.mounts["pts"] = pts = syscalls.open_in_root(world.root, "dev/pts", FOLDER)
        if os.stat("ptmx", dir_fd=pts, follow_symlinks=False).st_rdev != _TERMINALS:
            raise Failure("the container's /dev/pts is not its terminals any more")
        super().execute(world)

    def bind_console(self, world: "World", theirs: int) -> None:
        """/dev/console is the first program's."""


def _introduce(init: Init, group: cgroups.Membership, pid: int) -> bytes:
    try:
        group.attach(pid)
    except OSError as error:
        raise _no_group(error) from error
    try:
        for kind in ULIMITS.values():
            _copy_limit(init.pid, pid, kind)
        _copy_score(init.pid, pid)
        _copy_share(init.pid, pid)
        return MANY_USERS if init.has_many_users() else ONE_USER
    except (ProcessLookupError, FileNotFoundError) as error:
        raise _ended() from error


def _copy_limit(source: int, target: int, kind: int) -> None:
    """What the first program may not, the next one may not; more than the caller has is not to be had."""
    limit, own = resource.prlimit(source, kind), resource.prlimit(target, kind)
    if limit == own:
        return
    try:
        resource.prlimit(target, kind, limit)
    except (OSError, ValueError):
        resource.prlimit(target, kind, (least(limit[0], own[1]), least(limit[1], own[1])))


def _copy_score(source: int, target: int) -> None:
    """How gladly the kernel ends it; who may not be spared is ended more gladly."""
    with open(f"/proc/{source}/oom_score_adj", "rb", 0) as stream:
        score = stream.read()
    with suppress(PermissionError), open(f"/proc/{target}/oom_score_adj", "wb", 0) as stream:
        stream.write(score)


def _copy_share(source: int, target: int) -> None:
    """Its processors and niceness; who may not be less nice is not."""
    with suppress(PermissionError):
        os.sched_setaffinity(target, os.sched_getaffinity(source))
        os.setpriority(os.PRIO_PROCESS, target, os.getpriority(os.PRIO_PROCESS, source))


def _no_group(error: OSError) -> HostError:
    where = f" `{error.filename}`" if error.filename else ""
    return HostError(
        f"cannot enter the control group of the container's limits{where}: {error.strerror}", "see `jettison doctor`"
    )


def _ended() -> NotFound:
    return NotFound("the container has just ended", "`jettison ps` lists those that run")
