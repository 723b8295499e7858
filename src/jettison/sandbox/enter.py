"""What runs in the child: it executes a plan, whose last operation becomes the program.

After `enter` nothing can be imported: what lies at a module's place may be the image's. So this module and the operations
import the standard library and `syscalls` alone.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket
    from typing import NoReturn, Protocol

    class Operation(Protocol):
        """One step into the new world: says what it does, and does it. `hint` is the next move where it fails."""

        hint: str

        def describe(self) -> str: ...
        def execute(self, world: "World") -> None: ...

    class Filter(Protocol):
        """The system calls that a process may make from here on."""

        def install(self) -> None: ...


FAILED = 125  # docker's status for "the program was not started"


class Failure(Exception):
    """The program cannot be started: why, the next move, the status that `run` gives, and the kernel's reason."""

    def __init__(self, message: str, hint: str = "", status: int = FAILED, number: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.number = number


class World:
    """What the operations hand on to each other."""

    def __init__(self, gate: int, report: int, channel: "socket | None" = None, passed: "Sequence[int]" = ()) -> None:
        self.gate = gate  # tells when the parent has written the id maps
        self.report = report  # takes a failure; the program's start closes it
        self.channel = channel  # takes the terminal
        self.passed = tuple(passed)  # descriptors of the caller's that a step is about
        self.has_many_users = False
        self.root = -1  # the new root folder
        self.mounts: dict[str, int] = {}  # our own mounts in it, by name
        self.program = ""  # the path to execute
        self.init_filter: Filter | None = None  # the system calls of the init, and the program's
        self.filter: Filter | None = None

    def has_machines_root(self) -> bool:
        """Whether user 0 is that of the machine too, to whom the files of /proc belong."""
        return os.fstat(self.mounts["proc"]).st_uid == 0

    def kept(self) -> "list[int]":
        """The descriptors that the child needs of those it was born with."""
        channel = self.channel.fileno() if self.channel else 0
        return [0, 1, 2, self.gate, self.report, channel, *self.passed]


def enter(world: World, operations: "Sequence[Operation]") -> "NoReturn":
    """Execute the operations in order; the last one does not come back. A failure is reported to the parent."""
    failure = Failure("the plan ended before the program was started")
    try:
        _become_inert()
        for operation in operations:
            _execute(operation, world)
    except Failure as error:
        failure = error
    except BaseException as error:  # nothing may unwind into the parent's code: this is a copy of its process
        failure = Failure(f"{type(error).__name__}: {error}")
    finally:
        _tell(world.report, failure)
        os._exit(failure.status)


def _become_inert() -> None:
    for way_to_import in (sys.meta_path, sys.path, sys.path_hooks):
        way_to_import.clear()
    sys.path_importer_cache.clear()


def _execute(operation: "Operation", world: World) -> None:
    try:
        operation.execute(world)
    except OSError as error:
        raise Failure(f"cannot {operation.describe()}: {error.strerror}", operation.hint, number=error.errno or 0) from error


def _tell(report: int, failure: Failure) -> None:
    message = f"{failure.status}\0{failure.number}\0{failure.message}\0{failure.hint}"
    os.write(report, os.fsencode(message)[:4096])  # PIPE_BUF: whole, or not at all
