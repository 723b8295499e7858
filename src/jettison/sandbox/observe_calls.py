"""The system calls that name paths, by architecture, and a seccomp program that stops at these alone."""

import os
from struct import pack
from typing import Literal, NamedTuple

Kind = Literal["open", "open_how", "execute", "look", "create", "change", "connect", "root"]
CURRENT = -1  # instead of an argument's position: the path is relative to the working directory


class Operand(NamedTuple):
    """A path among a call's arguments: the positions of the folder's descriptor and of the path. An `open`'s flags come next."""

    kind: Kind
    folder: int
    path: int


Operands = tuple[Operand, ...]

# include/uapi/linux/audit.h
X86_64 = 0xC000003E
I386 = 0x40000003
AARCH64 = 0xC00000B7

_AT_EMPTY_PATH = 0x1000


def _at(kind: Kind, folder: int = 0) -> Operands:
    return (Operand(kind, folder, folder + 1),)


def _here(kind: Kind) -> Operands:
    return (Operand(kind, CURRENT, 0),)


_LINK = (Operand("look", CURRENT, 0), Operand("create", CURRENT, 1))
_LINK_AT = (Operand("look", 0, 1), Operand("create", 2, 3))
_RENAME = (Operand("change", CURRENT, 0), Operand("create", CURRENT, 1))
_RENAME_AT = (Operand("change", 0, 1), Operand("create", 2, 3))

# The numbers for x86-64, i386 and aarch64: arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h.
_CALLS: tuple[tuple[str, tuple[int | None, int | None, int | None], Operands], ...] = (
    ("open", (2, 5, None), _here("open")),
    ("openat", (257, 295, 56), _at("open")),
    ("openat2", (437, 437, 437), _at("open_how")),
    ("creat", (85, 8, None), _here("create")),
    ("stat", (4, 106, None), _here("look")),
    ("lstat", (6, 107, None), _here("look")),
    ("stat64", (None, 195, None), _here("look")),
    ("lstat64", (None, 196, None), _here("look")),
    ("newfstatat", (262, 300, 79), _at("look")),
    ("statx", (332, 383, 291), _at("look")),
    ("access", (21, 33, None), _here("look")),
    ("faccessat", (269, 307, 48), _at("look")),
    ("faccessat2", (439, 439, 439), _at("look")),
    ("readlink", (89, 85, None), _here("look")),
    ("readlinkat", (267, 305, 78), _at("look")),
    ("statfs", (137, 99, 43), _here("look")),
    ("statfs64", (None, 268, None), _here("look")),
    ("getxattr", (191, 229, 8), _here("look")),
    ("lgetxattr", (192, 230, 9), _here("look")),
    ("listxattr", (194, 232, 11), _here("look")),
    ("llistxattr", (195, 233, 12), _here("look")),
    ("chdir", (80, 12, 49), _here("look")),
    ("execve", (59, 11, 221), _here("execute")),
    ("execveat", (322, 358, 281), _at("execute")),
    ("mkdir", (83, 39, None), _here("create")),
    ("mkdirat", (258, 296, 34), _at("create")),
    ("mknod", (133, 14, None), _here("create")),
    ("mknodat", (259, 297, 33), _at("create")),
    ("symlink", (88, 83, None), (Operand("create", CURRENT, 1),)),
    ("symlinkat", (266, 304, 36), _at("create", 1)),
    ("link", (86, 9, None), _LINK),
    ("linkat", (265, 303, 37), _LINK_AT),
    ("rename", (82, 38, None), _RENAME),
    ("renameat", (264, 302, 38), _RENAME_AT),
    ("renameat2", (316, 353, 276), _RENAME_AT),
    ("unlink", (87, 10, None), _here("change")),
    ("unlinkat", (263, 301, 35), _at("change")),
    ("rmdir", (84, 40, None), _here("change")),
    ("truncate", (76, 92, 45), _here("change")),
    ("truncate64", (None, 193, None), _here("change")),
    ("chmod", (90, 15, None), _here("change")),
    ("fchmodat", (268, 306, 53), _at("change")),
    ("fchmodat2", (452, 452, 452), _at("change")),
    ("chown", (92, 182, None), _here("change")),
    ("chown32", (None, 212, None), _here("change")),
    ("lchown", (94, 16, None), _here("change")),
    ("lchown32", (None, 198, None), _here("change")),
    ("fchownat", (260, 298, 54), _at("change")),
    ("utime", (132, 30, None), _here("change")),
    ("utimes", (235, 271, None), _here("change")),
    ("futimesat", (261, 299, None), _at("change")),
    ("utimensat", (280, 320, 88), _at("change")),
    ("utimensat_time64", (None, 412, None), _at("change")),
    ("setxattr", (188, 226, 5), _here("change")),
    ("lsetxattr", (189, 227, 6), _here("change")),
    ("removexattr", (197, 235, 14), _here("change")),
    ("lremovexattr", (198, 236, 15), _here("change")),
    ("connect", (42, 362, 203), (Operand("connect", CURRENT, 1),)),
    ("bind", (49, 361, 200), (Operand("create", CURRENT, 1),)),
    ("chroot", (161, 61, 51), _here("root")),
)
_COLUMNS = (X86_64, I386, AARCH64)
_SOCKET_CALLS = ("connect", "bind")
# fstat(3) is one of these with the flag AT_EMPTY_PATH alone: a descriptor, no path. The flags' position.
_FLAGS = {"newfstatat": 3, "statx": 2}

_MACHINES = {"x86_64": (X86_64, I386), "i686": (I386,), "aarch64": (AARCH64,)}

# bpf(2), include/uapi/linux/{filter,seccomp}.h
_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_RETURN = 0x06
_RET_ALLOW = 0x7FFF0000
_RET_TRACE = 0x7FF00000
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16  # struct seccomp_data


def tables() -> dict[int, dict[int, Operands]]:
    """architecture → number → the call's paths."""
    return {
        architecture: {numbers[column]: operands for _, numbers, operands in _CALLS if numbers[column] is not None}  # type: ignore[misc]
        for column, architecture in enumerate(_COLUMNS)
    }


def socket_calls() -> frozenset[tuple[int, int]]:
    """(architecture, number) of the calls whose path lies in a socket's address."""
    return frozenset(
        (architecture, number)
        for name, numbers, _ in _CALLS
        for architecture, number in zip(_COLUMNS, numbers, strict=True)
        if name in _SOCKET_CALLS and number is not None
    )


def architectures(machine: str = "") -> tuple[int, ...]:
    """The architectures whose programs this machine runs, as far as they are known here."""
    return _MACHINES.get(machine or os.uname().machine, ())


def seccomp_program(architectures: tuple[int, ...]) -> bytes:
    """A program for seccomp(2) that stops for the tracer at the calls of the table, and lets all others pass at full speed.

    Calls of other architectures, and of x32, pass too.
    """
    program = _instruction(_LOAD_WORD, _ARCHITECTURE_OFFSET)
    for architecture in architectures:
        block = _block(architecture)
        program += _instruction(_JUMP_IF_EQUAL, architecture, if_not=len(block) // 8) + block
    return program + _instruction(_RETURN, _RET_ALLOW)


def _block(architecture: int) -> bytes:
    column = _COLUMNS.index(architecture)
    block = _instruction(_LOAD_WORD, _NUMBER_OFFSET)
    for name, numbers, _ in _CALLS:
        number = numbers[column]
        if number is not None:
            stop = _stop_unless_descriptor(_FLAGS[name]) if name in _FLAGS else _instruction(_RETURN, _RET_TRACE)
            block += _instruction(_JUMP_IF_EQUAL, number, if_not=len(stop) // 8) + stop
    return block + _instruction(_RETURN, _RET_ALLOW)


def _stop_unless_descriptor(flags: int) -> bytes:
    return (
        _instruction(_LOAD_WORD, _ARGUMENTS_OFFSET + 8 * flags)
        + _instruction(_JUMP_IF_EQUAL, _AT_EMPTY_PATH, if_not=1)
        + _instruction(_RETURN, _RET_ALLOW)
        + _instruction(_RETURN, _RET_TRACE)
    )


def _instruction(code: int, operand: int, if_not: int = 0) -> bytes:
    """struct sock_filter. A jump goes to the next instruction, or `if_not` instructions further."""
    return pack("=HBBI", code, 0, if_not, operand)
