"""Containers that have a state: how they start, are listed, end, start again and are removed, as root and as an ordinary user."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import peers
import worlds
from worlds import World, until

Detach = Callable[..., str]
FOREVER = ("box", "sleep", "1000")


def ended(world: World, name: str) -> int:
    """The exit status of a container, when it has ended."""
    return int(world.jettison("wait", name))


# The start


def test_it_comes_back_when_the_program_has_started(world: World, detach: Detach) -> None:
    """stdout is the id alone, 64 hexadecimal digits; nothing of the caller's is held: this call would not come back else."""
    done = world.call("-d", "--name", "web", *FOREVER)

    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(each["id"], each["status"], each["name"]) for each in world.listed()] == [(done.stdout.strip(), "running", "web")]


@pytest.mark.parametrize(
    ("program", "status", "message"),
    [
        ("absent", 127, "no program `absent`"),
        ("/bin", 126, "no executable file"),
        ("/text", 126, "not a program of this machine"),
    ],
)
def test_a_program_that_cannot_be_started(world: World, program: str, status: int, message: str) -> None:
    """The caller hears of it, with the statuses of a run in the foreground; nothing is left, and the name is free."""

    def fill(folder: Path) -> None:
        (folder / "text").write_text("hello")
        (folder / "text").chmod(0o755)

    world.image(fill)
    for _ in range(2):
        done = world.call("-d", "--name", "web", "box", program)
        assert (done.returncode, done.stdout) == (status, "")
        assert message in done.stderr

    assert world.listed() == []
    assert os.listdir(world.store / "containers") == []
    assert os.listdir(world.store / "names") == []


def test_a_mistake_is_125(world: World) -> None:
    """What jettison itself cannot do, said at once."""
    done = world.call("-d", "-w", "/proc/1/root", "box", "true")

    assert done.returncode == 125
    assert world.listed() == []


def test_descriptors_of_a_shell_are_not_held(world: World, detach: Detach) -> None:
    """A lock that a script holds while it starts a container is free when the script has ended."""
    path = world.folder("locks") / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT)
    os.set_inheritable(lock, True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    world.start("-d", *FOREVER, close_fds=False).communicate(timeout=20)
    os.close(lock)

    with open(path, "rb") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [each["status"] for each in world.listed()] == ["running"]


def test_it_outlives_its_callers_terminal(world: World, detach: Detach) -> None:
    """The end of the session that started it, with a hangup for all in it, is nothing to a container."""
    process, master = pty.fork()
    if process == 0:
        os.environ["JETTISON_HOME"] = str(world.store)
        command = [*world.jettison.command, "run", "-d", *FOREVER]
        os.execvp("sh", ["sh", "-c", '"$@"; echo st""arted; sleep 100', "sh", *command])
    seen = b""
    while b"started" not in seen and select.select([master], [], [], 20)[0]:
        seen += os.read(master, 4096)

    os.close(master)
    os.waitpid(process, 0)

    time.sleep(0.2)
    assert [each["status"] for each in world.listed()] == ["running"]


def test_stdin_of_a_detached_container(world: World, detach: Detach) -> None:
    """Empty, or with `-i` one that never ends."""
    detach("--name", "empty", "box", "cat")
    detach("--name", "open", "-i", "box", "cat")

    assert ended(world, "empty") == 0
    time.sleep(0.3)
    assert [each["name"] for each in world.listed("--filter", "status=running")] == ["open"]


def test_a_detached_terminal(world: World, detach: Detach) -> None:
    """With `-t` the program has one, whose output is logged."""
    detach("--name", "t", "-t", "box", "sh", "-c", "test -t 0 && test -t 1 && echo yes")

    assert ended(world, "t") == 0
    assert world.jettison("logs", "t") == "yes\n"  # as Python reads "\r\n"


def test_a_cidfile(world: World, detach: Detach) -> None:
    """It holds the id, and is never overwritten."""
    path = f"{world.folder('cids')}/cid"

    container = detach("--cidfile", path, *FOREVER)

    assert Path(path).read_text() == container
    refused = world.call("-d", "--cidfile", path, *FOREVER)
    assert (refused.returncode, "the file exists" in refused.stderr) == (125, True)
    assert "No such file" in world.call("--cidfile", "/absent/cid", "box", "true").stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stop-signal", "FOO"], "there is no signal `FOO`"),
        (["--stop-timeout", "x"], "no whole number"),
        (["--restart", "sometimes"], "is no policy"),
        (["--restart", "always:3"], "is no policy"),
        (["--restart", "always", "--rm"], "contradict"),
        (["--health-interval", "3"], "is no duration"),
        (["--health-cmd", "x", "--no-healthcheck"], "contradict"),
        (["--label", "=x"], "has no name"),
        (["--label-file", "/absent"], "cannot read"),
        (["--log-driver", "syslog"], "there is no log driver"),
        (["--log-opt", "tag=x"], "there is no option"),
        (["--log-opt", "max-file=0"], "no whole number"),
        (["--name", "../x"], "is no name"),
    ],
)
def test_flags_that_are_refused(world: World, flags: list[str], message: str) -> None:
    """Each names the flag or its value."""
    done = world.call("-d", *flags, *FOREVER)

    assert done.returncode == 125
    assert message in done.stderr
    assert world.listed() == []


# Names


def test_names(world: World, detach: Detach) -> None:
    """A name is one container's, also when that has ended; by name, id or the beginning of an id it is found."""
    container = detach("--name", "web", "box", "true")
    assert ended(world, "web") == 0
    assert "the name `web` is taken" in world.call("-d", "--name", "web", *FOREVER).stderr

    for text in ("web", container, container[:12]):
        assert world.inspect(text)["Id"] == container
    world.jettison("rm", "web")

    assert detach("--name", "web", *FOREVER) != container


def test_a_killed_runner(world: World, detach: Detach) -> None:
    """Its program dies with it; of a container with `--rm` nothing stays, and its name is free."""
    for rm in ([], ["--rm"]):
        detach("--name", "one", *rm, *FOREVER)
        init = world.inspect("one")["State"]["Pid"]
        os.kill(parent_of(init), signal.SIGKILL)
        until(lambda init=init: not os.path.exists(f"/proc/{init}"))  # type: ignore[misc]
        if not rm:
            assert ended(world, "one") == 137
            assert [(each["status"], each["exitStatus"]) for each in world.listed()] == [("exited", 137)]
            world.jettison("rm", "one")

    detach("--name", "one", *FOREVER)
    assert len(os.listdir(world.store / "containers")) == 2
    world.jettison("prune")
    assert len(os.listdir(world.store / "containers")) == len(world.listed()) == 1


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_twenty_at_once_for_one_name(world: World, detach: Detach) -> None:
    """One of them gets it."""
    started = [world.start("-d", "--name", "one", *FOREVER, stderr=subprocess.DEVNULL) for _ in range(20)]
    for process in started:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in started) == [0] + [125] * 19

    assert len(world.listed()) == 1


# ps


def test_ps(world: World, detach: Detach) -> None:
    """docker's columns and flags."""
    first = detach("--name", "first", "--label", "tier=back", "box", "sh", "-c", "exit 3")
    assert ended(world, "first") == 3
    second = detach("--name", "second", "--label", "tier=front", "--label", "x", *FOREVER)

    def ps(*flags: str) -> list[str]:
        return world.jettison("ps", "-q", "--no-trunc", *flags).split()

    assert ps() == [second]
    assert ps("-a") == [second, first]
    assert ps("-n", "1") == ps("-l") == [second]
    assert ps("-n", "5") == [second, first]
    assert world.jettison("ps", "-aq").split() == [second[:12], first[:12]]
    for text, expected in {
        "name=fir": [first],
        f"id={second[:5]}": [second],
        "status=exited": [first],
        "status=running": [second],
        "label=tier": [second, first],
        "label=tier=back": [first],
        "ancestor=box": [second, first],
        "ancestor=other": [],
        "exited=3": [first],
        "exited=0": [],
        "health=none": [second, first],
    }.items():
        assert ps("-a", "--filter", text) == expected, text
    assert ps("-a", "-f", "name=fir", "-f", "name=sec") == [second, first]
    assert ps("-a", "-f", "name=fir", "-f", "status=running") == []
    table = world.jettison("ps", "-a").splitlines()
    assert table[0].split() == "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES".split()
    assert re.fullmatch(rf'{second[:12]} +box +"sleep 1000" +\S.* +Up \S.* +second', table[1])
    assert re.fullmatch(rf'{first[:12]} +box +"sh -c \'exit 3\'" +\S.* +Exited \(3\) \S.* +first', table[2])


@pytest.mark.parametrize("flags", [["-f", "nope=1"], ["-f", "status=lost"], ["-f", "name"], ["-n", "x"], ["web"]])
def test_ps_refuses(world: World, flags: list[str]) -> None:
    """What would match nothing ever is a mistake."""
    assert world.jettison.call("ps", *flags).returncode == 2


def test_a_container_in_the_foreground_is_listed(world: World, detach: Detach) -> None:
    """It can be stopped by others, and leaves nothing."""
    process = world.start("--name", "front", "--label", "a=b", *FOREVER)
    until(lambda: [each["status"] for each in world.listed("-f", "name=front", "-f", "label=a=b")] == ["running"])

    world.jettison("stop", "-t", "0", "front")

    process.communicate(timeout=10)
    assert process.returncode in (143, 137)  # TERM comes first
    assert world.listed() == []


# stop, kill, wait, rm


TRAPPED = "trap 'exit 7' {}; echo ready; while :; do sleep 0.05; done"


def is_ready(world: World, name: str) -> Callable[[], bool]:
    return lambda: "ready" in world.jettison("logs", name)


@pytest.mark.parametrize(
    ("run_flags", "stop_flags", "signal_name", "image_signal"),
    [
        ([], [], "TERM", ""),
        ([], [], "INT", "SIGINT"),
        (["--stop-signal", "USR1"], [], "USR1", "SIGINT"),
        (["--stop-signal", "USR1"], ["--signal", "HUP"], "HUP", ""),
        ([], [], "TERM", "SIGNONE"),
    ],
)
def test_stop_sends(
    world: World, detach: Detach, run_flags: list[str], stop_flags: list[str], signal_name: str, image_signal: str
) -> None:
    """The signal of the call, of the flag or of the image; TERM where there is none that is one."""
    world.image(stop_signal=[image_signal])
    detach("--name", "web", *run_flags, "box", "sh", "-c", TRAPPED.format(signal_name))
    until(is_ready(world, "web"))

    assert world.jettison("stop", *stop_flags, "web") == "web\n"

    assert ended(world, "web") == 7


def test_stop_kills_in_the_end(world: World, detach: Detach) -> None:
    """After the container's own patience, or the call's; -1 waits for ever."""
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    for run_flags, stop_flags, patience_s in ((["--stop-timeout", "1"], [], 1), ([], ["-t", "2"], 2), ([], ["-t", "0"], 0)):
        detach("--name", "web", *run_flags, "box", "sh", "-c", stubborn)
        until(is_ready(world, "web"))
        start_s = time.monotonic()
        world.jettison("stop", *stop_flags, "web")
        assert patience_s <= time.monotonic() - start_s < patience_s + 8  # its own patience would be ten
        assert ended(world, "web") == 137
        world.jettison("rm", "web")
    detach("--name", "slow", "box", "sh", "-c", "trap 'sleep 1; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    until(is_ready(world, "slow"))
    world.jettison("stop", "-t", "-1", "slow")
    assert ended(world, "slow") == 5


def test_stop_of_what_has_ended_does_nothing(world: World, detach: Detach) -> None:
    """As docker's."""
    detach("--name", "web", "box", "true")
    assert ended(world, "web") == 0

    assert world.jettison("stop", "web") == "web\n"
    assert ended(world, "web") == 0


def test_kill(world: World, detach: Detach) -> None:
    """Any signal, KILL by default; what does not run, or is no signal, is told."""
    detach("--name", "web", "box", "sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done")
    until(is_ready(world, "web"))
    world.jettison("kill", "-s", "SIGHUP", "web")
    until(lambda: "hup" in world.jettison("logs", "web"))
    assert world.jettison.call("kill", "-s", "NOPE", "web").returncode == 2

    world.jettison("kill", "web")

    assert ended(world, "web") == 137
    assert "does not run" in world.jettison.call("kill", "web").stderr


def test_wait(world: World, detach: Detach) -> None:
    """The statuses of several, also of one that is removed at its end."""
    detach("--name", "job", "box", "sh", "-c", "sleep 0.5; exit 3")
    detach("--name", "gone", "--rm", "box", "sh", "-c", "sleep 2; exit 4")
    waiting = subprocess.Popen(
        [*world.jettison.command, "wait", "gone"], env={**os.environ, "JETTISON_HOME": str(world.store)}, stdout=subprocess.PIPE
    )
    assert world.jettison("wait", "job", "gone") == "3\n4\n"

    assert waiting.communicate(timeout=10)[0] == b"4\n"
    until(lambda: [each["name"] for each in world.listed()] == ["job"])
    assert "there is no container `gone`" in world.jettison.call("wait", "gone").stderr


def test_rm(world: World, detach: Detach) -> None:
    """Only what has ended, or by force. All that can be removed is; every other is told."""
    detach("--name", "ended", "box", "true")
    detach("--name", "runs", *FOREVER)
    assert ended(world, "ended") == 0

    done = world.jettison.call("rm", "absent", "runs", "ended")

    assert (done.returncode == 0, done.stdout) == (False, "ended\n")
    assert "there is no container `absent`" in done.stderr
    assert "container `runs` runs" in done.stderr
    assert world.jettison("rm", "-f", "runs") == "runs\n"
    assert world.listed() == []
    assert os.listdir(world.store / "containers") == []


def test_many_remove_one(world: World, detach: Detach) -> None:
    """Who comes late finds nothing, and nobody finds it running."""
    for _ in range(5):
        detach("--name", "web", "box", "true")
        assert ended(world, "web") == 0
        command = [*world.jettison.command, "rm", "web"]
        env = {**os.environ, "JETTISON_HOME": str(world.store)}
        removing = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
        said = b"".join(process.communicate(timeout=30)[1] for process in removing)
        assert b"runs" not in said
        assert os.listdir(world.store / "containers") == []


# Again


def test_restart_policies(world: World, detach: Detach) -> None:
    """`on-failure:N` starts N times again; `no` and a success never."""
    detach("--name", "fails", "--restart", "on-failure:2", "box", "sh", "-c", "echo run; exit 3")
    detach("--name", "ends", "--restart", "on-failure", "box", "sh", "-c", "echo run")
    detach("--name", "no", "--restart", "no", "box", "sh", "-c", "echo run; exit 3")

    assert [ended(world, name) for name in ("fails", "ends", "no")] == [3, 0, 3]
    assert [world.jettison("logs", name).count("run") for name in ("fails", "ends", "no")] == [3, 1, 1]
    state = world.inspect("fails")
    assert state["RestartCount"] == 2
    assert state["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_stop_ends_restarts(world: World, detach: Detach, policy: str) -> None:
    """While it runs, and in the pause before the next start; the pauses grow."""
    detach("--name", "ends", "--restart", policy, "box", "sh", "-c", "echo run")
    detach("--name", "runs", "--restart", policy, *FOREVER)
    until(lambda: world.jettison("logs", "ends").count("run") == 4)
    until(lambda: [each["status"] for each in world.listed("-f", "name=ends")] == ["restarting"])
    start_s = time.monotonic()

    world.jettison("stop", "-s", "USR1", "ends")
    world.jettison("kill", "runs")

    assert time.monotonic() - start_s < 9  # a stop that is not heard takes ten
    assert [ended(world, name) for name in ("ends", "runs")] == [0, 137]
    assert world.jettison("logs", "ends").count("run") <= 5


def test_a_stop_at_any_moment_of_restarts(world: World, detach: Detach) -> None:
    """Whether it runs, rests or starts just then: it ends soon."""
    for moment in range(12):
        detach("--name", "web", "--restart", "always", "box", "sleep", "0.03")
        time.sleep(moment * 0.021)
        start_s = time.monotonic()
        world.jettison("stop", "web")
        assert time.monotonic() - start_s < 9  # a stop that is not heard takes ten
        world.jettison("rm", "web")


def test_restart_in_the_foreground(world: World) -> None:
    """The last status is the runner's; a signal to it ends all."""
    done = world.call("--restart", "on-failure:2", "box", "sh", "-c", "echo run; exit 3")
    assert (done.returncode, done.stdout) == (3, "run\n" * 3)

    process = world.start("--restart", "always", "box", "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 143


# inspect, and the store


def test_inspect_has_dockers_keys(world: World, detach: Detach) -> None:
    """What it tells docker tells too, under the same key; no value of a variable is told."""
    folder = world.folder("data")
    labels = world.folder("labels") / "file"
    labels.write_text("# comment\nfrom=file\n")
    flags = ["-e", "PASSWORD=geheim", "-v", f"{folder}:/data:ro", "-l", "a=b=c", "--label-file", str(labels), "-w", "/tmp"]
    container = detach("--name", "web", *flags, *FOREVER)

    told = world.inspect("web")

    assert (told["Id"], told["Name"], told["Path"], told["Args"]) == (container, "/web", "sleep", ["1000"])
    assert told["Config"]["Labels"] == {"a": "b=c", "from": "file"}
    assert told["Config"]["WorkingDir"] == "/tmp"
    assert told["Mounts"] == [{"Type": "bind", "Source": str(folder), "Destination": "/data", "Mode": "ro", "RW": False}]
    assert (told["State"]["Status"], told["State"]["Running"], told["State"]["ExitCode"]) == ("running", True, 0)
    assert "geheim" not in json.dumps(told)
    files = [path for path in (world.store / "containers").rglob("*") if path.is_file()]
    assert not [path for path in files if b"geheim" in path.read_bytes()]
    assert b"geheim" not in Path(f"/proc/{parent_of(told['State']['Pid'])}/cmdline").read_bytes()


def test_inspect_against_docker(world: World, detach: Detach, docker: peers.Docker, tmp_path: Path) -> None:
    """Every key is one of `docker inspect`'s."""
    root = tmp_path / "root"
    root.mkdir()
    worlds.fill_busybox(root)
    subprocess.run(["tar", "-C", str(root), "-cf", str(tmp_path / "box.tar"), "."], check=True)
    docker("import", str(tmp_path / "box.tar"), "box")
    flags = ["--name", "web", "--network", "host", "-v", f"{world.folder('data')}:/data", "--label", "a=b"]
    flags += ["--health-cmd", "true", "--health-interval", "1s", "--stop-signal", "INT", "--stop-timeout", "3"]
    docker("run", "-d", *flags, *FOREVER)
    detach(*flags, *FOREVER)
    until(lambda: world.inspect("web")["State"]["Health"]["Log"])
    until(lambda: json.loads(docker("inspect", "web"))[0]["State"]["Health"]["Log"])

    def keys(value: object, prefix: str = "") -> set[str]:
        if isinstance(value, list):
            return set().union(*(keys(item, prefix) for item in value))
        if not isinstance(value, dict):
            return {prefix}
        return set().union(*(keys(item, f"{prefix}.{key}") for key, item in value.items()))

    theirs = json.loads(docker("inspect", "web"))[0]
    docker("rm", "-f", "web")
    assert keys(world.inspect("web")) <= keys(theirs)


def test_the_store_while_containers_run(world: World, detach: Detach) -> None:
    """A clean-up leaves what they use, also where the image has lost its name; the store is found well."""
    detach("--name", "web", *FOREVER)
    tag = world.store / "tags/docker.io%2Flibrary%2Fbox%3Alatest"
    tag.unlink()

    world.jettison("prune")
    layers = os.listdir(world.store / "layers")
    assert len(layers) == 2
    assert world.jettison("exec", "web", "cat", "/etc/hostname")

    world.jettison("rm", "-f", "web")
    world.jettison("prune")
    assert os.listdir(world.store / "layers") == []
    assert world.jettison.call("fsck").returncode == 0


def test_the_caller_interrupts_a_start(world: World, detach: Detach) -> None:
    """Nothing runs on without a state."""
    for moment in range(8):
        process = world.start("-d", *FOREVER, stderr=subprocess.DEVNULL)
        time.sleep(0.005 + moment * 0.004)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        time.sleep(0.1)
        inits = {each["id"] for each in world.listed("-f", "status=running")}
        assert len(runners(world)) == len(inits)
        world.end_all()


def runners(world: World) -> list[str]:
    """The runners of detached containers of this store, by what keeps its lock."""
    found = []
    for lock in (world.store / "containers").glob("*/lock"):
        with open(lock, "rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(str(lock))
    return found
