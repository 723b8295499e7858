"""Detached containers that do not want to end, or whose runner is killed: they end, soon, and nothing of them stays."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import peers
import worlds
from jettison.sandbox import cgroups
from machines import OUTSIDE, OWN, PYTHON, SERVER, Machine
from programs import build
from worlds import World, until

Detach = Callable[..., str]
SOON_S = 10

# Forks as fast as it can; no copy ends by itself, nor by a signal that can be caught.
BOMB = r"""
#include <signal.h>
#include <unistd.h>
int main(void) {
    for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
    for (;;) fork();
}
"""
# Each child leaves ten behind that lose their parent and end later.
ORPHANS = r"""
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int group = 0; group < 1000; group++) {
        pid_t child = fork();
        if (!child) {
            setsid();
            for (int each = 0; each < 10; each++)
                if (!fork()) { usleep(2000); _exit(0); }
            _exit(0);
        }
        waitpid(child, 0, 0);
    }
    puts("over");
    fflush(stdout);
    pause();
}
"""


def groups() -> set[str]:
    """The names of control groups that containers have, whoever's, in any hierarchy."""
    names = [name for _, folders, _ in os.walk("/sys/fs/cgroup") for name in folders]
    return {name for name in names if name.startswith(cgroups.PREFIX)}


def groups_of(processes: list[int]) -> set[str]:
    """Those that they are in."""
    lines = [line for pid in processes for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return {part for line in lines for part in line.split("/") if part.startswith(cgroups.PREFIX)}


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def runner_of(world: World, name: str) -> int:
    """The process that a container's init is the child of."""
    init = world.inspect(name)["State"]["Pid"]
    return int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])


def are_gone(processes: list[int]) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in processes)


# A fork bomb


def with_program(world: World, folder: Path, name: str, source: str) -> None:
    """The image `box` with a C program, `/NAME`."""
    program = build(folder, name, source, "-static")
    world.image(lambda root: shutil.copy(program, root / name))


@pytest.fixture
def limited(world: World, tmp_path: Path) -> list[str]:
    """In `box` lies `/bomb`; these flags hold it. Root's is a control group; for others the kernel counts a user's processes."""
    with_program(world, tmp_path, "bomb", BOMB)
    if world.user:
        return ["--ulimit", "nproc=300"]
    site = cgroups.sites(cgroups.own_layout())["pids"]
    if not site.folder:
        peers.lacking(f"control groups: {site.reason}")
    return ["--pids-limit", "300"]


@pytest.mark.parametrize("end", [["stop", "-t", "2"], ["stop", "-t", "0"], ["kill"], ["rm", "-f"]])
def test_a_fork_bomb_is_ended(world: World, detach: Detach, limited: list[str], end: list[str]) -> None:
    """With as many processes as it may have, all busy: soon none is left, and no control group (R41)."""
    detach("--name", "web", *limited, "box", "/bomb")
    runner = runner_of(world, "web")
    until(lambda: len(family(runner)) > 250)
    processes = family(runner)
    own = groups_of([world.inspect("web")["State"]["Pid"]])
    assert own or world.user

    began_s = time.monotonic()
    world.jettison(*end, "web")

    until(lambda: are_gone(processes))
    assert time.monotonic() - began_s < SOON_S
    until(lambda: not own & groups())


def test_a_bombs_limit_is_not_the_callers(world: World, detach: Detach, limited: list[str]) -> None:
    """While it goes off, others start, and it is not entered but for its own account (R41)."""
    detach("--name", "web", *limited, "box", "/bomb")
    runner = runner_of(world, "web")
    until(lambda: len(family(runner)) > 250)

    entered = world.jettison.call("exec", "web", "true")

    assert (entered.returncode, entered.stderr != "") in ((125, True), (0, False)), entered
    assert world.shell("echo on") == "on\n"


def test_ten_thousand_orphans_are_buried(world: World, detach: Detach, tmp_path: Path) -> None:
    """None is left as a zombie, and the container ends as any other (R41)."""
    with_program(world, tmp_path, "orphans", ORPHANS)
    detach("--name", "web", "box", "/orphans")
    until(lambda: "over" in world.jettison("logs", "web"), wait_s=60)

    def alive() -> list[str]:
        return world.jettison("exec", "web", "sh", "-c", "cat /proc/[0-9]*/comm").split()

    until(lambda: alive().count("orphans") == 1 and len(alive()) < 8)
    began_s = time.monotonic()
    world.jettison("rm", "-f", "web")
    assert time.monotonic() - began_s < SOON_S


# A runner that is killed


@pytest.fixture
def networked(world: World, shared_folder: Path) -> Iterator[Machine]:
    """A machine with a network of the tests' own; the world's runner sees it."""
    peers.require("nft" if world.user is None else "slirp4netns")
    world.image()
    with Machine(shared_folder) as machine:
        machine.connect(world)
        yield machine
        world.end_all()


def left_in(machine: Machine) -> list[str]:
    """Interfaces, tables, leases and listeners of runners."""
    links = [line for line in machine.inside("ip", "-o", "link").splitlines() if "jettison" in line]
    tables = machine.inside(peers.require("nft"), "list", "tables").splitlines()
    inode = machine.inside("stat", "-L", "-c", "%i", "/proc/self/ns/net").strip()
    listeners = machine.inside("cat", "/proc/net/tcp").splitlines()[1:]
    return [*links, *tables, *(str(path) for path in Path("/run").glob(f"jettison/networks/{inode}")), *listeners]


def test_a_killed_runner_with_everything_leaves_nothing(world: World, networked: Machine) -> None:
    """A detached container with a network, ports, a volume, limits, health checks, and a program that somebody has sent in: after
    the next `ps` no process, mount, control group, interface, port, table or file of it is there (R42)."""
    limits = [] if world.user else ["--pids-limit", "50", "--memory", "64m"]
    mounts = worlds.own_mounts(world)
    flags = ["-p", "8080:80", "-v", "kept:/v", *limits, "--health-cmd", "sleep 5", "--health-interval", "100ms"]

    for name, stays in (("stays", True), ("goes", False)):
        world("-d", *([] if stays else ["--rm"]), "--name", name, *flags, "box", "sh", "-c", "sleep 987 & sleep 986")
        env = {**os.environ, "JETTISON_HOME": str(world.store)}
        further = subprocess.Popen([*world.jettison.command, "exec", name, "sleep", "985"], env=env)
        until(lambda name=name: world.jettison.call("exec", name, "ps").stdout.count("sleep") == 4)  # type: ignore[misc]
        runner = runner_of(world, name)
        processes = family(runner)
        own = groups_of([world.inspect(name)["State"]["Pid"]])
        assert own or world.user

        os.kill(runner, signal.SIGKILL)

        assert further.wait(20) == 137
        until(lambda processes=processes: are_gone(processes))  # type: ignore[misc]
        assert [each["name"] for each in world.listed() if each["name"] == name] == ([name] if stays else [])
        assert not own & groups()
        assert worlds.own_mounts(world) == mounts
        until(lambda: left_in(networked) == [])
        assert list((world.store / "tmp").iterdir()) == []

    assert world.listed()[0]["status"] == "exited"
    world.jettison("rm", "stays")
    assert [list((world.store / part).iterdir()) for part in ("containers", "names")] == [[], []]
    assert world("-p", "8080:80", "-v", "kept:/v", "box", "echo", "on") == "on\n"


# Published ports


def test_who_asks_is_never_the_loopback(world: World, networked: Machine) -> None:
    """Whoever asks a detached container, by TCP or UDP, from this machine or another, has the world's own address (R29); and what
    is published for this machine alone nobody else reaches, also where a route leads to its loopback (R28)."""

    def fill(root: Path) -> None:
        (root / "lib").symlink_to("usr/lib")
        (root / "lib64").symlink_to("usr/lib64")

    world.image(fill)
    flags = ["-p", "8080:80", "-p", "8080:53/udp", "-p", f"{OWN}:8081:80", "-p", f"{OWN}:8081:53/udp", "-v", "/usr:/usr:ro"]
    world("-d", "--name", "web", *flags, "box", PYTHON, "-c", SERVER, "0.0.0.0", "80", "53/udp")
    until(lambda: "ready" in world.jettison("logs", "web"))
    own = world.jettison("exec", "web", "sh", "-c", "ip -4 -o address show eth0").split()[3].partition("/")[0]

    for kind, port in (("tcp", "80"), ("udp", "53")):
        assert networked.ask(kind, "127.0.0.1", 8080) == f"{port} {own} hello"
        assert networked.ask(kind, OWN, 8081, from_outside=True) == f"{port} {own} hello"
        assert networked.ask(kind, OWN, 8080, from_outside=True) == ""
        assert networked.ask(kind, "127.0.0.1", 8080, from_outside=True) == ""
    networked.outside("ip", "address", "flush", "dev", "lo")
    networked.outside("ip", "route", "add", "127.0.0.0/8", "via", OWN, "src", OUTSIDE, "table", "local")
    networked.outside("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
    assert networked.ask("tcp", "127.0.0.1", 8080, from_outside=True) == ""
