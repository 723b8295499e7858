"""Attacks of running programs on the runner, on the machine's kernel and on each other; and the end of them all."""

import json
import os
import shutil
import socket
import stat
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import pytest

import peers
import worlds
from jettison.sandbox import capabilities
from jettison.sandbox.plan import HIDDEN_PROC, HIDDEN_SYS, READ_ONLY_PROC
from programs import build
from worlds import World

# The interpreter (R1)

OVERWRITER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* For a second, while processes come and go: a handle of any process's program but our own? */
int main(void) {
    struct stat own, other;
    stat("/proc/self/exe", &own);
    int foreign = 0, writable = 0;
    for (time_t end = time(0) + 2; time(0) < end;) {
        if (!fork()) _exit(0);
        for (int pid = 1; pid < 60; pid++) {
            char path[64];
            sprintf(path, "/proc/%d/exe", pid);
            int file = open(path, O_RDONLY);
            if (file < 0) file = open(path, O_PATH);
            if (file >= 0 && !fstat(file, &other) && (other.st_ino != own.st_ino || other.st_dev != own.st_dev)) foreign++;
            if (file >= 0) close(file);
            file = open(path, O_WRONLY);
            if (file >= 0) writable++, close(file);
        }
        while (waitpid(-1, 0, WNOHANG) > 0) {}
    }
    printf("%d %d\n", foreign, writable);
}
"""


@pytest.mark.parametrize("flags", [[], ["--init=false"]])
def test_no_handle_of_the_interpreter_is_to_be_had(world: World, flags: list[str], tmp_path: Path) -> None:
    """A program that tries for two seconds to open every process's file, to write it, gets none but its own (R1)."""
    program = build(tmp_path, "overwriter", OVERWRITER, "-static")
    world.image(lambda root: shutil.copy(program, root / "overwriter"))
    interpreter = Path(os.path.realpath("/usr/bin/python3"))
    before = sha256(interpreter.read_bytes()).digest()

    assert world(*flags, "box", "/overwriter") == "0 0\n"

    assert sha256(interpreter.read_bytes()).digest() == before


# Control groups (R12, R13)


def test_no_release_agent_can_be_set(world: World) -> None:
    """No hierarchy of version 1 can be mounted, in no namespace, and what is there cannot be written (R12, R13)."""
    world.image(lambda root: (root / "mnt").mkdir())
    script = """
        for controller in memory cpu devices rdma misc pids none,name=x; do
            mount -t cgroup -o $controller x /mnt && echo mounted $controller
            unshare -UrmC mount -t cgroup -o $controller x /mnt && echo mounted $controller
        done
        mount -t cgroup2 x /mnt && echo mounted 2
        for file in $(find / -name release_agent -o -name notify_on_release -o -name cgroup.procs); do
            (echo 1 > $file) && echo wrote $file
        done
        mkdir /sys/fs/cgroup/mine && echo made
        find /sys -writable ! -type l | head
    """

    assert world.shell(f"{{ {script} }} 2>/dev/null; true") == ""


# Networks (R23, R28)


def test_the_runner_listens_nowhere(world: World) -> None:
    """A world with the machine's network finds no abstract socket, nor any other, that it could control the runner by (R23)."""
    process = world.start("-i", "box", "sh", "-c", "echo ready; sleep 20")
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"

    family = [str(process.pid), *children(str(process.pid))]
    held = {os.readlink(link) for pid in family for link in Path(f"/proc/{pid}/fd").glob("*") if os.path.lexists(link)}
    listed = {f"socket:[{line.split()[6]}]" for line in Path("/proc/net/unix").read_text().splitlines()[1:]}

    process.kill()
    process.communicate()
    assert held & listed == set()


def children(pid: str) -> list[str]:
    """The process ids of all that a process has started."""
    direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return direct + [each for child in direct for each in children(child)]


def test_a_world_without_a_network_reaches_nobody(world: World) -> None:
    """Not the machine's loopback, nor its abstract sockets; no other interface and no name server (R28)."""
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as local:
        abstract.bind(f"\0jettison-{os.getpid()}")
        abstract.listen()
        port = local.getsockname()[1]
        script = f"grep -c jettison /proc/net/unix; nc -w 1 127.0.0.1 {port} </dev/null && echo reached; cat /etc/resolv.conf"

        assert world.shell(f"{script}; cut -d: -f1 /proc/net/dev | tail -n +3", "--network", "none").split() == ["0", "lo"]


# Mounts (R37, R38)

OPTIONS = ("ro", "rw", "nosuid", "nodev", "noexec")
GOLDEN = {
    "/": "overlay rw nosuid nodev",
    "/proc": "proc rw nosuid nodev noexec",
    "/sys": "sysfs ro nosuid nodev noexec",
    "/dev": "tmpfs rw nosuid noexec",
    "/dev/pts": "devpts rw nosuid noexec",
    "/dev/shm": "tmpfs rw nosuid nodev noexec",
    "/dev/mqueue": "mqueue rw nosuid nodev noexec",
}


@pytest.mark.parametrize("network", ["host", "none"])
def test_every_mount_is_the_one_that_is_meant(world: World, network: str) -> None:
    """Its kind and its flags, and no mount more (R37)."""
    seen = mounts(world.shell("cat /proc/self/mountinfo", "--network", network))
    expected = dict(GOLDEN)
    expected |= {f"/proc/{name}": "proc ro nosuid nodev noexec" for name in READ_ONLY_PROC if os.path.exists(f"/proc/{name}")}
    hidden = {f"/proc/{name}" for name in HIDDEN_PROC} | {f"/sys/{name}" for name in HIDDEN_SYS} | {"/sys/fs/cgroup"}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}

    below = {place: words for place, words in seen.items() if place not in hidden | devices}
    # What the machine has mounted below its /sys is shown as it is, but to be read.
    machines = {place: words for place, words in below.items() if place.startswith("/sys/")}

    assert {place: words for place, words in below.items() if place not in machines} == expected
    assert {words.partition(" ")[2] for words in machines.values()} <= {"ro nosuid nodev noexec"}
    assert {words.partition(" ")[0] for place, words in seen.items() if place in devices} <= {"devtmpfs", "tmpfs"}
    for place in hidden & set(seen):
        assert seen[place] == "tmpfs ro nosuid nodev noexec" or place.startswith("/proc/") or place == "/sys/fs/cgroup", place
    modes = world.shell("stat -c '%a %n' / /dev /dev/pts /dev/shm /dev/null /proc /sys", "--network", network)
    assert modes.split()[::2] == ["755", "755", "755", "1777", "666", "555", "555"]


def mounts(text: str) -> dict[str, str]:
    """By place: the kind and the flags; of several on each other the topmost."""
    rows = [line.split() for line in text.splitlines()]
    return {row[4]: " ".join([row[row.index("-") + 1], *(o for o in OPTIONS if o in row[5].split(","))]) for row in rows}


def test_flags_of_the_machines_mounts_are_kept(world: World, root: None) -> None:
    """A folder that nobody may execute from stays so inside, read-only or not, with what is mounted below it (R38)."""
    source = world.folder("source")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,nosuid,nodev,mode=777", "x", source], check=True)
    try:
        (source / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,mode=777", "x", source / "below"], check=True)
        for flag, words in (("", "rw nosuid nodev noexec"), (":ro", "ro nosuid nodev noexec")):
            seen = mounts(world.shell("cat /proc/self/mountinfo", "-v", f"{source}:/v{flag}"))
            assert (seen["/v"], seen["/v/below"]) == (f"tmpfs {words}",) * 2
            done = world.call("-v", f"{source}:/v{flag}", "box", "sh", "-c", "echo x > /v/below/x")
            assert (done.returncode == 0) == (flag == "")
    finally:
        subprocess.run(["umount", "--recursive", source], check=True)


# Failures after the machine is left (P1, P4)

FAULTS = """
import os, sys
from jettison.cli import main
from jettison.sandbox import departure, operations, program, seccomp
kinds = {each.__name__: each for module in (departure, operations, program, seccomp)
         for each in vars(module).values() if isinstance(each, type)}
def fail(self, world):
    raise ERROR
kinds["STEP"].execute = fail
before = os.getpid()
status = main.main(["run", "box", "true"])
sys.stdout.write(f"{status} {os.getpid() == before}")
"""
STEPS = ("Descriptors", "Identity", "OverlayRoot", "Proc", "Dev", "Pivot", "WorkingDirectory", "Program", "Privileges",
         "SystemCalls", "Execute")  # fmt: skip
ERRORS = (
    "OSError(5, 'Input/output error')",
    "ValueError('no value')",
    "UnicodeDecodeError('idna', b'x', 0, 1, 'no')",
    "MemoryError()",
    "SystemExit(0)",
    "KeyboardInterrupt()",
)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", STEPS)
def test_any_step_may_fail(world: World, step: str, error: str) -> None:
    """The failure is told without importing anything, and nothing of it unwinds into the parent's code (P1, P4)."""
    program = FAULTS.replace("STEP", step).replace("ERROR", error)
    if world.user:
        command = [*world.jettison.command[:-2], "-c", program]
    else:
        command = [str(Path(world.jettison.command[0]).parent / "python"), "-c", program]

    done = peers.call(command, env={**os.environ, "JETTISON_HOME": str(world.store)})

    assert done.stdout == "125 True", done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert "internal error" not in done.stderr and "import" not in done.stderr.lower()


# The end (R41, R42)


def test_thousands_of_orphans_are_buried(world: World) -> None:
    """Each loses its parent at once; none is left as a zombie, and the world ends with its program (R41)."""
    script = (
        "i=0; while [ $i -lt 3000 ]; do (true &) ; i=$((i+1)); done; sleep 0.3;"
        " grep -c '^State:.Z' /proc/[0-9]*/status | grep -v ':0$' | wc -l; ls -d /proc/[0-9]* | wc -l"
    )

    zombies, alive = map(int, world.shell(script).split())

    assert zombies == 0
    assert alive < 12


def test_daemons_end_with_their_world(world: World) -> None:
    """They have left the session, stay when they are told to end, and fork on: the end of the program is theirs (R41)."""
    marker = f"98{os.getpid()}{time.monotonic_ns() % 100000}"
    daemon = f"sh -c 'trap : TERM; sleep {marker} & sleep {marker}; sleep {marker}'"
    script = f"trap '' TERM HUP INT; for i in 1 2 3 4 5; do ({daemon} &) ; done; sleep 0.3"

    began_s = time.monotonic()
    world.shell(script)

    assert time.monotonic() - began_s < 30
    assert sleepers(marker) == []


def sleepers(marker: str) -> list[str]:
    """Processes of the machine that sleep for so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", marker.encode()]:
            found.append(path.parent.name)
    return found


def test_a_runner_killed_at_any_moment_leaves_nothing(world: World) -> None:
    """At forty moments of a start: no process, mount, folder or lock is left, and the next start works (R42)."""
    marker = f"97{os.getpid()}{time.monotonic_ns() % 100000}"
    before = worlds.own_mounts(world)

    for number in range(40):
        process = world.start("--name", "one", "-v", "kept:/v", "box", "sleep", marker, stderr=subprocess.DEVNULL)
        time.sleep(number * 0.003)
        process.kill()
        process.communicate()

    until_s = time.monotonic() + 5
    while sleepers(marker) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert sleepers(marker) == []
    assert worlds.own_mounts(world) == before
    assert list((world.store / "tmp").iterdir()) == []
    assert world("--name", "one", "-v", "kept:/v", "box", "echo", "on") == "on\n"


# Side channels (R43)


def test_what_tells_of_other_programs_is_hidden(world: World) -> None:
    """Interrupts, power, timers, keys, the kernel's log and its memory (R43)."""
    script = """
        for file in /proc/interrupts /proc/keys /proc/timer_list /proc/sched_debug /proc/kcore /proc/kmsg /proc/latency_stats; do
            test -s $file && echo $file; head -c 1 $file 2>/dev/null | grep -q . && echo $file
        done
        find /sys/devices/virtual/powercap/ /sys/class/powercap/ -name '*energy*' 2>/dev/null
        find /sys -name thermal_throttle 2>/dev/null | while read f; do ls $f; done
    """

    assert world.shell(f"{{ {script} }} 2>/dev/null; true") == ""


def test_no_file_of_the_kernels_gives_its_addresses(world: World) -> None:
    """Symbols are listed without them, for whoever has no capability (R43)."""
    seen = world.shell("head -n 50 /proc/kallsyms 2>/dev/null; true").splitlines()

    assert {int(line.split()[0], 16) for line in seen} <= {0}


# Images and their devices in one report: `doctor --inside` sees what these tests attack


def test_the_report_agrees(world: World) -> None:
    """Usual capabilities, no device but six, nothing writable of the kernel's but its pressure files (R13, R14, R22)."""
    # With DAC_OVERRIDE root opens what no mode allows, in /proc too, where a write is then an error (EIO).
    done = world.jettison.call("doctor", "--inside", "--json", "--", "--network", "none", "--cap-drop", "DAC_OVERRIDE")
    facts = json.loads(done.stdout)

    usual = {name for bit, name in enumerate(capabilities.NAMES) if capabilities.USUAL >> bit & 1}
    assert {name for names in facts["capabilities"].values() for name in names} <= usual
    assert [facts["capabilities"][name] for name in ("inheritable", "ambient")] == [[], []]
    assert {path for path in facts["devices"] if not path.startswith("/dev/pts/")} <= {
        f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")
    }
    assert {said.partition(":")[0] for said in facts["made_devices"].values()} == {"not made"}
    assert facts["writable_files"]["/sys"] == []
    assert {path for path in facts["writable_files"]["/proc"] if not path.startswith("/proc/pressure/")} <= {"/proc/keys"}
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
