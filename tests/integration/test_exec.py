"""A further program in a container that runs: it gets what the first one got, and no more."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.sandbox.capabilities import USUAL
from screens import Screen
from worlds import World, until

Detach = Callable[..., str]
FOREVER = ("box", "sleep", "1000")


def run(world: World, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """`jettison exec …`, whatever its status."""
    return world.jettison.call("exec", *arguments, stdin=stdin)


def shell(world: World, script: str, *flags: str) -> str:
    """What a shell in the container `web` prints."""
    return world.jettison("exec", *flags, "web", "sh", "-c", script)


@pytest.mark.parametrize("status", [0, 1, 125, 255])
def test_the_status_is_the_programs(world: World, detach: Detach, status: int) -> None:
    """Streams apart, as of a program in the foreground."""
    detach("--name", "web", *FOREVER)

    done = run(world, "web", "sh", "-c", f"echo out; echo err >&2; exit {status}")

    assert (done.returncode, done.stdout, done.stderr) == (status, "out\n", "err\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["web", "absent"], 127, "no program `absent`"),
        (["web", "/bin"], 126, "no executable file"),
        (["absent", "true"], 125, "there is no container `absent`"),
        (["-w", "/absent", "web", "true"], 125, "`/absent`"),
        (["-w", "relative", "web", "true"], 125, "absolute path"),
        (["-u", "nobody-knows", "web", "true"], 125, "nobody-knows"),
        (["-it", "web", "true"], 125, "not a TTY"),
        (["web"], 125, "needs a container and a program"),
    ],
)
def test_what_cannot_be_started(world: World, detach: Detach, words: list[str], status: int, message: str) -> None:
    """docker's statuses, and the reason."""
    detach("--name", "web", *FOREVER)

    done = run(world, *words)

    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


def test_what_has_ended_cannot_be_entered(world: World, detach: Detach) -> None:
    """It says so."""
    detach("--name", "web", "box", "true")
    world.jettison("wait", "web")

    assert "does not run" in run(world, "web", "true").stderr


def test_environment_and_folder(world: World, detach: Detach) -> None:
    """Those of the first program, with what the call says over them."""
    detach("--name", "web", "-e", "A=first", "-e", "B=first", "-w", "/tmp", *FOREVER)

    assert shell(world, "echo $A $B $PWD") == "first first /tmp\n"
    assert shell(world, "echo $A $B $PWD", "-e", "B=next", "-w", "/bin") == "first next /bin\n"
    first = world.jettison("exec", "web", "cat", "/proc/2/environ").split("\0")
    assert sorted(world.jettison("exec", "web", "env").splitlines()) == sorted(text for text in first if text)


def test_stdin(world: World, detach: Detach) -> None:
    """With `-i` alone, to its end."""
    detach("--name", "web", *FOREVER)

    assert run(world, "web", "cat", stdin="hello").stdout == ""
    assert run(world, "-i", "web", "cat", stdin="x" * 1_000_000).stdout == "x" * 1_000_000


def accounts(folder: Path) -> None:
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:101:102::/home/app:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\napp:x:102:\nmore:x:103:app\n")


def test_users(world: World, detach: Detach) -> None:
    """The container's own, or one of the image by name or number, at home where that one is."""
    world.image(accounts, user=["app"], uid=["101"], gid=["102"], home=["/home/app"])
    detach("--name", "web", *FOREVER)
    assert shell(world, "id -u; id -g; echo $HOME") == "101\n102\n/home/app\n"

    for user, expected in {"root": "0 0 /root", "0": "0 0 /root", "5:6": "5 6 /"}.items():
        done = run(world, "-u", user, "web", "sh", "-c", "echo $(id -u) $(id -g) $HOME")
        if world.user:  # who is alone in the container's user namespace
            assert done.returncode == 125
            assert f"the container has no user {expected[0]}" in done.stderr
        else:
            assert done.stdout == f"{expected}\n"
    if not world.user:
        assert shell(world, "id -G", "-u", "app") == "102 103\n"


def test_a_terminal(world: World, detach: Detach) -> None:
    """`-it`: of the caller's size from the first moment, controlled by Ctrl-C; the caller's is as it was."""
    detach("--name", "web", *FOREVER)
    screen = Screen(world, "exec", "-it", "-e", "PS1=> ", "web", "sh", size=(33, 101))
    screen.wait_for("> ")
    screen.type("stty size; echo $(readlink /proc/self/fd/0) $TERM\r")
    screen.wait_for("33 101\r\n/dev/pts/0 xterm\r\n")
    screen.resize(44, 55)
    screen.type("sh -c \"trap 'echo got; exit' INT; echo o''k; while :; do sleep 0.1; done\"\r")
    screen.wait_for("ok\r\n")
    screen.type("\x03")
    screen.wait_for("got\r\n")
    screen.wait_for("> ")
    screen.type("stty size\r")
    screen.wait_for("44 55\r\n")
    screen.type("exit 6\r")

    assert screen.end() == 6


def test_detached(world: World, detach: Detach) -> None:
    """It comes back when the program has started; a mistake is told."""
    detach("--name", "web", *FOREVER)

    assert world.jettison("exec", "-d", "web", "sh", "-c", "sleep 1; echo done > /x; sleep 1000") == ""
    until(lambda: run(world, "web", "cat", "/x").stdout == "done\n")
    failed = run(world, "-d", "web", "absent")
    assert (failed.returncode, "no program `absent`" in failed.stderr) == (127, True)
    world.jettison("stop", "-t", "0", "web")


SEEN = (
    "for n in user mnt pid ipc uts net; do readlink /proc/$1/ns/$n; done;"
    " grep -E 'Cap|NoNewPrivs|Seccomp:|Uid|Gid|Groups' /proc/$1/status; cat /proc/$1/limits /proc/$1/oom_score_adj"
)


@pytest.mark.parametrize("network", ["host", "none"])
def test_it_is_as_the_first_program(world: World, detach: Detach, network: str) -> None:
    """The same namespaces, users, limits, filter and capabilities."""
    flags = ["--network", network, "--ulimit", "nofile=100:200", "--oom-score-adj", "500"]
    detach("--name", "web", *flags, "--security-opt", "seccomp=unconfined", *FOREVER)
    detach("--name", "filtered", *FOREVER)

    first, further = (world.jettison("exec", "web", "sh", "-c", SEEN, "sh", process) for process in ("2", "self"))

    assert first == further
    assert f"CapEff:\t{USUAL:016x}\nCapBnd:\t{USUAL:016x}\n" in further
    assert "NoNewPrivs:\t1" in further
    assert "Seccomp:\t0" in further
    assert "Seccomp:\t2" in world.jettison("exec", "filtered", "grep", "Seccomp:", "/proc/self/status")


def test_control_groups_hold(world: World, detach: Detach) -> None:
    """The memory and the processes of all programs together are the container's."""
    done = world.call("-d", "--name", "web", "--memory", "40m", "--memory-swap", "40m", "--pids-limit", "20", *FOREVER)
    if world.user and done.returncode:  # who has no control group of its own: then there is no container either
        assert "cannot enforce" in done.stderr
        return

    hog = run(world, "web", "sh", "-c", "x=a; while :; do x=$x$x; done")
    bomb = run(world, "web", "sh", "-c", "for i in $(seq 50); do sleep 5 & done")

    assert hog.returncode == 137
    assert "fork" in bomb.stderr


def test_into_the_foreground(world: World, detach: Detach) -> None:
    """Also a container that somebody looks at can be entered."""
    process = world.start("--name", "web", *FOREVER)
    until(lambda: run(world, "web", "echo", "in").stdout == "in\n")

    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 143


def test_the_end_of_the_container_is_the_programs(world: World, detach: Detach) -> None:
    """All in it die with its first program."""
    detach("--name", "web", *FOREVER)
    waiting: list[int] = []
    thread = threading.Thread(target=lambda: waiting.append(run(world, "web", "sleep", "1000").returncode))
    thread.start()
    until(lambda: shell(world, "ps").count("sleep 1000") == 2)

    world.jettison("kill", "web")

    thread.join(10)
    assert waiting == [137]


def test_a_killed_exec_takes_its_program_with_it(world: World, detach: Detach) -> None:
    """Nothing of it stays in the container."""
    detach("--name", "web", *FOREVER)
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    process = subprocess.Popen([*world.jettison.command, "exec", "web", "sleep", "4321"], env=env)
    until(lambda: "4321" in shell(world, "ps"))

    process.kill()
    process.wait()

    until(lambda: "4321" not in shell(world, "ps"))
