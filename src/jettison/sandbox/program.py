"""The program: found, checked, executed; and the init above it, which passes signals on and buries the dead."""

import fcntl
import os

from jettison.sandbox import syscalls
from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
    from typing import NoReturn

    from jettison.sandbox.enter import Filter, World
else:
    import _signal  # `signal` itself imports enum: 3 ms

NOT_EXECUTABLE = 126  # docker's statuses
NOT_FOUND = 127
BY_SIGNAL = 128
FIRST_SOCKET = 3  # sd_listen_fds(3)

_SIGKILL, _SIGCHLD = 9, 17
_GO = 10  # SIGUSR1, which is blocked as all are
_TIOCSCTTY = 0x540E  # ioctl_tty(2)
_ENOENT, _ENOEXEC, _ENOMEM, _EACCES, _ENOTDIR, _EMFILE, _ELOOP = 2, 8, 12, 13, 20, 24, 40  # errno(3)
_FORMAT, _IS_FILE = 0o170000, 0o100000  # stat(2), without the module `stat`
_SCRIPT_LIMIT = 5  # execve(2): an interpreter may be a script, four times
_SCRIPT_LINE_BYTES = 256


class Program(Operation):
    """Find the program, while every file may be read.

    A path through a link like /proc/self/exe is refused, in a script's first line too: it leads to the interpreter that runs
    this very line, a file of the machine (CVE-2019-5736).
    """

    def __init__(self, name: str, search: str) -> None:
        self.name = name
        self.search = search

    def describe(self) -> str:
        return f"find the program `{self.name}`"

    def execute(self, world: "World") -> None:
        world.program = path = self._find()
        for _ in range(_SCRIPT_LIMIT):
            interpreter = _interpreter(path)
            if not interpreter:
                return
            if _lookup(interpreter) is None:
                hint = "the interpreter has to be part of the image"
                raise Failure(f"cannot execute `{path}`: its interpreter `{interpreter}` is not there", hint, NOT_FOUND)
            path = interpreter

    def _find(self) -> str:
        """A name with a slash is a path; any other is looked for in $PATH."""
        folders = [""] if "/" in self.name else [f"{folder or '.'}/" for folder in self.search.split(":")]
        found = [path for path in (folder + self.name for folder in folders) if self.name and _lookup(path) is not None]
        runnable = [path for path in found if _lookup(path)]
        if runnable:
            return runnable[0]
        if found:
            raise Failure(f"cannot execute `{found[0]}`: it is no executable file", "`chmod +x` it", NOT_EXECUTABLE)
        where = "in the image" if "/" in self.name else f"in $PATH (`{self.search}`)"
        raise Failure(f"no program `{self.name}` {where}", status=NOT_FOUND)


class Execute(Operation):
    """Become the program; or its parent, the init, until it ends."""

    def __init__(
        self, argv: "Sequence[str]", env: "Sequence[str]", has_init: bool, has_terminal: bool, listening: int = 0
    ) -> None:
        self.argv = tuple(argv)
        self.env = dict(text.partition("=")[::2] for text in env)
        self.has_init = has_init
        self.has_terminal = has_terminal
        self.listening = listening

    def describe(self) -> str:
        return f"execute `{' '.join(self.argv)}`{' below an init' if self.has_init else ''}"

    def execute(self, world: "World") -> None:
        if self.has_init:
            child = _fork()
            if child:
                _confine(world.init_filter)
                os.close(world.report)
                os.kill(child, _GO)
                bury(child)
            self._lead()
            # While the init could still report a failure, who ends a start would kill the program.
            _signal.sigwaitinfo({_GO})
        if self.has_terminal:
            fcntl.ioctl(0, _TIOCSCTTY, 0)
        if self.listening:
            self._pass_sockets()
        default_signals()
        _confine(world.filter)
        try:
            os.execve(world.program, self.argv, self.env)
        except OSError as error:
            raise _not_started(world.program, error) from error

    def _pass_sockets(self) -> None:
        """sd_listen_fds(3): they are the program's that has this process id."""
        for descriptor in range(FIRST_SOCKET, FIRST_SOCKET + self.listening):
            os.set_inheritable(descriptor, True)
        self.env["LISTEN_PID"] = str(os.getpid())

    def _lead(self) -> None:
        """Die with the init, also where that is not the world's. A session where there is a terminal to control, else a process
        group: in a session of its own, with all parents in another, SIGTSTP would not stop it (setpgid(2), orphaned groups)."""
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, _SIGKILL)
        if self.has_terminal:
            os.setsid()
        else:
            os.setpgid(0, 0)


def _fork() -> int:
    try:
        return os.fork()
    except OSError as error:
        if error.errno == _ENOMEM:  # fork(2): also where the init of the world has ended
            raise Failure("the container has just ended, or there is no memory for one more process") from error
        raise


def _confine(filter: "Filter | None") -> None:
    if filter:
        filter.install()


def search_path(env: "Sequence[str]") -> str:
    """The program's own $PATH."""
    return next((text[5:] for text in env if text.startswith("PATH=")), "")


def bury(child: int) -> "NoReturn":
    """Be the init: pass signals on to the child, bury whoever dies, end as the child ends. All signals are blocked."""
    syscalls.close_others(())
    every = _signal.valid_signals()
    _signal.pthread_sigmask(_signal.SIG_SETMASK, every)
    while True:
        number = _signal.sigwaitinfo(every).si_signo
        if number != _SIGCHLD:
            _pass_on(child, number)
            continue
        for dead, status in _dead():
            if dead == child:
                os._exit(exit_status(status))


def _pass_on(child: int, number: int) -> None:
    """Give it a signal, where we may: without CAP_KILL not to a child that has become another user."""
    try:
        os.kill(child, number)
    except PermissionError:
        return


def exit_status(status: int) -> int:
    """A wait status in a shell's words: the status, or 128 and the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else BY_SIGNAL - code


def default_signals() -> None:
    """No signal ignored, none blocked: Python ignores SIGPIPE, and the caller may ignore more."""
    for number in _signal.valid_signals():
        if _signal.getsignal(number) not in (_signal.SIG_DFL, None):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _dead() -> "list[tuple[int, int]]":
    """The children that ended, and their wait statuses."""
    found = []
    try:
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    except ChildProcessError:
        pass
    return found


def _lookup(path: str) -> "bool | None":
    """Whether a path is an executable file; None where nothing is. Errors: Failure for a link into a process."""
    try:
        descriptor = syscalls.open_without_magic(path, os.O_PATH)
    except OSError as error:
        if error.errno == _ELOOP:
            raise Failure(
                f"refusing to execute `{path}`: it leads into a process or in circles", status=NOT_EXECUTABLE
            ) from error
        if error.errno == _EMFILE:
            raise  # it may well be there
        return False if error.errno == _EACCES else None
    mode = os.fstat(descriptor).st_mode
    os.close(descriptor)
    return mode & _FORMAT == _IS_FILE and bool(mode & 0o111)


def _interpreter(path: str) -> str:
    """The interpreter that a script's first line names, as execve(2) reads it; empty for what is no script."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    line = os.read(descriptor, _SCRIPT_LINE_BYTES).partition(b"\n")[0]
    os.close(descriptor)
    if not line.startswith(b"#!"):
        return ""
    words = line[2:].replace(b"\t", b" ").split(b"\0")[0].split(b" ")
    return os.fsdecode(next((word for word in words if word), b""))


def _not_started(path: str, error: OSError) -> Failure:
    if error.errno in (_ENOENT, _ENOTDIR):
        hint = "its dynamic linker has to be part of the image, at the path that the program names"
        return Failure(f"cannot execute `{path}`: its interpreter is not in the image", hint, NOT_FOUND)
    if error.errno == _ENOEXEC:
        hint = "is it built for another architecture, or a script without a `#!` line?"
        return Failure(f"cannot execute `{path}`: not a program of this machine", hint, NOT_EXECUTABLE)
    return Failure(f"cannot execute `{path}`: {error.strerror}", status=NOT_EXECUTABLE)
