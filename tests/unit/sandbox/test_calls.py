"""The numbers of system calls."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from jettison.sandbox.calls import ARCHITECTURES, this_architecture

# What asm-generic/unistd.h leaves to each architecture: the choices of arch/arm64.
ARM64 = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET")


@pytest.mark.parametrize(
    ("name", "header", "defines"),
    [
        ("x86_64", "asm/unistd_64.h", []),
        ("aarch64", "asm-generic/unistd.h", ["-D__BITS_PER_LONG=64", *(f"-D__ARCH_WANT_{word}" for word in ARM64)]),
    ],
)
def test_the_numbers_are_the_kernels(name: str, header: str, defines: list[str], require: Callable[[str], str]) -> None:
    """As its headers have them, for all calls that both know."""
    source = f"#include <{header}>\n"
    said = subprocess.run([require("gcc"), "-E", "-dM", *defines, "-"], input=source, capture_output=True, text=True, check=True)
    macros = dict(re.findall(r"#define (__NR\w+) (\w+)", said.stdout))
    numbers = ARCHITECTURES[name].numbers()

    theirs = {macro.removeprefix("__NR_"): macros.get(value) or value for macro, value in macros.items() if macro[4] == "_"}
    both = set(theirs) & set(numbers)
    assert {call: numbers[call] for call in both} == {call: int(theirs[call]) for call in both}
    assert len(both) > 290


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_no_number_is_given_twice(name: str) -> None:
    """Each call has its own."""
    numbers = ARCHITECTURES[name].numbers()

    assert len(set(numbers.values())) == len(numbers)


def test_a_32_bit_python_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernel may be of 64 bits, its calls are not."""
    assert this_architecture() is ARCHITECTURES.get(os.uname().machine)
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)

    assert this_architecture() is None
