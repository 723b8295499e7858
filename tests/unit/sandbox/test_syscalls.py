"""System calls by hand: numbers and errors arrive whole."""

import ctypes
import mmap
import os

import pytest

from jettison.sandbox import syscalls

LARGE = (1 << 40) + 12345


def test_numbers_of_64_bits_arrive_whole(tmp_path: os.PathLike[str]) -> None:
    """As an argument, as a result and in a structure: nothing is cut to an `int` (P5)."""
    lseek = {"x86_64": 8, "aarch64": 62}[os.uname().machine]
    descriptor = os.open(os.path.join(tmp_path, "file"), os.O_RDWR | os.O_CREAT)

    assert syscalls._call("syscall", lseek, descriptor, LARGE, os.SEEK_SET) == LARGE
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == LARGE
    assert syscalls._words(LARGE, (1 << 64) - 1) == LARGE.to_bytes(8, "little") + b"\xff" * 8
    os.close(descriptor)


def test_addresses_arrive_whole() -> None:
    """Those of memory that was mapped by others, and of bytes (P5)."""
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert address > 1 << 32

    syscalls._call("strncpy", address, b"text", 4096)

    assert memory[:5] == b"text\0"


def test_an_error_is_the_calls_own() -> None:
    """Whatever happened to errno before and since (P5)."""
    ctypes.set_errno(5)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        syscalls.open_in_root(-1, "x", os.O_RDONLY)

    assert caught.value.errno == 9


def test_every_function_has_its_types() -> None:
    """Seven words, so that no pointer is taken for an `int`; the result of syscall(2) is a `long` (P5)."""
    for name in ("syscall", "prctl", "mount", "umount2"):
        function = syscalls._function(name)
        assert [kind.__name__ for kind in function.argtypes] == ["_Word"] * 7
    assert syscalls._function("syscall").restype is syscalls._Long
