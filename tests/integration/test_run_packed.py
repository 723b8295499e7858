"""`jettison run` of images that `pack` made: the long way to a world, and a clean-up beside it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from peers import Jettison, call


@pytest.fixture
def packed(jettison: Jettison, require: Callable[[str], str], root: None) -> Jettison:
    """A store with the image `box`, busybox and what it needs, not unpacked yet."""
    jettison("pack", require("busybox"), "-t", "box", "-q")
    return jettison


def test_every_way_to_name_it(packed: Jettison) -> None:
    """By name, in full, by digest, or by a unique beginning of it."""
    digest = next((packed.store / "tags").iterdir()).read_text().strip()

    for name in ("box", "box:latest", "docker.io/library/box", digest, digest.removeprefix("sha256:")[:12], f"box@{digest}"):
        assert packed("run", name, "echo", "hi") == "hi\n", name


def test_many_first_runs_at_once(packed: Jettison) -> None:
    """They unpack the same layers, and all of them start."""
    command = [*packed.command, "run", "box", "echo", "hi"]
    env = {"JETTISON_HOME": str(packed.store), "PATH": "/usr/bin:/bin"}
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(8)]

    assert [process.communicate()[0] for process in running] == [b"hi\n"] * 8


def test_a_clean_up_leaves_what_runs(packed: Jettison) -> None:
    """An image without a name is kept while it runs, and goes afterwards."""
    command = [*packed.command, "run", "-i", "box", "sh", "-c", "echo ready; read line; ls /bin/busybox /usr/bin/busybox; true"]
    env = {"JETTISON_HOME": str(packed.store), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        packed("rmi", "box")
        packed("prune")
        assert "busybox" in process.communicate("\n")[0]

    packed("prune")

    assert list((packed.store / "layers").iterdir()) == []
    assert packed.call("run", "box", "true").returncode == 125


def test_from_python(packed: Jettison, tmp_path: Path) -> None:
    """The function gives the status; a process of several threads is told to call it otherwise (P3)."""
    program = """
import sys, threading
from jettison.verbs.run import Call, run
print(run(Call("box", ["sh", "-c", "exit 9"]), sys.argv[1]), run(Call("box", ["true"]), sys.argv[1]))
threading.Thread(target=threading.Event().wait, daemon=True).start()
try:
    run(Call("box", ["true"]), sys.argv[1])
except Exception as error:
    print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", program, packed.store], capture_output=True, text=True, check=True)

    assert done.stdout == "9 0\nUsageError\n"


def test_root_of_a_small_user_namespace_unpacks_as_an_ordinary_user(jettison: Jettison, require: Callable[[str], str]) -> None:
    """`unshare -Ur` maps one user: the owners are left out, and the image is weighed all the same."""
    jettison("pack", "-q", "-t", "ls", "/bin/ls")

    done = call([require("unshare"), "-Ur", *jettison.command, "--store", str(jettison.store), "weigh", "ls"])

    assert done.returncode == 0, done.stderr
    assert "tare        0 B" in done.stdout
