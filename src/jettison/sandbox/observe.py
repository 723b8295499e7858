"""Run something under observation: a tracer that needs no privilege, as it traces its own children alone.

A process of ours forks the program, seizes it by ptrace(2) and notes which paths it and its descendants name. A seccomp filter
stops them at those calls only. What they do in the meantime to their own memory can make the record wrong, never us: nothing
that is read from them is trusted.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, NamedTuple, NoReturn

from jettison.errors import HostError
from jettison.sandbox import ptrace, syscalls
from jettison.sandbox.observe_calls import CURRENT, Operand, architectures, seccomp_program, socket_calls, tables
from jettison.sandbox.observe_record import Action, Record
from jettison.sandbox.program import exit_status
from jettison.tree.observation import Observation

TASK_LIMIT = 20_000
_GRACE_S = 0.5  # what the command leaves running may end by itself for so long,
_PATIENCE_S = 5.0  # and has so long for SIGTERM

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_AT_FDCWD = -100
_AT_EXECFN = 31  # getauxval(3)
_AUXILIARY = Struct("@LL")
_OPEN_WRITES, _OPEN_BOTH = (os.O_WRONLY, os.O_RDWR), os.O_RDWR
_AF_UNIX = 1
_UNIX_ADDRESS_BYTES = 110
_ENOENT, _ENOTDIR, _RESTARTS = -2, -20, range(-516, -511)  # errno(3); ERESTARTSYS and its like, which programs never see
_DENIALS = (-1, -13)
_THERE = (-17, -22, -61)  # EEXIST of mkdir, EINVAL of readlink, ENODATA of getxattr: something is there
_GROUP_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Watch(NamedTuple):
    """What is recorded: from the start of a program on which `is_entry` says so (a path as the process sees it), that program
    and what it starts. `in_container`: programs outside of a container are none of them."""

    is_entry: Callable[[str], bool]
    in_container: bool = False


def observe(run: Callable[[], int], watch: Watch) -> Observation:
    """Call `run` in a child under observation until it ends: it may execute a program, or give a status.

    SIGINT, SIGTERM and SIGHUP end it, and keep what was seen. What it leaves running is ended. Errors: HostError.
    """
    if not architectures():
        raise HostError(f"programs of {os.uname().machine} cannot be observed yet")
    reader, writer = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        os.close(reader)
        _be_tracer(run, watch, writer)
    os.close(writer)
    with _Passing(tracer), open(reader, "rb") as stream:
        data = stream.read()
        _, status = os.waitpid(tracer, 0)
    if not data:
        raise HostError(f"the observer was ended with status {exit_status(status)}, and the program with it")
    value = json.loads(data)
    if "error" in value:
        raise HostError(value["error"], value["hint"])
    maps = {name: paths for name, paths in value.items() if isinstance(paths, dict)}
    return Observation((), **maps, status=value["status"], notices=tuple(value["notices"]))


class _Passing:
    """Signals that would end us end the observed command instead: the second kills it, the third the tracer too."""

    def __init__(self, tracer: int) -> None:
        self._tracer = tracer
        self._count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        try:
            for number in _ENDING:
                self._before[number] = signal.signal(number, self._pass_on)
        except ValueError:  # only the main thread may
            self._before.clear()

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, *_: object) -> None:
        self._count += 1
        try:
            os.kill(self._tracer, signal.SIGKILL if self._count > 2 else signal.SIGTERM)
        except ProcessLookupError:
            pass


def _be_tracer(run: Callable[[], int], watch: Watch, writer: int) -> NoReturn:
    """This process traces, tells through `writer` what it saw, and ends."""
    answer: dict[str, object] = {"error": "the observer was interrupted", "hint": ""}
    try:
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        syscalls.set_process(_PR_SET_CHILD_SUBREAPER, 1)  # orphans are ours to bury
        answer = _Tracer(watch, Record()).trace(run)
    except OSError as error:
        answer = {"error": f"cannot observe a program: {error.strerror}", "hint": _hint()}
    except BaseException as error:  # nothing may unwind into the caller's code: this is a copy of its process
        answer = {"error": f"cannot observe a program: {type(error).__name__}: {error}", "hint": "please report it"}
    finally:
        with open(writer, "wb") as stream:
            stream.write(json.dumps(answer).encode())
        os._exit(0)


def _hint() -> str:
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as stream:
            scope = stream.read().strip()
    except OSError:
        scope = ""
    if scope in ("2", "3"):
        return f"kernel.yama.ptrace_scope is {scope}: `sudo sysctl -w kernel.yama.ptrace_scope=1`"
    return "in a container, ptrace has to be allowed: docker and podman have `--security-opt seccomp=unconfined`"


class _Task:
    """A thread: the program it runs, whether it is recorded, and the call that it is in."""

    __slots__ = ("actions", "executing", "is_recorded", "program")

    def __init__(self, program: str, is_recorded: bool) -> None:
        self.program = program
        self.is_recorded = is_recorded
        self.actions: list[Action] | None = None
        self.executing = ""


class _Tracer:
    """The loop over the stops of all tasks."""

    def __init__(self, watch: Watch, record: Record) -> None:
        self._watch = watch
        self._record = record
        self._tables = tables()
        self._socket_calls = socket_calls()
        self._tasks: dict[int, _Task] = {}
        self._early: set[int] = set()  # new tasks that stopped before their parent's event was seen
        self._has_roots = False  # whether somebody has called chroot
        self._namespace = _namespace(os.getpid())
        self._main = 0
        self._signal = 0  # what every task gets, once it is time to end

    def trace(self, run: Callable[[], int]) -> dict[str, object]:
        """Trace to the end: what was seen, as JSON has it."""
        gate, opener = os.pipe()
        self._main = os.fork()
        if self._main == 0:
            os.close(opener)
            _be_program(run, gate)
        os.close(gate)
        syscalls.set_process(syscalls.PR_SET_DUMPABLE, 0)  # the program is the same user's: it shall not trace us in turn
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal has sent it to the program too
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGALRM, self._end)
        try:
            ptrace.seize(self._main)
        except OSError:
            os.kill(self._main, signal.SIGKILL)
            os.waitpid(self._main, 0)
            raise
        self._tasks[self._main] = _Task("", False)
        os.write(opener, b"*")
        os.close(opener)
        status = self._follow()
        signal.setitimer(signal.ITIMER_REAL, 0)
        return {**self._record.as_json(), "status": exit_status(status)}

    def _follow(self) -> int:
        """Until nobody is left: the wait status of the first process."""
        final = 0
        while True:
            try:
                pid, status = os.waitpid(-1, ptrace.WAIT_ALL)
            except ChildProcessError:
                return final
            if os.WIFSTOPPED(status):
                try:
                    self._stopped(pid, status >> 8 & 0xFF, status >> 16)
                except (ptrace.Gone, ProcessLookupError):
                    continue  # killed; its end is reported next
                continue
            self._tasks.pop(pid, None)
            self._early.discard(pid)
            if pid == self._main:
                final = status
                signal.setitimer(signal.ITIMER_REAL, _GRACE_S)

    def _end(self, *_: object) -> None:
        """Ask all to end; the second time, and after a while, make them."""
        self._signal = signal.SIGKILL if self._signal else signal.SIGTERM
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        for pid in list(self._tasks):
            try:
                os.kill(pid, self._signal)
            except (ProcessLookupError, PermissionError):
                continue

    # A stop of a task, by its kind

    def _stopped(self, pid: int, number: int, event: int) -> None:
        task = self._tasks.get(pid)
        if task is None:
            self._early.add(pid)
            if len(self._early) > TASK_LIMIT:
                self._give_up()
            return
        if event == ptrace.EVENT_SECCOMP:
            self._called(pid, task)
            return
        if number == ptrace.SYSCALL_STOP:
            self._returned(pid, task)
        elif event == ptrace.EVENT_EXEC:
            self._executed(pid)
        elif event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            self._started(ptrace.event_message(pid), task)
        elif event == ptrace.EVENT_STOP and number in _GROUP_STOPS:
            ptrace.leave_stopped(pid)
            return
        elif not event:
            self._resume(pid, task, number)
            return
        self._resume(pid, self._tasks.get(pid, task), 0)

    def _resume(self, pid: int, task: _Task, number: int) -> None:
        if self._signal == signal.SIGKILL:
            os.kill(pid, signal.SIGKILL)
        if task.actions is None:
            ptrace.resume(pid, number)
        else:
            ptrace.resume_to_return(pid, number)

    def _started(self, pid: int, parent: _Task) -> None:
        self._tasks[pid] = _Task(parent.program, parent.is_recorded)
        if pid in self._early:
            self._early.discard(pid)
            self._resume(pid, self._tasks[pid], 0)
        if len(self._tasks) > TASK_LIMIT:
            self._give_up()

    def _give_up(self) -> None:
        self._record.notice(f"it was ended: it had started more than {TASK_LIMIT} processes and threads at once")
        self._signal = signal.SIGTERM
        self._end()

    def _executed(self, pid: int) -> None:
        """A thread that executes becomes the first of its process, and the only one, ptrace(2)."""
        former = ptrace.event_message(pid)
        task = self._tasks.pop(former, None) if former != pid else self._tasks.get(pid)
        if task is None:
            return
        self._tasks[pid] = task
        path, task.executing, task.actions = task.executing or self._absolute(pid, _AT_FDCWD, _executed_name(pid)), "", None
        if not path:
            return
        if not task.is_recorded:
            task.is_recorded = self._is_inside(pid) and self._watch.is_entry(path)
        if task.is_recorded:
            self._record.add("executed", path, task.program)
            task.program = path

    def _is_inside(self, pid: int) -> bool:
        return not self._watch.in_container or _namespace(pid) not in ("", self._namespace)

    # Calls

    def _called(self, pid: int, task: _Task) -> None:
        """The task wants to call the kernel; its result is waited for only where it tells something new."""
        architecture, number, arguments = ptrace.call_of(pid)
        operands = self._tables.get(architecture, {}).get(number, ())
        is_execution = bool(operands) and operands[0].kind == "execute"
        task.actions = None
        if is_execution or (task.is_recorded and not self._record.is_full):
            is_socket = (architecture, number) in self._socket_calls
            actions = list(self._actions(pid, operands, arguments, is_socket))
            if is_execution:
                task.executing = actions[0].path if actions else ""
            elif len(actions) == 1 and actions[0].kind == "looked" and self._sees(actions[0].path):
                self._record.add("looked", actions[0].path, task.program)
            if any(self._record.is_new(action) for action in actions):
                task.actions = actions
        self._resume(pid, task, 0)

    def _sees(self, path: str) -> bool:
        """Whether something is there, as the task will see it too: then there is no need to wait for its call's end."""
        return not self._watch.in_container and not self._has_roots and os.path.lexists(path)

    def _actions(self, pid: int, operands: tuple[Operand, ...], arguments: tuple[int, ...], is_socket: bool) -> Iterator[Action]:
        for operand in operands:
            path = _socket_path(pid, arguments) if is_socket else ptrace.read_text(pid, arguments[operand.path])
            if path is not None:
                folder = _AT_FDCWD if operand.folder == CURRENT else _signed(arguments[operand.folder])
                name = self._absolute(pid, folder, path)
                if name:
                    yield from _meanings(pid, operand, name, arguments)

    def _absolute(self, pid: int, folder: int, text: bytes) -> str:
        """The path as seen from the root of the container, or of the machine; empty where it is none."""
        path = os.fsdecode(text)
        if path.startswith("/"):
            base = _link(pid, "root") if self._has_roots else ""
        else:
            base = _link(pid, "cwd") if folder == _AT_FDCWD else _link(pid, f"fd/{folder}")
            if not base.startswith("/") or base.endswith(" (deleted)"):
                return ""
        return _clean(f"{base}/{path}")

    def _returned(self, pid: int, task: _Task) -> None:
        actions, task.actions = task.actions, None
        if not actions:
            return
        result = ptrace.result_of(pid)
        if actions[0].kind == "executed":
            task.executing = ""  # it failed, otherwise the event would have come first
        if actions[0].kind == "root":
            self._has_roots = self._has_roots or result >= 0
        elif task.is_recorded and result not in _RESTARTS:
            self._note(actions, result, task.program)

    def _note(self, actions: list[Action], result: int, program: str) -> None:
        first = actions[0]
        if result >= 0:
            for action in actions:
                self._record.add(action.kind, action.path, program)
        elif result in (_ENOENT, _ENOTDIR) and first.kind != "created":
            self._record.add("missing", first.path, program)
        elif result in _DENIALS:
            self._record.add("denied", first.path, program)
        elif result in _THERE:
            self._record.add("looked", first.path, program)


def _be_program(run: Callable[[], int], gate: int) -> NoReturn:
    """The observed child: it waits to be seized."""
    status = 126
    try:
        if not os.read(gate, 1):
            os._exit(status)
        os.close(gate)
        ptrace.filter_calls(seccomp_program(architectures()))
        status = run()
    except BaseException as error:  # nothing may unwind into the caller's code: this is a copy of its process
        os.write(2, f"error: {getattr(error, 'message', '') or error}\n".encode(errors="replace"))
    finally:
        os._exit(status)


def _meanings(pid: int, operand: Operand, path: str, arguments: tuple[int, ...]) -> Iterator[Action]:
    """What a call does to a path, if it succeeds."""
    match operand.kind:
        case "open":
            yield from _opening(pid, path, arguments[operand.path + 1])
        case "open_how":
            how = ptrace.read_memory(pid, arguments[operand.path + 1], 8)
            yield from _opening(pid, path, int.from_bytes(how, "little"))
        case "create":
            yield Action("changed" if _is_there(pid, path) else "created", path)
        case "look":
            yield Action("looked", path)
        case "change":
            yield Action("changed", path)
        case "execute":
            yield Action("executed", path)
        case "connect":
            yield Action("connected", path)
        case "root":
            yield Action("root", path)


def _opening(pid: int, path: str, flags: int) -> Iterator[Action]:
    if flags & os.O_PATH:
        yield Action("looked", path)
        return
    if flags & os.O_CREAT and not _is_there(pid, path):
        yield Action("created", path)
        return
    is_written = flags & os.O_ACCMODE in _OPEN_WRITES or flags & os.O_TRUNC
    if flags & os.O_DIRECTORY:
        yield Action("listed", path)
    elif not is_written or flags & os.O_ACCMODE == _OPEN_BOTH:
        yield Action("read", path)
    if is_written:
        yield Action("changed", path)


def _executed_name(pid: int) -> bytes:
    """The path that a process was executed by, from its new memory: the old one's may not have been readable."""
    try:
        with open(f"/proc/{pid}/auxv", "rb") as stream:
            data = stream.read(_AUXILIARY.size * 64)
            vector = _AUXILIARY.iter_unpack(data[: len(data) - len(data) % _AUXILIARY.size])
            address = next((value for kind, value in vector if kind == _AT_EXECFN), 0)
    except (OSError, ValueError):
        return b""
    return ptrace.read_text(pid, address) or b""


def _is_there(pid: int, path: str) -> bool:
    return os.path.lexists(f"/proc/{pid}/root{path}")


def _socket_path(pid: int, arguments: tuple[int, ...]) -> bytes | None:
    """The path in a struct sockaddr_un, unix(7); None for other families, and for names without a file."""
    address = ptrace.read_memory(pid, arguments[1], min(arguments[2], _UNIX_ADDRESS_BYTES)) if arguments[2] > 3 else b""
    if int.from_bytes(address[:2], "little") != _AF_UNIX:
        return None
    return address[2:].partition(b"\0")[0] or None


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _namespace(pid: int) -> str:
    return _link(pid, "ns/mnt")


def _signed(argument: int) -> int:
    """A descriptor: an int in a register's lower half."""
    return (argument & 0xFFFFFFFF) - ((argument & 0x80000000) << 1)


def _clean(path: str) -> str:
    """The path without `.` and empty parts; what `..` leads out of may be a link, so it stays."""
    if "//" not in path and "/." not in path and not path.endswith("/"):
        return path
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
