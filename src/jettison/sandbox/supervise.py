"""The parent's side: make the namespaces and the child, say who its users are, pass signals on, give its exit status."""

import os

from jettison.errors import HostError, JettisonError, UsageError
from jettison.oci.process import User
from jettison.sandbox import syscalls
from jettison.sandbox.departure import MANY_USERS, ONE_USER
from jettison.sandbox.enter import World, enter
from jettison.sandbox.plan import Options, Place, namespaces, plan
from jettison.sandbox.program import exit_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from socket import socket

    from jettison.oci.process import Process
    from jettison.sandbox.enter import Operation
    from jettison.sandbox.limits import Confinement
else:
    import _signal  # `signal` itself imports enum: 3 ms

_SIGCHLD = 17
_SIGCONT, _SIGSTOP, _SIGTSTP = 18, 19, 20
# signal(7): what others send to a process, and not what the kernel tells it of its own doing.
# HUP INT QUIT USR1 USR2 ALRM TERM STKFLT CONT TSTP WINCH IO PWR, and the real-time signals.
_PASSED_ON = {1, 2, 3, 10, 12, 14, 15, 16, _SIGCONT, _SIGTSTP, 28, 29, 30, *range(34, 65)} & _signal.valid_signals()
_AWAITED = _PASSED_ON | {_SIGCHLD}
_DENIED = (1, 13)  # EPERM, EACCES


class NotStarted(JettisonError):
    """The program was not started; `status` is what `run` gives: 125, 126 or 127."""

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.exit_status = status


def supervise(process: "Process", options: Options, place: Place) -> int:
    """Run the process in its own world until it ends: its exit status, or 128 and the signal that ended it.

    stdin, stdout and stderr are the caller's. Signals that arrive meanwhile go to the process.
    Errors: HostError where this machine refuses, NotStarted.
    """
    _require_one_thread()
    operations = plan(process, options, place)
    with _Signals(), _confinement(options) as confinement:
        operations = [*confinement.steps(), *operations]
        hold = _holder(confinement, options)
        if options.terminal:
            child, status = _run_with_terminal(operations, options, process.user, hold)
        else:
            child = _start(operations, namespaces(options), process.user, hold)
            status = _pass_signals(child)
        confinement.tell(status)
    child.raise_failure()
    return status


def attempt(operations: "Sequence[Operation]", flags: int) -> None:
    """Take these steps in new namespaces, and end there. Errors: HostError, NotStarted, as of `supervise`."""
    _require_one_thread()
    with _Signals():
        child = _start(operations, syscalls.CLONE_NEWUSER | flags, User(0, 0), _Unconfined().hold)
        _pass_signals(child)
    child.raise_failure()


class _Unconfined:
    """Nothing holds a world without limits from outside."""

    def __enter__(self) -> "_Unconfined":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def steps(self) -> "list[Operation]":
        """What the child does before everything else."""
        return []

    def hold(self, pid: int) -> None:
        """Take the child."""

    def tell(self, status: int) -> None:
        """Say what became of it."""


def _confinement(options: Options) -> "Confinement | _Unconfined":
    if options.limits is None:
        return _Unconfined()
    from jettison.sandbox.limits import Confinement

    return Confinement(options.limits)


def _holder(confinement: "Confinement | _Unconfined", options: Options) -> "Callable[[int], None]":
    """Whatever takes the child before it goes on."""
    holders = [confinement, *([options.private] if options.private else [])]

    def hold(pid: int) -> None:
        for holder in holders:
            holder.hold(pid)

    return hold


class _Child:
    """The init of a world; `report` ends with it or gives its failure. While `gate` is open it knows that we live."""

    def __init__(self, pid: int, gate: int, report: int) -> None:
        self.pid = pid
        self._gate = gate
        self._report = report

    def raise_failure(self) -> None:
        """After its end. Errors: NotStarted where it had a failure to tell."""
        os.close(self._gate)
        with open(self._report, "rb", 0) as stream:
            fields = os.fsdecode(stream.read()).split("\0")
        if len(fields) == 4:
            status, number, message, hint = fields
            raise NotStarted(message, (_mend() if int(number) in _DENIED else "") or hint, int(status))


class _Signals:
    """Signals wait until somebody asks for them; and the caller's way of hearing of its children's end is the usual one."""

    def __enter__(self) -> None:
        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _AWAITED)
        self._ignores_children = _signal.getsignal(_SIGCHLD) == _signal.SIG_IGN
        if self._ignores_children:
            _signal.signal(_SIGCHLD, _signal.SIG_DFL)

    def __exit__(self, *_: object) -> None:
        if self._ignores_children:
            _signal.signal(_SIGCHLD, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)


def _run_with_terminal(
    operations: "Sequence[Operation]", options: Options, user: User, hold: "Callable[[int], None]"
) -> "tuple[_Child, int]":
    from jettison.sandbox import console

    ours, theirs = console.channel()
    child = _start(operations, namespaces(options), user, hold, theirs)
    theirs.close()
    terminal = console.receive(ours)
    ours.close()
    if terminal < 0:
        return child, _pass_signals(child)
    ended: list[int] = []

    def is_over(number: int) -> bool:
        status = _pass_on(child, number)
        ended.extend([] if status is None else [status])
        return bool(ended)

    with console.Relay(terminal, options.interactive) as relay:
        relay.until(_AWAITED, is_over)
    return child, ended[0]


def _start(
    operations: "Sequence[Operation]",
    flags: int,
    user: User,
    hold: "Callable[[int], None]",
    channel: "socket | None" = None,
) -> _Child:
    """The child, in its world. `hold` takes its process id while it waits to go on, after its users are known."""
    gate, gate_writer = os.pipe()
    report, report_writer = os.pipe()
    pid = _clone(flags)
    if pid == 0:
        enter(World(gate, report_writer, channel), operations)
    os.close(gate)
    os.close(report_writer)
    try:
        users = _write_maps(pid, user)
        hold(pid)
        os.write(gate_writer, users)
    except (OSError, JettisonError) as error:
        os.close(report)
        os.close(gate_writer)  # the child has read nothing, so it ends
        os.waitpid(pid, 0)
        if isinstance(error, JettisonError):
            raise
        raise HostError(f"cannot say who a world's users are: {error.strerror}", _mend()) from error
    return _Child(pid, gate_writer, report)


def _clone(flags: int) -> int:
    try:
        return syscalls.clone(flags)
    except OSError as error:
        raise HostError(f"cannot create a user namespace: {error.strerror}", _mend()) from error


def _write_maps(pid: int, user: User) -> bytes:
    """Root's world has all users that root has, under their own numbers; anybody else's has one: the program's is the caller.

    The result goes through the gate.
    """
    if os.geteuid() == 0:
        try:
            for name in ("uid_map", "gid_map"):
                _write(pid, name, _identity(name))
            return MANY_USERS
        except PermissionError:  # root without CAP_SETUID is an ordinary user
            pass
    _write(pid, "setgroups", "deny")  # user_namespaces(7)
    _write(pid, "uid_map", f"{user.uid} {os.geteuid()} 1")
    _write(pid, "gid_map", f"{user.gid} {os.getegid()} 1")
    return ONE_USER


def _identity(name: str) -> str:
    """Our own map of ids, each to itself: seen from a child namespace the parent's ids are those that we see."""
    with open(f"/proc/self/{name}", "rb", 0) as stream:
        lines = stream.read().decode().splitlines()
    ranges = [line.split() for line in lines]
    return "".join(f"{first} {first} {count}\n" for first, _, count in ranges)


def _write(pid: int, name: str, text: str) -> None:
    with open(f"/proc/{pid}/{name}", "wb", 0) as stream:
        stream.write(text.encode())


def _pass_signals(child: _Child) -> int:
    """Wait until the child ends: its exit status."""
    while True:
        number = _signal.sigwaitinfo(_AWAITED).si_signo
        status = _pass_on(child, number)
        if status is not None:
            return status
        if number == _SIGTSTP:  # the program has stopped; so do we, as if we were it
            os.kill(os.getpid(), _SIGSTOP)


def _pass_on(child: _Child, number: int) -> "int | None":
    """Give a signal to the child; or its exit status, where the signal says that it ended."""
    if number != _SIGCHLD:
        os.kill(child.pid, number)
        return None
    ended, status = os.waitpid(child.pid, os.WNOHANG)
    return exit_status(status) if ended else None


def _require_one_thread() -> None:
    """A fork copies one thread, and the locks of all."""
    count = len(os.listdir("/proc/self/task"))
    if count > 1:
        hint = "start it before any thread, or from a process of its own"
        raise UsageError(f"a world cannot be started from a process of {count} threads", hint)


def _mend() -> str:
    from jettison.sandbox.refusal import mend

    return mend()
