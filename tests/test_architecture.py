"""The stairs: imports go down, never up, never beside; and what keeps a start fast and a child inert."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import Jettison

SOURCE = Path(__file__).parent.parent / "src" / "jettison"

STAIRS = (
    {"cli", "testing"},
    {"verbs"},
    {"closure", "dockerfile", "sandbox", "registry", "scan", "deploy"},
    {"image", "packages"},
    {"tree"},
    {"oci"},
    {"events"},
    {"errors"},
)
FLOOR = {room: len(STAIRS) - depth for depth, rooms in enumerate(STAIRS) for room in rooms}

# What Python needs milliseconds to import, and `run` has no use for.
SLOW = {
    "argparse", "ast", "asyncio", "collections", "concurrent", "contextlib", "dataclasses", "datetime", "enum", "functools",
    "hashlib", "importlib.metadata", "inspect", "json", "logging", "pathlib", "pwd", "re", "shutil", "signal", "socket", "ssl",
    "subprocess", "tarfile", "tempfile", "threading", "typing", "uuid",
}  # fmt: skip

MODULES = sorted(SOURCE.rglob("*.py"))
ROOMS = sorted(path for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__")


def name_of(path: Path) -> str:
    """`jettison.oci.digest` for its file."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """`oci` for `jettison.oci.digest`; nothing for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else ""


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file names in an import: at its top, in a function, for types only, or by `__import__`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name the module in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("__import__", "import_module"):
            yield _leading_text(node.args[0])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _leading_text(argument: ast.expr) -> str:
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    assert isinstance(first, ast.Constant), "a computed import starts with the room's name"
    return str(first.value)


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "jettison"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_the_stairs(path: Path) -> None:
    """A module imports from its own room and from lower floors, deferred imports included."""
    here = room_of(name_of(path))
    wanted = {room_of(module) for module in imports_of(path) if is_ours(module)} - {here, ""}

    astray = {room for room in wanted if here and FLOOR[room] >= FLOOR[here]}

    assert astray == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    """One sentence on top."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""

    assert docstring.split("\n")[0].endswith((".", ":", "?"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_no_room_is_empty(room: Path) -> None:
    """A room is on the stairs, and somebody lives in it."""
    assert room.name in FLOOR
    assert [path for path in room.glob("*.py") if path.name != "__init__.py"] != []


def test_a_call_of_ours_is_seen_however_it_is_written(tmp_path: Path) -> None:
    """The test sees imports in functions, of types and by computed names."""
    path = tmp_path / "sample.py"
    path.write_text(
        "def f(verb):\n import jettison.oci.digest\n __import__(f'jettison.cli.{verb}')\n from jettison import verbs\n"
    )

    assert sorted(imports_of(path)) == ["jettison.cli.", "jettison.oci.digest", "jettison.verbs"]


def test_the_child_is_inert() -> None:
    """What runs in a container's world imports the standard library and the system calls alone: nothing can be loaded late."""
    ours = {
        module
        for path in (SOURCE / "sandbox/enter.py", SOURCE / "sandbox/syscalls.py")
        for module in imports_of(path)
        if is_ours(module)
    }

    assert {module.split(".")[2] for module in ours} <= {"syscalls"}


def test_the_run_path_imports_nothing_slow() -> None:
    """The command's modules for `jettison run` import nothing that costs milliseconds."""
    modules = ["jettison.cli.main", "jettison.cli.run"]
    program = f"import sys, {', '.join(modules)}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert SLOW & set(loaded) == set()


def test_a_start_imports_nothing_slow(jettison: Jettison, root: None) -> None:
    """A real start of a cached image imports nothing slow either, in the parent and in the child."""
    image = jettison("pack", "-q", "true").strip()
    jettison("run", image)
    start = Jettison(jettison.store, command=[sys.executable, "-X", "importtime", *jettison.command])

    said = start.call("run", image).stderr

    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "jettison.sandbox.plan" in imported
    assert SLOW & imported == set()
