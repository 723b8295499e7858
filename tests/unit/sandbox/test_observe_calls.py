"""The calls that name paths: their numbers, and the program that stops at them."""

import re
import struct
from pathlib import Path

import pytest

from jettison.sandbox.observe_calls import _CALLS, AARCH64, I386, X86_64, architectures, seccomp_program, tables

ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
HEADERS = {
    0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    1: Path("/usr/include/x86_64-linux-gnu/asm/unistd_32.h"),
    2: Path("/usr/include/asm-generic/unistd.h"),
}
ALIASES = {"newfstatat": ("fstatat64", "fstatat")}


def decide(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a seccomp program says: the classic BPF machine in a few lines."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    position = accumulator = 0
    while True:
        code, if_so, if_not, operand = struct.unpack_from("=HBBI", program, 8 * position)
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == 0x15:
            position += if_so if accumulator == operand else if_not
        else:
            assert code == 0x06
            return int(operand)


@pytest.mark.parametrize(("column", "path"), HEADERS.items(), ids=("x86-64", "i386", "aarch64"))
def test_the_numbers_are_the_kernels(column: int, path: Path) -> None:
    """As its headers have them."""
    if not path.exists():
        pytest.skip(f"no {path}")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    known = {name: int(number) for name, number in found}

    for name, numbers, _ in _CALLS:
        theirs = {known[each] for each in (name, *ALIASES.get(name, ())) if each in known}
        if numbers[column] is not None and theirs:  # a call may be younger than the header
            assert numbers[column] in theirs, name


@pytest.mark.parametrize("architecture", [X86_64, I386, AARCH64])
def test_the_program_stops_at_the_calls_of_the_table_alone(architecture: int) -> None:
    """Every number, of every architecture, x32 among them."""
    program = seccomp_program((X86_64, I386, AARCH64))
    traced = tables()[architecture]

    stops = {number for number in range(600) if decide(program, architecture, number) == TRACE}

    assert stops == set(traced)
    assert decide(program, architecture, 0x40000000 | 2) == ALLOW
    assert decide(program, 0xC00000F3, 56) == ALLOW


def test_a_stat_of_a_descriptor_passes() -> None:
    """fstat(3) follows each open, and names no path."""
    program = seccomp_program((X86_64,))

    assert decide(program, X86_64, 262, 3, 0, 0, 0x1000) == ALLOW
    assert decide(program, X86_64, 262, 3, 0, 0, 0x100) == TRACE
    assert decide(program, X86_64, 332, 3, 0, 0x1000) == ALLOW


def test_unknown_machines_have_no_architectures() -> None:
    """They are refused, instead of being misread."""
    assert (architectures("riscv64"), architectures("x86_64")) == ((), (X86_64, I386))
