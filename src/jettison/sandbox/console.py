"""The terminal of `-t`: one end in the world, the other with the parent, who passes on what is typed and printed."""

import _socket
import os
import select
import sys
import termios
from fcntl import ioctl

from jettison.sandbox import syscalls
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket
    from typing import Any

    from jettison.sandbox.enter import World

_TIOCSPTLCK = 0x40045431  # asm-generic/ioctls.h; Python 3.13 has the names
_TIOCGPTPEER = 0x5441
_CHUNK_BYTES = 65536
_SIGNAL_INFO_BYTES = 128  # signalfd(2)
_SIGWINCH = 28


class Terminal(Operation):
    """A terminal of the world's own becomes stdin, stdout and stderr; its other end goes to the parent.

    Nothing is looked up in the image: the descriptor of our own devpts makes both ends (CVE-2025-52565).
    """

    def __init__(self, size: "tuple[int, int] | None", uid: int) -> None:
        self.size = size
        self.uid = uid

    def describe(self) -> str:
        return "open a terminal"

    def execute(self, world: "World") -> None:
        ours = os.open("ptmx", os.O_RDWR | os.O_NOCTTY, dir_fd=world.mounts["pts"])
        ioctl(ours, _TIOCSPTLCK, bytes(4))
        theirs = ioctl(ours, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)
        os.fchown(theirs, self.uid, -1)
        if self.size:
            termios.tcsetwinsize(theirs, self.size)
        self.bind_console(world, theirs)
        self._hand_over(world, ours)
        for descriptor in (0, 1, 2):
            os.dup2(theirs, descriptor)
        os.close(theirs)

    def bind_console(self, world: "World", theirs: int) -> None:
        """Be /dev/console too."""
        dev = world.mounts["dev"]
        os.close(os.open("console", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o620, dir_fd=dev))
        syscalls.attach(syscalls.clone_tree(theirs), os.open("console", os.O_PATH, dir_fd=dev))

    @staticmethod
    def _hand_over(world: "World", ours: int) -> None:
        assert world.channel is not None
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, ours.to_bytes(4, sys.byteorder))
        world.channel.sendmsg([b"t"], [rights])
        world.channel.close()
        os.close(ours)


def channel() -> "tuple[socket, socket]":
    """Two ends, through which a descriptor can be sent."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)  # type: ignore[return-value]


def receive(end: "socket") -> int:
    """The terminal that the child opened, or -1 where it did not come so far."""
    _, rights, _, _ = end.recvmsg(1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
    return int.from_bytes(rights[0][2], sys.byteorder) if rights else -1


def size_of(descriptor: int) -> "tuple[int, int] | None":
    """Rows and columns of a terminal; None for anything else."""
    try:
        return termios.tcgetwinsize(descriptor)
    except termios.error:
        return None


class Relay:
    """What is typed goes to the terminal, what it prints to stdout; its size follows the caller's. Use it in a `with`.

    `reads_stdin`: what is typed is passed on byte by byte; afterwards the caller's own terminal is as it was.
    """

    def __init__(self, terminal: int, reads_stdin: bool) -> None:
        self._terminal = terminal
        self._sources = {terminal, 0} if reads_stdin else {terminal}
        self._typed = b""
        self._before = termios.tcgetattr(0) if reads_stdin and os.isatty(0) else None

    def __enter__(self) -> "Relay":
        if self._before:
            termios.tcsetattr(0, termios.TCSADRAIN, _raw(self._before))
        os.set_blocking(self._terminal, False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)
        os.close(self._terminal)

    def until(self, signals: "set[int]", is_over: "Callable[[int], bool]") -> None:
        """Relay until `is_over` says so of a signal; then print what is left."""
        source = syscalls.signal_descriptor(signals)
        while True:
            ready = self._wait(source)
            self._print(ready)
            self._type(ready)
            if source not in ready:
                continue
            number = int.from_bytes(os.read(source, _SIGNAL_INFO_BYTES)[:4], sys.byteorder)
            if number == _SIGWINCH:
                self._resize()
            elif is_over(number):
                break
        while self._terminal in self._sources and self._print({self._terminal: select.POLLIN}):
            pass
        os.close(source)

    def _wait(self, source: int) -> "dict[int, int]":
        """What can be read, and whether the terminal takes what is typed. Where it does not, nothing more is read."""
        poll = select.poll()
        poll.register(source, select.POLLIN)
        for descriptor in self._sources:
            poll.register(descriptor, select.POLLIN)
        if self._typed:
            poll.register(self._terminal, select.POLLIN | select.POLLOUT)
            poll.unregister(0)
        return dict(poll.poll())

    def _print(self, ready: "dict[int, int]") -> bool:
        """Pass on what was printed; False where there was nothing."""
        if not ready.get(self._terminal, 0) & (select.POLLIN | select.POLLHUP):
            return False
        try:
            printed = os.read(self._terminal, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has its other end open any more
            printed = b""
        if not printed:
            self._sources.discard(self._terminal)
        while printed:
            printed = printed[os.write(1, printed) :]
        return True

    def _type(self, ready: "dict[int, int]") -> None:
        if 0 in ready and 0 in self._sources:
            self._typed = os.read(0, _CHUNK_BYTES)
            if not self._typed:
                self._sources.discard(0)
        if self._typed:
            try:
                self._typed = self._typed[os.write(self._terminal, self._typed) :]
            except BlockingIOError:
                return

    def _resize(self) -> None:
        size = size_of(0) or size_of(1)
        if size:
            termios.tcsetwinsize(self._terminal, size)


def _raw(before: "list[Any]") -> "list[Any]":
    """cfmakeraw(3)."""
    iflag, oflag, cflag, lflag, *rest = before
    iflag &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON | termios.INLCR | termios.IGNCR)
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
    return [iflag, oflag & ~termios.OPOST, cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8, lflag, *rest]
