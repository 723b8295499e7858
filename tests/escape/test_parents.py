"""Who starts a world: nothing of an odd one comes in, and the interpreter that does it is out of reach (CVE-2019-5736)."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from programs import build
from worlds import World

# Opens whatever stands behind a process's program for writing, until its time is over: a start, a further program, their ends.
OPENER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    char path[32];
    long tries = 0;
    time_t end = time(0) + 4;
    puts("ready");
    fflush(stdout);
    while (time(0) < end)
        for (int pid = 1; pid < 60; pid++) {
            if (pid == getpid()) continue;
            for (int flags = 0; flags < 3; flags++) {
                sprintf(path, "/proc/%d/exe", pid);
                int file = open(path, (flags == 1 ? O_RDWR : flags == 2 ? O_WRONLY | O_TRUNC : O_WRONLY));
                tries++;
                if (file >= 0) { printf("%s\n", path); return 1; }
            }
        }
    printf("%d\n", tries > 1000);
}
"""


@pytest.mark.parametrize("world", ["root", "ordinary"], indirect=True)
@pytest.mark.parametrize("flags", [(), ("--cap-add", "ALL")])
def test_the_interpreter_cannot_be_opened_for_writing(world: World, flags: tuple[str, ...], tmp_path: Path) -> None:
    """From inside, by the number of any process, while further programs are started beside."""
    opener = build(tmp_path, "opener", OPENER, "-static")
    world.image(lambda root: shutil.copy(opener, root / "opener"))
    python = Path(os.path.realpath("/usr/bin/python3" if world.user else sys.executable))
    before = sha256(python.read_bytes()).digest()

    process = world.start("--name", "attacker", *flags, "box", "/opener")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    until_s = time.monotonic() + 3
    while time.monotonic() < until_s:
        # A program of the image's own may be opened like a file; one that cannot be started leaves the interpreter to look at.
        assert world.jettison.call("exec", "attacker", "/absent").returncode == 127
    said = process.communicate()[0]

    assert (process.returncode, said) == (0, b"1\n")
    assert sha256(python.read_bytes()).digest() == before


FACTS = (
    "umask; ulimit -n; cat /proc/self/oom_score_adj /proc/self/personality; cut -d' ' -f 19 /proc/self/stat;"
    " ls /proc/self/fd | wc -l;"
    " exec grep -E '^(SigBlk|SigIgn|SigCgt|Cpus_allowed_list|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status"
)
DOCUMENTED = {
    "umask": "0022", "nofile": "64", "oom_score_adj": "500", "personality": "00000000", "nice": "5", "descriptors": "4",
    "SigBlk": 0, "SigIgn": 0, "SigCgt": 0, "Cpus_allowed_list": str(min(os.sched_getaffinity(0))), "CapInh": 0, "CapAmb": 0,
    "NoNewPrivs": "1", "Seccomp": "2",
}  # fmt: skip
_ADDR_NO_RANDOMIZE = 0x0040000


def odd_parent() -> None:
    """Before jettison starts: everything is another than usual."""
    os.umask(0o077)
    os.nice(5)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ctypes.CDLL(None).personality(_ADDR_NO_RANDOMIZE)
    Path("/proc/self/oom_score_adj").write_text("500")
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def test_an_odd_parent(world: World) -> None:
    """What is inherited is what is documented to be, to the letter."""
    process = world.start("box", "sh", "-c", FACTS, preexec_fn=odd_parent)
    lines = process.communicate()[0].decode().split("\n")[:-1]

    assert process.returncode == 0
    found: dict[str, str | int] = dict(zip(list(DOCUMENTED), lines[:6], strict=False))
    for name, value in (line.split(":\t") for line in lines[6:]):
        # Signals 32 and 33 are the C library's own: its posix_spawn, which make uses, leaves them ignored.
        found[name] = int(value, 16) & ~(0b11 << 31) if name[:3] in ("Sig", "Cap") else value
    assert found == DOCUMENTED


def test_too_few_descriptors(world: World) -> None:
    """A start needs about thirty: with fewer it fails, says so, and leaves nothing."""
    process = world.start(
        "box", "true", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (17, 17)), stderr=subprocess.PIPE
    )

    said = process.communicate()[1].decode()

    assert (process.returncode, "Too many open files" in said) == (125, True), said
