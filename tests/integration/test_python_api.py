"""`jettison.run()`. The functions of calls.py are the tests: each is called by a Python of the world's user."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import peers
from worlds import World

CALLS = Path(__file__).parent / "calls.py"
NAMES = [node.name for node in ast.parse(CALLS.read_text()).body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]


@pytest.mark.parametrize("name", NAMES)
def test_from_python(world: World, name: str) -> None:
    """What the function says."""
    done = call(world, CALLS.read_text() + f"\n{name}()\n")

    assert (done.returncode, done.stderr) == (0, "")


def call(world: World, source: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python as the world's user, with the world's store."""
    python = world.jettison.command[:-2] if world.user else [sys.executable]
    return peers.call([*python, "-"], source, {**os.environ, "JETTISON_HOME": str(world.store)})
