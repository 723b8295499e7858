"""The parent's side: make the namespaces and the child, say who its users are, pass signals on, give its exit status."""

import os
import select

from jettison.errors import HostError, JettisonError, UsageError
from jettison.oci.process import User
from jettison.sandbox import capabilities, syscalls
from jettison.sandbox.departure import MANY_USERS, ONE_USER, write_own_maps
from jettison.sandbox.enter import World, enter
from jettison.sandbox.plan import Options, Place, namespaces, plan
from jettison.sandbox.program import FIRST_SOCKET, exit_status
from jettison.sandbox.state import SPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence
    from socket import socket

    from jettison.oci.process import Process
    from jettison.sandbox.enter import Operation
    from jettison.sandbox.limits import Confinement
    from jettison.sandbox.network import Network
else:
    import _signal  # `signal` itself imports enum: 3 ms

SIGCHLD = 17
_SIGKILL, _SIGCONT, _SIGSTOP, _SIGTSTP = 9, 18, 19, 20
# signal(7): what others send to a process, and not what the kernel tells it of its own doing.
# HUP INT QUIT USR1 USR2 ALRM TERM STKFLT CONT TSTP WINCH IO PWR, and the real-time signals.
_PASSED_ON = {1, 2, 3, 10, 12, 14, 15, 16, _SIGCONT, _SIGTSTP, 28, 29, 30, *range(34, 65)} & _signal.valid_signals()
AWAITED = _PASSED_ON | {SIGCHLD}
ENDING = {1, 2, 3, 15}  # HUP INT QUIT TERM: what ends a program that does not start
_MENDABLE = (1, 13, 24)  # EPERM, EACCES, EMFILE


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
    require_one_thread()
    with Signals(), Confined(process, options, place) as start:
        status = start().follow(options.interactive)
        start.tell(status)
    return status


def attempt(operations: "Sequence[Operation]", flags: int) -> None:
    """Take these steps in new namespaces, and end there. Errors: HostError, NotStarted, as of `supervise`."""
    require_one_thread()
    with Signals():
        child = begin(operations, syscalls.CLONE_NEWUSER | flags, lambda pid: write_maps(pid, User(0, 0)))
        child.follow(reads_stdin=False)


class Confined:
    """What surrounds a world, from before its start to after its end; called, it starts the world."""

    def __init__(self, process: "Process", options: Options, place: Place) -> None:
        self._process = process
        self._options = options
        self._place = place
        self._confinement = _confinement(options)
        self._entered: list[Confinement | _Unconfined | Network] = []
        self._operations: list[Operation] = []
        self._spaces: list[int] = []

    def __enter__(self) -> "Confined":
        """Errors: HostError where this machine refuses a limit or a network."""
        try:
            for part in (self._confinement, *([self._options.private] if self._options.private else [])):
                part.__enter__()
                self._entered.append(part)
            self._operations = [*self._confinement.steps(), *plan(self._process, self._options, self._place)]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._entered:
            self._entered.pop().__exit__()

    def __call__(self) -> "Child":
        """Start the world. Errors: HostError, NotStarted."""
        options = self._options
        sockets = range(FIRST_SOCKET, FIRST_SOCKET + options.listening)
        child = begin(self._operations, namespaces(options), self._introduce, options.terminal, sockets)
        child.spaces = self._spaces
        if capabilities.holds(options.capabilities, "SYS_ADMIN"):
            from jettison.sandbox.reentry import after_lock

            child.spaces = after_lock(child.pid, self._spaces)
        return child

    def tell(self, status: int) -> bool:
        """Say what became of the program; whether the memory limit ended it."""
        return self._confinement.tell(status)

    def _introduce(self, pid: int) -> bytes:
        users = write_maps(pid, self._process.user)
        for part in self._entered:
            part.hold(pid)
        # Now, as later nobody may look into it.
        self._spaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in SPACES]
        return users


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

    def tell(self, status: int) -> bool:
        """Nothing ended it from outside."""
        return False


def _confinement(options: Options) -> "Confinement | _Unconfined":
    if options.limits is None:
        return _Unconfined()
    from jettison.sandbox.limits import Confinement

    return Confinement(options.limits)


class Child:
    """The init of a world, whose program has started. While `gate` is open it knows that we live."""

    def __init__(self, pid: int, gate: int, terminal: int) -> None:
        self.pid = pid
        self.spaces: Sequence[int] = ()  # descriptors of the world's namespaces, for who wants to enter it
        self.terminal = terminal  # the other end of the program's, or -1
        self.was_told_to_end = False
        self._gate = gate

    def follow(self, reads_stdin: bool) -> int:
        """Pass on signals, and what is typed and printed, until it ends: its exit status."""
        if self.terminal < 0:
            return self._pass_signals()
        from jettison.sandbox.console import Relay

        ended: list[int] = []

        def is_over(number: int) -> bool:
            status = self.pass_on(number)
            ended.extend([] if status is None else [status])
            return bool(ended)

        with Relay(self.terminal, reads_stdin) as relay:
            relay.until(AWAITED, is_over)
        return ended[0]

    def pass_on(self, number: int) -> "int | None":
        """Give a signal to the init; or its exit status, where the signal says that it ended."""
        if number != SIGCHLD:
            self.was_told_to_end = self.was_told_to_end or number in ENDING
            os.kill(self.pid, number)
            return None
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            return None
        os.close(self._gate)
        return exit_status(status)

    def _pass_signals(self) -> int:
        while True:
            number = _signal.sigwaitinfo(AWAITED).si_signo
            status = self.pass_on(number)
            if status is not None:
                return status
            if number == _SIGTSTP:  # the program has stopped; so do we, as if we were it
                os.kill(os.getpid(), _SIGSTOP)


class Signals:
    """Signals wait until somebody asks for them; and the caller's way of hearing of its children's end is the usual one."""

    def __enter__(self) -> None:
        self._mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, AWAITED)
        self._ignores_children = _signal.getsignal(SIGCHLD) == _signal.SIG_IGN
        if self._ignores_children:
            _signal.signal(SIGCHLD, _signal.SIG_DFL)

    def __exit__(self, *_: object) -> None:
        if self._ignores_children:
            _signal.signal(SIGCHLD, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)


def begin(
    operations: "Sequence[Operation]",
    flags: int,
    introduce: "Callable[[int], bytes]",
    has_terminal: bool = False,
    passed: "Sequence[int]" = (),
) -> Child:
    """A child that took these steps, the last of which started its program.

    `introduce` takes its process id while it waits, and gives what is said to it through the gate. `passed`: the descriptors that
    its steps are about. Errors: HostError, NotStarted.
    """
    gate, gate_writer = os.pipe()
    report, report_writer = os.pipe()
    ours, theirs = _channel() if has_terminal else (None, None)
    pid = _clone(flags)
    if pid == 0:
        enter(World(gate, report_writer, theirs, passed), operations)
    os.close(gate)
    os.close(report_writer)
    if theirs:
        theirs.close()
    try:
        os.write(gate_writer, introduce(pid))
        terminal = _receive(ours)
        _await_start(pid, report)
    except (OSError, JettisonError) as error:
        os.close(gate_writer)  # a child that has read nothing ends
        _, status = os.waitpid(pid, 0)
        if isinstance(error, JettisonError):
            raise
        if os.WIFSIGNALED(status):  # nothing was wrong, but that there was nobody any more
            raise NotStarted("the init was killed before it started the program", "", exit_status(status)) from error
        raise HostError(f"cannot say who a world's users are: {error.strerror}", _mend(error.errno or 0)) from error
    finally:
        os.close(report)
    return Child(pid, gate_writer, terminal)


def _channel() -> "tuple[socket, socket]":
    from jettison.sandbox import console

    return console.channel()


def _receive(end: "socket | None") -> int:
    """The terminal that came through the channel, or -1."""
    if end is None:
        return -1
    from jettison.sandbox import console

    try:
        return console.receive(end)
    finally:
        end.close()


def _await_start(pid: int, report: int) -> None:
    """Until the program has started. Whoever wants an end before that gets one. Errors: NotStarted."""
    poll = select.poll()
    signals = syscalls.signal_descriptor(ENDING)
    poll.register(report, select.POLLIN)
    poll.register(signals, select.POLLIN)
    if report not in dict(poll.poll()):
        os.kill(pid, _SIGKILL)
    os.close(signals)
    fields = os.fsdecode(_read_all(report)).split("\0")
    if len(fields) == 4:
        status, number, message, hint = fields
        raise NotStarted(message, (_mend(int(number)) if int(number) in _MENDABLE else "") or hint, int(status))


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 4096):
        parts.append(part)
    return b"".join(parts)


def _clone(flags: int) -> int:
    try:
        return syscalls.clone(flags)
    except OSError as error:
        raise HostError(f"cannot create a user namespace: {error.strerror}", _mend(error.errno or 0)) from error


def write_maps(pid: int, user: User) -> bytes:
    """Root's world has all users that root has, under their own numbers. Anybody else's has the caller as its root and the
    caller's subordinate ids as the others, where the program starts as root and there are any; else the caller as the one
    user that the program is. The result goes through the gate.
    """
    if os.geteuid() == 0:
        try:
            write_own_maps(pid)
            return MANY_USERS
        except PermissionError:  # root without CAP_SETUID is an ordinary user
            pass
    elif user.uid == 0 and _write_ranges(pid):
        return MANY_USERS
    _write(pid, "setgroups", "deny")  # user_namespaces(7)
    _write(pid, "uid_map", f"{user.uid} {os.geteuid()} 1")
    _write(pid, "gid_map", f"{user.gid} {os.getegid()} 1")
    return ONE_USER


def _write_ranges(pid: int) -> bool:
    from jettison.sandbox import subordinate

    return subordinate.write_maps(pid)


def _write(pid: int, name: str, text: str) -> None:
    with open(f"/proc/{pid}/{name}", "wb", 0) as stream:
        stream.write(text.encode())


def require_one_thread() -> None:
    """A fork copies one thread, and the locks of all."""
    count = len(os.listdir("/proc/self/task"))
    if count > 1:
        hint = "start it before any thread, or from a process of its own"
        raise UsageError(f"a world cannot be started from a process of {count} threads", hint)


def _mend(number: int) -> str:
    from jettison.sandbox.refusal import mend

    return mend(number)
