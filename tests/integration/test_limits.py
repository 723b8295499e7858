"""What a program feels of its limits, what the caller hears of them, and that nothing of them stays behind."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
import worlds
from jettison.sandbox import cgroups
from worlds import World

HOG = "x=a; while :; do x=$x$x; done"
BUSY = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done"


# In a group of its own, with one controller: make a group below it, put a child there, remove it.
_STEPS = """
import os, sys
from jettison.sandbox.cgroups import Group, Layout, Limit, sites
own, controller = sys.argv[1:]
def where(pid="self"): return open(f"/proc/{pid}/cgroup").read().split("0::")[1].strip().split("/")
open(f"{own}/cgroup.procs", "w").write(str(os.getpid()))
site = sites(Layout("version 2", {}, own), (controller,))[controller]
assert site.folder == own, site.folder
group = Group()
group.apply(Limit("x", controller, (), ()), site)
if where()[-2] == os.path.basename(own): print("apart")
ours, theirs = os.pipe()
child = os.fork()
if not child:
    os.close(theirs); os.read(ours, 1); os._exit(0)
group.attach(child)
if where(child)[-2:-1] == where()[-2:-1] and where(child) != where(): print("limited")
os.close(theirs); os.waitpid(child, 0)
group.remove()
if where()[-1] == os.path.basename(own): print("back")
open(f"{os.path.dirname(own)}/cgroup.procs", "w").write(str(os.getpid()))
"""


def groups() -> dict[str, str]:
    """The folders that runs have in any hierarchy, by name."""
    folders = [f"{folder}/{name}" for folder, names, _ in os.walk("/sys/fs/cgroup") for name in names]
    return {os.path.basename(path): path for path in folders if os.path.basename(path).startswith(cgroups.PREFIX)}


def dead() -> set[str]:
    """Those that no runner holds."""
    return {name for name, path in groups().items() if not _is_held(path)}


def _is_held(path: str) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True  # gone by now
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def groups_of(runner: "subprocess.Popen[bytes]") -> set[str]:
    """The names of those that a runner's child is in."""
    child = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()[0]
    names = {line.rpartition("/")[2] for line in Path(f"/proc/{child}/cgroup").read_text().splitlines()}
    return {name for name in names if name.startswith(cgroups.PREFIX)}


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A runner of root's with the image `box`, where every controller can be used; it leaves no control group."""
    request.param = "root"
    made = worlds.world(request)
    made.image()
    refused = [found.reason for found in cgroups.sites(cgroups.own_layout()).values() if not found.folder]
    if refused:
        peers.lacking(f"control groups: {refused[0]}")
    before = dead()
    yield made
    until_s = time.monotonic() + 5  # tests beside this one leave some for a moment
    while dead() - before and time.monotonic() < until_s:
        time.sleep(0.1)
    assert dead() - before == set()


@pytest.fixture
def ordinary(request: pytest.FixtureRequest) -> World:
    """A runner of an ordinary user's, to whom no control group is delegated."""
    request.param = "ordinary"
    made = worlds.world(request)
    made.image()
    return made


@pytest.mark.parametrize("script", [HOG, "dd if=/dev/zero of=/x bs=1M count=100"])
@pytest.mark.parametrize("flag", ["--init", "--init=false"])
def test_the_memory_limit_ends_a_hog(world: World, script: str, flag: str) -> None:
    """Status 137 and a line that says why; what it writes counts too, as it goes to memory."""
    done = world.call("-m", "32m", flag, "box", "sh", "-c", script)

    assert done.returncode == 137
    assert done.stderr.splitlines()[-1] == "warning: the program was ended by its memory limit, `--memory`"


def test_a_program_that_is_killed_has_not_met_its_limit(world: World) -> None:
    """Nothing is said of memory."""
    done = world.call("-m", "32m", "box", "sh", "-c", "kill -KILL $$")

    assert (done.returncode, done.stderr) == (137, "")


def test_the_limit_of_processes_stops_a_fork_bomb(world: World) -> None:
    """It ends by itself, and soon (R41)."""
    began_s = time.monotonic()

    done = world.call("--pids-limit", "20", "box", "sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1; echo over")

    assert "over" in done.stdout or "can't fork" in done.stderr
    assert time.monotonic() - began_s < 20


def test_processors_slow_a_busy_loop(world: World) -> None:
    """A fifth of a processor gives about a fifth of the time, by the program's own clock."""
    script = f"{BUSY}; cat /proc/self/stat /proc/$$/stat /proc/uptime"

    def share(*flags: str) -> float:
        began_s = time.monotonic()
        lines = world(*flags, "box", "sh", "-c", script).splitlines()
        fields = lines[1].rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # proc_pid_stat(5): utime, stime
        return ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began_s)

    assert share("--cpus", "0.2") < 0.3


def test_a_set_of_processors(world: World) -> None:
    """The program may be on these alone."""
    last = str(max(os.sched_getaffinity(0)))

    assert f"Cpus_allowed_list:\t{last}\n" in world.shell("cat /proc/self/status", "--cpuset-cpus", last)


def test_all_limits_at_once_with_a_terminal(world: World) -> None:
    """They do not get into each other's way."""
    flags = ["-m", "64m", "--memory-swap", "64m", "--cpus", "1", "--pids-limit", "9", "--cpuset-cpus", "0", "-t"]

    assert world.shell("echo fine", *flags).split() == ["fine"]


def test_ulimits(world: World) -> None:
    """Soft and hard, as the kernel shows them, also less than the start itself needs."""
    seen = world.shell("cat /proc/self/limits", "--ulimit", "nofile=4:9", "--ulimit", "core=0", "--ulimit", "fsize=7")
    rows = {line[:26].strip(): line[26:].split()[:2] for line in seen.splitlines()}

    assert rows["Max open files"] == ["4", "9"]
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max file size"] == ["7", "7"]


def test_shared_memory(world: World) -> None:
    """/dev/shm has the size, and 64m where nothing is said."""
    assert "\nnone                      8192 " in world.shell("df /dev/shm", "--shm-size", "8m")
    assert "\nnone                     65536 " in world.shell("df /dev/shm", "--pids-limit", "9")


def test_kernel_settings(world: World) -> None:
    """The world's own are set, the machine's stay as they are."""
    before = Path("/proc/sys/kernel/msgmax").read_text()

    seen = world.shell(
        "cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max",
        "--sysctl",
        "kernel.msgmax=4097",
        "--sysctl",
        "fs.mqueue.msg_max=7",
    )
    network = world.shell("cat /proc/sys/net/core/somaxconn", "--network", "none", "--sysctl", "net.core.somaxconn=77")

    assert (seen, network) == ("4097\n7\n", "77\n")
    assert Path("/proc/sys/kernel/msgmax").read_text() == before


def test_a_kernel_setting_that_is_not_there(world: World) -> None:
    """Refused by its name."""
    done = world.call("--network", "none", "--sysctl", "net.nothing=1", "box", "true")

    assert (done.returncode, "no such setting" in done.stderr) == (125, True)


def test_the_score(world: World) -> None:
    """Of the program, as of all its children."""
    assert world.shell("cat /proc/self/oom_score_adj", "--oom-score-adj", "700") == "700\n"


def test_a_program_that_is_not_there_leaves_no_group(world: World) -> None:
    """The group was made before anybody could know."""
    assert world.call("-m", "32m", "box", "absent").returncode == 127


def test_the_limits_are_steps_of_the_plan(world: World) -> None:
    """`--explain` shows them, and makes nothing."""
    said = world("--explain", "-m", "32m", "--ulimit", "nofile=9", "--sysctl", "kernel.sem=1 2 3 4", "box", "true")

    assert "the own, which limits memory\n" in said
    assert "limit nofile\n" in said
    assert "set `kernel.sem` to `1 2 3 4`\n" in said


def test_a_killed_runner_is_swept_by_the_next(world: World) -> None:
    """What lives is let alone (R42)."""
    flags = ["-m", "64m", "--cpus", "1", "--pids-limit", "20"]
    with (
        world.start(*flags, "box", "sh", "-c", "echo up; sleep 60") as alive,
        world.start(*flags, "box", "sh", "-c", "echo up; sleep 60") as killed,
    ):
        for each in (alive, killed):
            assert each.stdout
            assert each.stdout.readline() == b"up\n"
        living, dying = groups_of(alive), groups_of(killed)
        assert living
        assert len(living) == len(dying)

        killed.kill()
        time.sleep(0.5)
        assert world.shell("echo next", *flags) == "next\n"

        assert groups().keys() & (living | dying) == living
        alive.send_signal(signal.SIGTERM)
        assert alive.wait(20) == 128 + signal.SIGTERM


def test_many_at_once(world: World) -> None:
    """Their sweeps do not take each other's new groups."""
    flags = ["-m", "64m", "--pids-limit", "20"]

    started = [world.start(*flags, "box", "true") for _ in range(20)]

    assert [(each.communicate(timeout=60)[0], each.returncode) for each in started] == [(b"", 0)] * 20


# Version 2's way, with whatever controller the machine has there


def test_we_step_down_where_our_group_is_to_be_divided(root: None) -> None:
    """A group with processes cannot limit groups below it: its only process, we, steps down, and up again at the end."""
    top = cgroups.read_layout(Path("/proc/self/mountinfo").read_text(), "0::/\n").version2
    offered = Path(top, "cgroup.controllers").read_text().split() if top else []
    if not offered or not os.access(f"{top}/cgroup.subtree_control", os.W_OK):
        peers.lacking("no controller of version 2 to try")
    enabled = Path(top, "cgroup.subtree_control").read_text().split()
    own = Path(top, "jettest")
    own.mkdir()
    try:
        Path(top, "cgroup.subtree_control").write_text(f"+{offered[0]}")
        done = peers.call([sys.executable, "-c", _STEPS, str(own), offered[0]])
        assert done.stdout.split() == ["apart", "limited", "back"], done.stderr
        assert [path for path in own.iterdir() if path.is_dir()] == []
    finally:
        own.rmdir()
        if offered[0] not in enabled:
            Path(top, "cgroup.subtree_control").write_text(f"-{offered[0]}")


# What cannot be enforced


@pytest.mark.parametrize("flags", [["-m", "64m"], ["--cpus", "1"], ["--cpuset-cpus", "0"], ["--pids-limit", "20"]])
def test_an_ordinary_user_is_refused_with_the_mend(ordinary: World, flags: list[str]) -> None:
    """A limit that does not hold is worse than none."""
    done = ordinary.call(*flags, "box", "true")

    assert done.returncode == 125
    assert f"error: cannot enforce `{flags[0].replace('-m', '--memory')}`: " in done.stderr
    assert "hint: " in done.stderr
    assert "--limits=best-effort" in done.stderr


def test_best_effort_warns_and_runs(ordinary: World) -> None:
    """One line for each limit that does not hold, and those that can hold do."""
    flags = ["--limits=best-effort", "-m", "64m", "--pids-limit", "20", "--ulimit", "nofile=64", "--shm-size", "8m"]

    done = ordinary.call(*flags, "box", "sh", "-c", "ulimit -n; df /dev/shm")

    assert done.returncode == 0
    assert done.stdout.startswith("64\n")
    assert " 8192 " in done.stdout
    assert [line.split("`")[1] for line in done.stderr.splitlines()] == ["--memory", "--pids-limit"]
    assert all(line.startswith("warning: ") and line.endswith("; running without it") for line in done.stderr.splitlines())


def test_an_ordinary_user_raises_nothing(ordinary: World) -> None:
    """A hard limit above the own, or a score below it: refused, or with best effort as far as it goes."""
    for flags in (["--ulimit", "nofile=1:9999999"], ["--oom-score-adj", "-500"]):
        done = ordinary.call(*flags, "box", "true")
        assert (done.returncode, "error: cannot enforce" in done.stderr) == (125, True)

        done = ordinary.call("--limits=best-effort", *flags, "box", "true")
        assert (done.returncode, "warning: cannot enforce" in done.stderr) == (0, True)


def test_an_ordinary_user_has_settings_of_his_own(ordinary: World) -> None:
    """Of message queues as the image's root, of the network as anybody."""
    seen = ordinary.shell("cat /proc/sys/kernel/msgmax", "--sysctl", "kernel.msgmax=4097")
    network = ordinary.shell(
        "cat /proc/sys/net/core/somaxconn", "-u", "7", "--network", "none", "--sysctl", "net.core.somaxconn=77"
    )

    assert (seen, network) == ("4097\n", "77\n")
