"""What a strange caller of `exec` leaves behind: nothing of it is in the container. The same of health checks."""

import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from worlds import World, until

Detach = Callable[..., str]
FOREVER = ("box", "sleep", "1000")
LIBC = ctypes.CDLL(None)
PR_SET_CHILD_SUBREAPER = 36
ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC = 0x0040000, 0x0400000
RAW = b"RAW=\xff\xfe\xc3"
NOISE = {
    "LC_CTYPE": "C.UTF-8",
    "http_proxy": "x",
    "HOSTNAME": "x",
    "TERM": "x",
    "LISTEN_FDS": "1",
    "A": "x",
}


def start(world: World, *words: str, prepare: Callable[[], object]) -> "subprocess.Popen[bytes]":
    """`jettison exec …` of a caller who does something before."""
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    command = [*world.jettison.command, "exec", *words]
    return subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=prepare
    )


def said(process: "subprocess.Popen[bytes]") -> str:
    text = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 0, text
    return text


# What programs are told


def variables(world: World, *flags: str) -> list[bytes]:
    """Of a program that a noisy caller starts."""
    done = world.jettison.call("exec", *flags, "web", "cat", "/proc/self/environ", env=NOISE)
    assert done.returncode == 0, done.stderr
    return os.fsencode(done.stdout.replace("\r\n", "\n")).split(b"\0")


def test_the_environment_to_the_byte(world: World, detach: Detach) -> None:
    """The first program's, and the flags': nothing of who calls `exec` (R25)."""
    world.image(env=["PATH=/bin", os.fsdecode(RAW)])
    detach("--name", "web", "--hostname", "me", "-e", "A=1", *FOREVER)
    own = [b"PATH=/bin", RAW, b"A=1", b"HOSTNAME=me", b"HOME=/root", b""]

    assert variables(world) == own
    changed = [b"A=2" if text == b"A=1" else text for text in own]
    assert sorted(variables(world, "-e", "LINES=a\nb", "-e", "A=2")) == sorted([*changed, b"LINES=a\nb"])
    assert sorted(variables(world, "-t")) == sorted([*own, b"TERM=xterm"])


def test_the_environment_of_a_check(world: World, detach: Detach) -> None:
    """The first program's to the byte, of nobody else's (R25)."""
    world.image(env=["PATH=/bin", os.fsdecode(RAW)])
    check = "cat /proc/$$/environ > /new; mv /new /checked"
    flags = ["--health-cmd", check, "--health-interval", "100ms", "--hostname", "me"]
    done = world.jettison.call("run", "-d", "--name", "web", *flags, *FOREVER, env=NOISE)
    assert done.returncode == 0, done.stderr

    until(lambda: world.jettison.call("exec", "web", "test", "-s", "/checked").returncode == 0)

    seen = os.fsencode(world.jettison("exec", "web", "cat", "/checked")).split(b"\0")
    assert sorted(seen) == sorted([b"PATH=/bin", RAW, b"HOSTNAME=me", b"HOME=/root", b""])


# What is inherited

FACTS = (
    "umask; cat /proc/self/personality; ulimit -n; ulimit -c; grep Cpus_allowed_list /proc/self/status; ls /proc/self/fd | wc -l;"
    " cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj"
)


def odd() -> None:
    """Everything that a process hands on is something else."""
    os.umask(0o077)
    os.nice(5)
    LIBC.personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (7, 7))
    Path("/proc/self/oom_score_adj").write_text("321")


@pytest.mark.parametrize("flags", [[], ["-t"]])
def test_what_is_inherited_is_the_containers(world: World, detach: Detach, flags: list[str]) -> None:
    """umask, personality, limits, processors, niceness and score are the first program's, whoever calls; but only root makes
    a program less nice than its caller is (R35)."""
    detach("--name", "web", "--ulimit", "nofile=100:200", "--ulimit", "core=0", *FOREVER)
    usual = world.jettison("exec", *flags, "web", "sh", "-c", FACTS).split()

    strange = said(start(world, *flags, "web", "sh", "-c", FACTS, prepare=odd)).split()

    assert usual[:4] == ["0022", "00000000", "100", "0"]
    assert strange == ([*usual[:-2], "5", usual[-1]] if world.user else usual)


def every_signal() -> None:
    """Ignore what can be ignored, and block the rest."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})


def signals(text: str) -> list[int]:
    """Those that are blocked, ignored, caught; signals 32 and 33 are the C library's own, which nobody can set."""
    facts = dict(line.split(":\t") for line in text.splitlines())
    return [int(facts[name], 16) & ~(0b11 << 31) for name in ("SigBlk", "SigIgn", "SigCgt")]


@pytest.mark.parametrize("flags", [[], ["-d"], ["-t"]])
def test_no_signal_is_ignored_or_blocked(world: World, detach: Detach, flags: list[str]) -> None:
    """Whatever the caller of `exec` ignores or blocks (R34)."""
    detach("--name", "web", *FOREVER)

    script = "grep ^Sig /proc/self/status > /new; mv /new /seen"
    said(start(world, *flags, "web", "sh", "-c", script, prepare=every_signal))

    until(lambda: world.jettison.call("exec", "web", "test", "-e", "/seen").returncode == 0)
    assert signals(world.jettison("exec", "web", "grep", "-E", "SigBlk|SigIgn|SigCgt", "/seen")) == [0, 0, 0]


def test_no_signal_is_ignored_or_blocked_in_a_check(world: World, detach: Detach) -> None:
    """Whatever the caller of `run -d` ignores or blocks; nor in the first program (R34)."""
    flags = ["--health-cmd", "cat /proc/self/status > /new; mv /new /check", "--health-interval", "100ms"]
    first = ["box", "sh", "-c", "cat /proc/self/status > /first; exec sleep 1000"]

    world.start("-d", "--name", "web", *flags, *first, preexec_fn=every_signal).communicate(timeout=30)

    until(lambda: world.jettison.call("exec", "web", "test", "-e", "/check").returncode == 0)
    for name in ("first", "check"):
        assert signals(world.jettison("exec", "web", "grep", "-E", "SigBlk|SigIgn|SigCgt", f"/{name}")) == [0, 0, 0], name


@pytest.mark.parametrize("number", [17, 24])
def test_a_caller_with_hardly_a_descriptor(world: World, detach: Detach, number: int) -> None:
    """It enters, or is told what to raise (R35)."""
    detach("--name", "web", *FOREVER)

    process = start(world, "web", "echo", "in", prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number)))
    text = process.communicate(timeout=30)[0].decode()

    assert (process.returncode, text) == (0, "in\n") or (process.returncode == 125 and "ulimit -n" in text), text


# The working directory


@pytest.mark.parametrize("link", ["/proc/self/fd/3", "/proc/1/cwd/../../..", "../../../../../..", "/proc/self/root"])
def test_a_working_directory_behind_a_link(world: World, detach: Detach, link: str) -> None:
    """A link of the image's leads where its programs would see it lead, or nowhere (R2)."""

    def fill(folder: Path) -> None:
        (folder / "here").write_text("inside")
        (folder / "way").symlink_to(link)

    world.image(fill)
    detach("--name", "web", *FOREVER)

    done = world.jettison.call("exec", "-w", "/way", "web", "sh", "-c", "cat ../../../../../here; pwd -P")

    assert done.returncode == 125 or done.stdout.startswith("inside/"), (done.stdout, done.stderr)
