"""ptrace(2), the memory of another process and a seccomp filter, called as `syscalls` calls the C library."""

import _ctypes
import os
import sys
from struct import Struct

from jettison.sandbox.syscalls import _LIBC, PR_SET_NO_NEW_PRIVS, _LongFunction, _Word, set_filter, set_process

# ptrace(2)
_CONT = 7
_SYSCALL = 24
_GETEVENTMSG = 0x4201
_SEIZE = 0x4206
_LISTEN = 0x4208
_GET_SYSCALL_INFO = 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000  # SYSGOOD FORK VFORK CLONE EXEC SECCOMP EXITKILL

EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_SECCOMP, EVENT_STOP = 1, 2, 3, 4, 7, 128
SYSCALL_STOP = 0x85  # SIGTRAP, marked by SYSGOOD
WAIT_ALL = 0x40000000  # __WALL, waitpid(2)

# struct ptrace_syscall_info: op, arch, ip, sp, and of a call its number and arguments, of a return its value
_CALL = Struct("=BxxxIQQQ6Q")
_RESULT = Struct("=BxxxIQQq")
_SECCOMP_OP, _EXIT_OP = 3, 2

_PATH_MAX = 4096
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FIRST_LOOK_BYTES = 256
_HIGHEST_ADDRESS = (1 << 63) - 1


class _Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Memory(_ctypes.Array):  # type: ignore[type-arg]
    """Bytes that the kernel may write."""

    _type_ = _Char
    _length_ = _PATH_MAX


def _prototype(kind: "type[_ctypes.CFuncPtr]", name: str, words: int) -> "_ctypes.CFuncPtr":
    function = kind(_ctypes.dlsym(_LIBC, name))
    function.argtypes = (_Word,) * words
    return function


_ptrace = _prototype(_LongFunction, "ptrace", 4)
_read_memory = _prototype(_LongFunction, "process_vm_readv", 6)

_TEXT = bytearray(_PATH_MAX)
_INFO = bytearray(_PATH_MAX)
_TEXT_MEMORY = _Memory.from_buffer(_TEXT)
_INFO_MEMORY = _Memory.from_buffer(_INFO)
_TEXT_ADDRESS = _ctypes.addressof(_TEXT_MEMORY)
_INFO_ADDRESS = _ctypes.addressof(_INFO_MEMORY)
_IOVEC = Struct("@NN")


class Gone(Exception):
    """The process is not there any more, or is not stopped: somebody killed it."""


def seize(pid: int) -> None:
    """Trace a process and all that it will start; they die with us. Errors: OSError."""
    if _ptrace(_SEIZE, pid, 0, _OPTIONS) == -1:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def resume(pid: int, signal: int = 0) -> None:
    """Let it go on until the next event, and give it a signal."""
    _ptrace(_CONT, pid, 0, signal)


def resume_to_return(pid: int, signal: int = 0) -> None:
    """Let it go on until its call returns."""
    _ptrace(_SYSCALL, pid, 0, signal)


def leave_stopped(pid: int) -> None:
    """It was stopped by a signal, and stays so until SIGCONT."""
    _ptrace(_LISTEN, pid, 0, 0)


def event_message(pid: int) -> int:
    """The number that comes with an event: a new process, or a former thread."""
    if _ptrace(_GETEVENTMSG, pid, 0, _INFO_ADDRESS) == -1:
        raise Gone
    return int.from_bytes(_INFO[:8], sys.byteorder)


def call_of(pid: int) -> "tuple[int, int, tuple[int, ...]]":
    """(architecture, number, arguments) of the call that a seccomp filter stopped. Errors: Gone."""
    if _ptrace(_GET_SYSCALL_INFO, pid, 88, _INFO_ADDRESS) <= 0:
        raise Gone
    operation, architecture, _, _, number, *arguments = _CALL.unpack_from(_INFO)
    if operation != _SECCOMP_OP:
        raise Gone
    return architecture, number, tuple(arguments)


def result_of(pid: int) -> int:
    """What the call gives: -errno for a failure. Errors: Gone."""
    if _ptrace(_GET_SYSCALL_INFO, pid, 88, _INFO_ADDRESS) <= 0:
        raise Gone
    operation, _, _, _, value = _RESULT.unpack_from(_INFO)
    if operation != _EXIT_OP:
        raise Gone
    return int(value)


def read_memory(pid: int, address: int, size: int) -> bytes:
    """Bytes of its memory, at most 4096; none where they cannot be read."""
    got: int = _read_memory(pid, _IOVEC.pack(_TEXT_ADDRESS, size), 1, _IOVEC.pack(address, size), 1, 0)
    return bytes(_TEXT[:size]) if got == size else b""


def read_text(pid: int, address: int) -> "bytes | None":
    """The text that ends with NUL at an address; None where there is none that the kernel would take for a path."""
    text = b""
    step = _FIRST_LOOK_BYTES
    while len(text) < _PATH_MAX and 0 < address <= _HIGHEST_ADDRESS:
        size = min(step, _PATH_MAX - len(text), _PAGE_BYTES - address % _PAGE_BYTES)  # the next page may not be there
        if _read_memory(pid, _IOVEC.pack(_TEXT_ADDRESS, size), 1, _IOVEC.pack(address, size), 1, 0) != size:
            return None
        end = _TEXT.find(0, 0, size)
        if end >= 0:
            return text + _TEXT[:end]
        text += _TEXT[:size]
        address += size
        step = _PATH_MAX
    return None


def filter_calls(program: bytes) -> None:
    """Install a seccomp program for this process and its children. Without privileges they can gain none any more."""
    try:
        set_filter(program)  # as root
    except PermissionError:
        set_process(PR_SET_NO_NEW_PRIVS, 1)
        set_filter(program)
