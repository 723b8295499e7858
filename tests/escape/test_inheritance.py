"""What a strange caller leaves behind: nothing of it is in the world, or what is, is the caller's own limit."""

import contextlib
import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.sandbox import capabilities
from peers import Jettison
from programs import build
from screens import Screen
from worlds import World

LIBC = ctypes.CDLL(None)
PR_SET_TIMERSLACK, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 29, 1, 36
ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO = 0x0040000, 0x0400000, 0x0100000


def status(text: str) -> dict[str, str]:
    """proc_pid_status(5)."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def with_capabilities(world: World) -> list[str]:
    """The command, started with capabilities to hand on."""
    if os.geteuid() != 0:
        return world.jettison.command
    if not world.user:
        return ["setpriv", "--inh-caps=+chown,+net_raw", "--ambient-caps=+chown,+net_raw", *world.jettison.command]
    gained = {"--inh-caps=-all": "--inh-caps=+chown,+net_raw", "--bounding-set=-all": "--ambient-caps=+chown,+net_raw"}
    return [gained.get(word, word) for word in world.jettison.command]


@pytest.mark.parametrize("user", ["0", "1000"])
@pytest.mark.parametrize("flags", [[], ["--init=false"]])
def test_no_capability_is_handed_on(world: World, user: str, flags: list[str]) -> None:
    """The caller's inheritable and ambient sets are full, the world's are empty; the others are exact (R14)."""
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    command = with_capabilities(world)
    if os.geteuid() == 0:
        handed = subprocess.run([*command[: command.index("env") if world.user else 3], "grep", "CapAmb", "/proc/self/status"],
                                capture_output=True, text=True, check=True).stdout  # fmt: skip
        assert int(handed.split()[1], 16) != 0

    seen = subprocess.run(
        [*command, "run", *flags, "-u", user, "box", "cat", "/proc/self/status"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )

    facts = {name[3:]: int(value, 16) for name, value in status(seen.stdout).items() if name[:3] == "Cap"}
    own = capabilities.USUAL if user == "0" else 0
    assert facts == {"Inh": 0, "Prm": own, "Eff": own, "Bnd": capabilities.USUAL, "Amb": 0}


def every_signal() -> None:
    """Ignore what can be ignored, and block the rest."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})


@pytest.mark.parametrize("flags", [[], ["--init=false"]])
def test_no_signal_is_ignored_or_blocked(world: World, flags: list[str]) -> None:
    """Whatever the caller ignores or blocks, and what Python ignores: SIGPIPE, SIGXFSZ (R34)."""
    process = world.start(*flags, "box", "cat", "/proc/self/status", preexec_fn=every_signal)

    facts = status(process.communicate()[0].decode())

    # Signals 32 and 33 are the C library's own, which nobody can set.
    assert [int(facts[name], 16) & ~(0b11 << 31) for name in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]


def odd() -> None:
    """Before jettison starts: everything that a process hands on is something else."""
    os.umask(0o077)
    os.nice(5)
    LIBC.personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | MMAP_PAGE_ZERO)
    LIBC.prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    Path("/proc/self/oom_score_adj").write_text("321")


@pytest.mark.parametrize("user", ["0", "1000"])
def test_what_is_inherited_is_what_the_page_says(world: World, user: str) -> None:
    """umask and personality are the usual ones; limits, processors, niceness and score are the caller's (R35)."""
    script = (
        "umask; cat /proc/self/personality; ulimit -n; cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj;"
        " grep Cpus_allowed_list /proc/self/status"
    )

    process = world.start("-u", user, "box", "sh", "-c", script, preexec_fn=odd)

    first = str(min(os.sched_getaffinity(0)))
    assert process.communicate()[0].decode().split() == ["0022", "00000000", "60", "5", "321", "Cpus_allowed_list:", first]


@pytest.mark.parametrize("number", [8, 13, 17, 20, 24, 26])
@pytest.mark.parametrize("flags", [[], ["-d"]])
def test_a_caller_with_hardly_a_descriptor_is_told(world: World, number: int, flags: list[str]) -> None:
    """The start needs some: it fails before the program, with the reason and the mend (R35)."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    process = world.start(*flags, "box", "echo", "started", preexec_fn=limit, stderr=subprocess.PIPE)
    said, complaint = process.communicate()

    assert (process.returncode, said) == (125, b"")
    assert b"Too many open files" in complaint
    assert b"hint: " in complaint and b"`ulimit -n" in complaint


SEEKER = r"""
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    long found = syscall(SYS_keyctl, 10, -3, "user", "jettison-test", 0);  /* KEYCTL_SEARCH of the session's keyring */
    printf("%d\n", found == -1 ? errno : 0);
}
"""


def hold_a_key() -> None:
    """In the session's keyring, which is handed on."""
    number = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
    LIBC.syscall(number + 2, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING
    LIBC.syscall(number, b"user", b"jettison-test", b"secret", 6, -3)


def test_the_callers_keys_are_not_handed_on(world: World, tmp_path: Path) -> None:
    """Where no filter shuts keyctl(2), it finds nothing: the session's keyring is new (R35)."""
    seeker = build(tmp_path, "seeker", SEEKER, "-static")
    assert subprocess.run([seeker], preexec_fn=hold_a_key, check=True, stdout=subprocess.PIPE).stdout == b"0\n"
    world.image(lambda root: shutil.copy(seeker, root / "seeker"))

    process = world.start("--security-opt", "seccomp=unconfined", "box", "/seeker", preexec_fn=hold_a_key)

    assert process.communicate()[0] == f"{errno.ENOKEY}\n".encode()


def test_a_caller_who_ignores_his_children(jettison: Jettison, require: Callable[[str], str]) -> None:
    """Layers are unpacked by several processes, and a container has some too: their ends are heard of all the same (R34)."""
    jettison("pack", require("busybox"), "-t", "box")
    env = {**os.environ, "JETTISON_HOME": str(jettison.store)}
    check = ["--health-cmd", "true", "--health-interval", "100ms"]

    for flags in ([], ["-d", "--rm", *check]):
        command = [*jettison.command, "run", *flags, "box", "true"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, preexec_fn=every_signal, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


# The caller's terminal

PUSHER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
static int pushed;
static void push(int terminal) {
    char mark = 'P', paste = 3;
    pushed += ioctl(terminal, TIOCSTI, &mark) == 0;
    pushed += ioctl(terminal, TIOCLINUX, &paste) == 0;
    pushed += ioctl(terminal, TIOCSCTTY, 1) == 0;
    pushed += ioctl(terminal, TIOCSTI, &mark) == 0;
}
static void push_everywhere(void) {
    for (int number = 0; number < 3; number++) {
        push(number);
        char path[64];
        sprintf(path, "/proc/self/fd/%d", number);
        int again = open(path, O_RDWR);
        if (again >= 0) push(again);
    }
    int controlling = open("/dev/tty", O_RDWR);
    if (controlling >= 0) push(controlling);
}
int main(void) {
    push_everywhere();
    pid_t child = fork();
    if (!child) {
        setsid();
        push_everywhere();
        _exit(pushed);
    }
    int status;
    waitpid(child, &status, 0);
    printf("pushed %d and %d.\n", pushed, WEXITSTATUS(status));
}
"""


def test_nothing_is_pushed_into_the_callers_terminal(world: World, tmp_path: Path) -> None:
    """The caller's stdin, stdout and stderr are a terminal, which the program may read and write: it cannot type into it, nor
    make it its own, in its own session or another (R24)."""
    pusher = build(tmp_path, "pusher", PUSHER, "-static")
    world.image(lambda root: shutil.copy(pusher, root / "pusher"))
    screen = Screen(world, "run", "-i", "box", "/pusher")

    screen.wait_for("pushed 0 and 0.")

    assert screen.end() == 0


# What programs are told, and what Python leaves


def lose_the_folder() -> None:
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")


CALLERS: dict[str, Callable[[], object]] = {
    "a caller in a folder that is gone": lose_the_folder,
    "a caller with a closed stdin": lambda: os.close(0),
    "a caller with a stopped child": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_a_strange_caller_gets_his_world(world: World, caller: str, tmp_path: Path) -> None:
    """Its streams and working directory are as ever, and no more is open (R2, R34, P2)."""

    def prepare() -> None:
        if not world.user:
            os.chdir(tmp_path)
            CALLERS[caller]()

    process = world.start("box", "sh", "-c", "pwd; ls /proc/self/fd", preexec_fn=prepare)

    assert process.communicate()[0].split() == [b"/", b"0", b"1", b"2", b"3"]  # 3: the listing's own


def test_the_environment_to_the_byte(world: World) -> None:
    """The image's, the flags', and three of ours: in no other order, with no other byte, line ends and all (R25, P6)."""
    raw = b"RAW=\xff\xfe\xc3"
    world.image(env=["PATH=/bin", "B=2", os.fsdecode(raw)])
    noise = {"LC_CTYPE": "C.UTF-8", "LC_ALL": "POSIX", "PYTHONHOME": "", "no_proxy": "x", "LISTEN_FDSX": "1", "LD_PRELOAD": ""}
    flags = ["--hostname", "me", "-e", "LINES=a\nb", "-e", os.fsdecode(b"\xe9=\xe9")]

    done = world.jettison.call("run", *flags, "box", "cat", "/proc/self/environ", env=noise)

    expected = [b"PATH=/bin", b"B=2", raw, b"LINES=a\nb", b"\xe9=\xe9", b"HOSTNAME=me", b"HOME=/root", b""]
    assert os.fsencode(done.stdout) == b"\0".join(expected)


def test_a_file_of_variables_with_a_nul_byte_is_refused(world: World) -> None:
    """It would end the variable where nobody expects it (P6)."""
    path = world.folder("files") / "env"
    path.write_bytes(b"A=1\nB=x\0C=y\n")

    done = world.call("--env-file", str(path), "box", "true")

    assert (done.returncode, "line 2" in done.stderr) == (125, True)
