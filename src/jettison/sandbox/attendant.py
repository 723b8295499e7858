"""The process beside a world with a private network: passes on what comes to published ports, and keeps the way out.

It is a child of the runner's and ends with it, however that ends: then nobody holds the other end of its `life` any more. It
lives in the world's network and nowhere else of the world, and has no privileges once it is there.
"""

import os
import resource
import time

from jettison.errors import HostError
from jettison.sandbox import syscalls, usermode
from jettison.sandbox.forward import Loop
from jettison.sandbox.program import default_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from jettison.sandbox.ports import Listener

_READY = b"+"
_MESSAGE_BYTES = 4096
_PATIENCE_S = 10
_PAUSE_S = 0.002
_SIGKILL = 9


class Attendant:
    """From its start until `end`. Errors: HostError where it cannot do its work."""

    def __init__(self, pid: int, listeners: "Sequence[Listener]", address: str, command: "list[str]") -> None:
        namespaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _kinds()]
        life, self._life = os.pipe()
        report, report_writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _Work(pid, listeners, address, command).do(namespaces, life, report_writer)
        for descriptor in (*namespaces, life, report_writer):
            os.close(descriptor)
        with open(report, "rb", 0) as stream:
            said = stream.read()
        if said != _READY:
            self.end()
            raise HostError(f"cannot connect the private network: {said.decode('utf-8', 'replace')}", "see `jettison doctor`")

    def end(self) -> None:
        """Let it end, and what it has started."""
        os.close(self._life)
        os.waitpid(self._pid, 0)


class _Work:
    """What runs in the attendant. `command`: of the program that is the way out, empty where there is another."""

    def __init__(self, pid: int, listeners: "Sequence[Listener]", address: str, command: "list[str]") -> None:
        self._world = pid
        self._listeners = listeners
        self._address = address
        self._command = command
        self._program = 0

    def do(self, namespaces: "Sequence[int]", life: int, report: int) -> "NoReturn":
        """Nothing of it may come back: this is a copy of the runner's process."""
        status = 1
        try:
            self._leave_runner([*namespaces, life, report])
            self._prepare(namespaces, life, report)
            Loop().forward(self._listeners, self._address, life)
            status = 0
        finally:
            self._end_program()
            os._exit(status)

    def _leave_runner(self, kept: "Sequence[int]") -> None:
        """Nothing of the caller's stays open, no key that he types is a signal, and there may be many connections."""
        os.setsid()
        default_signals()
        syscalls.close_others([0, 1, 2, *kept, *(listener.socket.fileno() for listener in self._listeners)])
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def _prepare(self, namespaces: "Sequence[int]", life: int, report: int) -> None:
        """Say `_READY`, or why not."""
        said = _READY
        try:
            if self._command:
                self._open_way_out(life)
            for namespace in namespaces:
                syscalls.set_namespace(namespace, 0)
                os.close(namespace)
            syscalls.bound_capabilities(0)
            syscalls.set_capabilities(0)
            syscalls.set_process(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        except (OSError, HostError) as error:
            said = str(error).encode()
        os.write(report, said[:_MESSAGE_BYTES])
        os.close(report)
        if said != _READY:
            raise SystemExit

    def _open_way_out(self, life: int) -> None:
        """Start the program, and wait until it has done its work in the world's network."""
        said = os.memfd_create("said")
        self._program = usermode.run(self._command, said, life)
        until = time.monotonic() + _PATIENCE_S
        while not usermode.is_connected(self._world):
            if os.waitpid(self._program, os.WNOHANG)[0]:
                self._program = 0
                lines = os.pread(said, _MESSAGE_BYTES, 0).decode("utf-8", "replace").strip().splitlines()
                raise HostError(f"`{self._command[0]}` ended: {lines[-1] if lines else 'it did not say why'}")
            if time.monotonic() > until:
                raise HostError(f"`{self._command[0]}` did nothing in {_PATIENCE_S} s")
            time.sleep(_PAUSE_S)
        os.close(said)

    def _end_program(self) -> None:
        if self._program:
            os.kill(self._program, _SIGKILL)  # it has nothing to put in order
            os.waitpid(self._program, 0)


def _kinds() -> "list[str]":
    """Root may enter any network; anybody else that of a user namespace of his, after it."""
    return ["net"] if os.geteuid() == 0 else ["user", "net"]
