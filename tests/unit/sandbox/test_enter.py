"""The child: inert, and never on a way back into its parent's code."""

import ast
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.sandbox.enter import Failure, World, enter
from jettison.sandbox.operations import Operation

SANDBOX = Path(__file__).parents[3] / "src/jettison/sandbox"

# What runs in the child; the rest of the room runs in the parent alone.
INERT = ("enter", "places", "operations", "departure", "program", "console", "locked", "devices", "capabilities", "syscalls")


class Step(Operation):
    """An operation made of a function."""

    hint = "try again"

    def __init__(self, action: Callable[[], object]) -> None:
        self.action = action

    def describe(self) -> str:
        return "do it"

    def execute(self, world: World) -> None:
        self.action()


def told(*steps: Operation) -> tuple[int, list[str]]:
    """The status of a child that takes these steps, and what it reports."""
    report, writer = os.pipe()
    child = os.fork()
    if child == 0:
        enter(World(0, writer), steps)
    os.close(writer)
    with open(report, "rb") as stream:
        fields = stream.read().decode().split("\0")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), fields


def refuse() -> None:
    raise PermissionError(1, "Operation not permitted")


def fail() -> None:
    raise Failure("it is not there", "bring it", 127)


def load() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        import colorsys  # noqa: F401  # nothing of ours or of pytest's has it loaded


def leave() -> None:
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("action", "status", "fields"),
    [
        (refuse, 125, ["125", "1", "cannot do it: Operation not permitted", "try again"]),
        (fail, 127, ["127", "0", "it is not there", "bring it"]),
        (load, 125, ["125", "0", "ModuleNotFoundError: No module named 'colorsys'", ""]),
        (leave, 125, ["125", "0", "SystemExit: 0", ""]),
        (list, 125, ["125", "0", "the plan ended before the program was started", ""]),
    ],
)
def test_a_failure_is_told_to_the_parent(action: Callable[[], object], status: int, fields: list[str]) -> None:
    """With what was done, the kernel's reason and the next move; nothing can be imported, nothing unwinds (P1, P4)."""
    assert told(Step(action)) == (status, fields)


@pytest.mark.parametrize("module", INERT)
def test_what_runs_in_the_child_imports_nothing_of_the_house(module: str) -> None:
    """But what runs there too: nothing is loaded late."""
    tree = ast.parse((SANDBOX / f"{module}.py").read_text())
    wanted = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {name for name in wanted if name.startswith("jettison")} | {
        f"jettison.sandbox.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "jettison.sandbox"
        for alias in node.names
    }

    assert ours <= {"jettison.sandbox", *(f"jettison.sandbox.{name}" for name in INERT)}


@pytest.mark.parametrize("module", INERT)
def test_no_function_of_the_child_imports(module: str) -> None:
    """All imports are at the top of their module."""
    tree = ast.parse((SANDBOX / f"{module}.py").read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    late = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]

    assert late == []


def test_the_system_calls_need_no_ctypes() -> None:
    """Its core is enough, and a tenth as slow to load."""
    program = "import sys, jettison.sandbox.syscalls; print('ctypes' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout == "False\n"
