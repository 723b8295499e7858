"""System calls that a world does not make: by their numbers, from inside, past every library."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import peers
import worlds
from jettison.sandbox.calls import ARCHITECTURES
from peers import Docker
from programs import build
from worlds import World

NUMBERS = ARCHITECTURES[platform.machine()].numbers()
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
NEW_USERS = 0x10000000
X32 = 0x40000000

# Each argument is a call, "NUMBER,ARGUMENT,…", or "i386,NUMBER,…"; prints the errno that each one gives, 0 for success.
CALLER = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static long old_call(long number) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0L), "c"(0L), "d"(0L), "S"(0L), "D"(0L) : "memory");
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : result;
#else
    errno = ENOSYS;
    return -1;
#endif
}
int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        int is_old = !strncmp(words[i], "i386,", 5);
        unsigned long values[7] = {0};
        char *word = words[i] + 5 * is_old;
        for (int j = 0; j < 7 && *word; j++, word += *word == ',')
            values[j] = strtoul(word, &word, 0);
        long result = is_old ? old_call(values[0])
            : syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
        printf("%d ", result == -1 ? errno : 0);
        fflush(stdout);
    }
}
"""

THREADS = r"""
#include <pthread.h>
#include <stdio.h>
static void *add(void *sum) { __atomic_add_fetch((int *)sum, 1, __ATOMIC_SEQ_CST); return 0; }
int main(void) {
    int sum = 0;
    pthread_t threads[20];
    for (int i = 0; i < 20; i++)
        if (pthread_create(&threads[i], 0, add, &sum)) return 1;
    for (int i = 0; i < 20; i++)
        pthread_join(threads[i], 0);
    printf("%d\n", sum);
}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, linked statically."""
    return build(tmp_path_factory.mktemp("caller"), "caller", CALLER, "-static")


@pytest.fixture(params=["root", "ordinary"])
def world(request: pytest.FixtureRequest, caller: Path) -> World:
    """A runner with the image `box`, in which the program is."""
    made = worlds.world(request)
    made.image(lambda folder: shutil.copy(caller, folder / "caller"))
    return made


def errors(world: World, *calls: str, flags: tuple[str, ...] = ()) -> list[int]:
    """The errno of each call made inside."""
    return [int(word) for word in world(*flags, "box", "/caller", *calls).split()]


def call(name: str, *arguments: int) -> str:
    """A call in the program's words."""
    return ",".join(map(str, (NUMBERS[name], *arguments)))


ATTACKS = {
    "AF_ALG": (call("socket", 38, 5), EAFNOSUPPORT),
    "AF_ALG behind a set upper half": (call("socket", (1 << 32) | 38, 5), EAFNOSUPPORT),
    "AF_VSOCK": (call("socket", 40, 1), EAFNOSUPPORT),
    "io_uring_setup": (call("io_uring_setup", 8), EPERM),
    "keyctl": (call("keyctl", 0, -3), EPERM),
    "add_key": (call("add_key"), EPERM),
    "request_key": (call("request_key"), EPERM),
    "bpf": (call("bpf"), EPERM),
    "userfaultfd": (call("userfaultfd"), EPERM),
    "perf_event_open": (call("perf_event_open"), EPERM),
    "open_by_handle_at": (call("open_by_handle_at"), EPERM),
    "clone into new users": (call("clone", NEW_USERS | 17), EPERM),
    "clone into new mounts": (call("clone", 0x20000 | 17), EPERM),
    "clone3": (call("clone3"), ENOSYS),
    "unshare of nothing": (call("unshare", 0), EPERM),
    "unshare of users": (call("unshare", NEW_USERS), EPERM),
    "setns": (call("setns", 0), EPERM),
    "mount": (call("mount"), EPERM),
    "fsopen": (call("fsopen"), EPERM),
    "open_tree": (call("open_tree"), EPERM),
    "pivot_root": (call("pivot_root"), EPERM),
    "kexec_load": (call("kexec_load"), EPERM),
    "init_module": (call("init_module"), EPERM),
    "swapon": (call("swapon"), EPERM),
    "an unknown call": ("1000", ENOSYS),
    "personality without randomisation": (call("personality", 0x40000), EPERM),
    # 64-bit kernels also answer to the calls of their 32-bit ancestors: getpid, mount, and write of x32.
    "getpid of i386": ("i386,20", ENOSYS),
    "mount of i386": ("i386,21", ENOSYS),
    "write of x32": (str(1 | X32), ENOSYS),
    "mount of x32": (str(165 | X32), ENOSYS),
}


def test_every_attack_is_answered(world: World) -> None:
    """AF_ALG (CVE-2026-31431), the parts of the kernel that attacks begin with, other architectures, namespaces (R31, R32)."""
    found = errors(world, *(attack for attack, _ in ATTACKS.values()))

    assert dict(zip(ATTACKS, found, strict=True)) == {name: errno for name, (_, errno) in ATTACKS.items()}


def test_it_is_the_filter_that_answers(world: World) -> None:
    """Without it the kernel itself does, in other words; the step is told before it is taken."""
    asked = [call("unshare", 0), call("io_uring_setup", 8), call("bpf")]

    assert errors(world, *asked) == [EPERM] * 3
    assert errors(world, *asked, flags=("--security-opt", "seccomp=unconfined"))[0] == 0
    assert "allow the system calls of the usual filter alone\nexecute" in world("--explain", "box", "true")
    assert "system calls" not in world("--security-opt", "seccomp=unconfined", "--explain", "box", "true")


@pytest.mark.parametrize("flags", [(), ("-i",), ("--init=false",), ("--network", "none")])
def test_the_init_is_filtered_too(world: World, flags: tuple[str, ...]) -> None:
    """And every child."""
    seen = world.shell("grep -h ^Seccomp: /proc/1/status /proc/self/status", *flags)

    assert seen.split() == ["Seccomp:", "2"] * 2


def test_a_32_bit_program_is_told_so(world: World) -> None:
    """It would make the calls of another architecture."""

    def fill(folder: Path) -> None:
        (folder / "old").write_bytes(b"\x7fELF\x01\x01\x01".ljust(52, b"\0"))
        (folder / "old").chmod(0o755)

    world.image(fill)

    done = world.call("box", "/old")

    assert done.returncode == 126
    assert "it is of 32 bits" in done.stderr and "seccomp=unconfined" in done.stderr


def test_threads_start(world: World, tmp_path: Path) -> None:
    """clone3 is answered as by an old kernel: glibc and musl call clone then (R33)."""
    glibc = build(tmp_path, "glibc", THREADS, "-static", "-pthread")
    source = tmp_path / "threads.c"
    source.write_text(THREADS)
    subprocess.run([peers.require("musl-gcc"), "-static", "-o", tmp_path / "musl", source], check=True)

    def fill(folder: Path) -> None:
        shutil.copy(glibc, folder / "glibc")
        shutil.copy(tmp_path / "musl", folder / "musl")

    world.image(fill)

    assert world.shell("/glibc && /musl") == "20\n20\n"


def test_python_runs(world: World) -> None:
    """Threads, processes, sockets and files, in a program of the machine's that nobody made for this."""
    program = (
        "import subprocess, threading, socket, tempfile, multiprocessing.shared_memory as m, select, os, sys\n"
        "t = threading.Thread(target=print, args=['thread']); t.start(); t.join()\n"
        "print(subprocess.run([sys.executable, '-c', 'print(\"process\")'], capture_output=True, text=True).stdout, end='')\n"
        "a, b = socket.socketpair(); a.send(b'socket'); print(b.recv(9).decode())\n"
        "e = select.epoll(); e.register(a); s = m.SharedMemory(create=True, size=9); s.close(); s.unlink()\n"
        "print(os.sched_getaffinity(0) and 'end')\n"
    )
    python = peers.require("/usr/bin/python3")

    def fill(folder: Path) -> None:
        for name in ("lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")

    world.image(fill)

    assert world("-v", "/usr:/usr:ro", "box", python, "-I", "-c", program).split() == ["thread", "process", "socket", "end"]


def write_profile(world: World, name: str = "profile", **fields: object) -> str:
    """A profile that allows everything but what `fields` say."""
    path = world.folder(name) / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **fields}))
    return f"seccomp={path}"


def test_a_profile_of_the_callers(world: World) -> None:
    """It decides about the program; other architectures stay shut."""
    rule = {"names": ["mkdir", "mkdirat", "of_tomorrow"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    option = write_profile(world, syscalls=[rule])

    found = errors(world, call("mkdirat", 0), call("unshare", 0), "i386,20", flags=("--security-opt", option))

    assert found == [95, 0, ENOSYS]
    assert f"allow the system calls of `{option[8:]}` alone" in world("--security-opt", option, "--explain", "box", "true")


def test_a_profile_that_forbids_the_inits_calls(world: World) -> None:
    """It is for the program alone: whoever made it has looked at that."""
    rule = {"names": ["clone", "fork", "rt_sigtimedwait", "setpgid", "rt_sigaction"], "action": "SCMP_ACT_KILL_PROCESS"}
    option = write_profile(world, syscalls=[rule])

    assert errors(world, call("getpid"), flags=("--security-opt", option)) == [0]
    assert world.call("--security-opt", option, "box", "/caller", call("setpgid")).returncode == 128 + 31  # SIGSYS


def test_a_profile_that_forbids_the_start(world: World) -> None:
    """The program is not started, and jettison says so."""
    option = write_profile(world, syscalls=[{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}])

    done = world.call("--security-opt", option, "box", "true")

    assert (done.returncode, "cannot execute" in done.stderr) == (126, True), done.stderr


@pytest.mark.parametrize("option", ["seccomp=/absent", "seccomp=/dev/null", "no-new-privileges:false", "apparmor=x", "seccomp"])
def test_an_option_that_cannot_be_had(world: World, option: str) -> None:
    """Nothing is started without it."""
    done = world.call("--security-opt", option, "box", "echo", "started")

    assert done.returncode == 125 and "started" not in done.stdout and done.stderr.startswith("error: ")


def test_no_new_privileges_may_be_asked_for(world: World) -> None:
    """As it holds anyway."""
    assert world.shell("grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges").split()[1] == "1"


# Docker's own reading of the same profiles


def equal(index: int, value: int, op: str = "EQ", second: int = 0) -> dict[str, object]:
    """A condition."""
    return {"index": index, "value": value, "valueTwo": second, "op": f"SCMP_CMP_{op}"}


def refusal(errno: int, *arguments: dict[str, object], **fields: object) -> dict[str, object]:
    """A rule for getpriority(2), which has two arguments and does nothing."""
    return {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": arguments, **fields}


PROFILES: dict[str, list[dict[str, object]]] = {
    "one argument": [refusal(101, equal(0, 1))],
    "two arguments": [refusal(101, equal(0, 1), equal(1, 2))],
    "the same argument twice": [refusal(101, equal(0, 1, "NE"), equal(0, 2, "NE"))],
    "two rules": [refusal(101, equal(0, 1)), refusal(101, equal(0, 2))],
    "a rule for all after one for some": [refusal(101, equal(0, 1)), refusal(102)],
    "a rule for all before one for some": [refusal(102), refusal(101, equal(0, 1))],
    "less": [refusal(101, equal(0, 2, "LT"))],
    "at most": [refusal(101, equal(0, 2, "LE"))],
    "more": [refusal(101, equal(0, 1 << 32, "GT"))],
    "at least": [refusal(101, equal(0, 2, "GE"))],
    "some bits": [refusal(101, equal(0, 3, "MASKED_EQ", 1))],
    "by architecture": [refusal(101, includes={"arches": ["amd64"]}), refusal(102, includes={"arches": ["s390x"]})],
    "by kernel": [refusal(101, includes={"minKernel": "99.0"}), refusal(102, includes={"minKernel": "4.8"})],
    "what is the default anyway": [{"names": ["getpriority"], "action": "SCMP_ACT_ALLOW"}, refusal(101, equal(0, 1))],
}
QUESTIONS = [call("getpriority", first, second) for first in (0, 1, 2, 3, 1 << 32, (1 << 32) + 1) for second in (0, 2)]


@pytest.mark.peer
@pytest.mark.parametrize("world", ["root"], indirect=True)
def test_docker_reads_profiles_as_we_do(world: World, docker: Docker, caller: Path, tmp_path: Path) -> None:
    """The same answers to the same calls."""
    archive = tmp_path / "caller.tar"
    subprocess.run(["tar", "-cf", archive, "-C", caller.parent, "caller"], check=True)
    docker("import", str(archive), "caller:1")

    for name, rules in PROFILES.items():
        option = write_profile(world, name, syscalls=rules)
        theirs = docker("run", "--rm", "--network", "none", "--security-opt", option, "caller:1", "/caller", *QUESTIONS)
        ours = errors(world, *QUESTIONS, flags=("--security-opt", option))
        assert [errno if errno > 100 else 0 for errno in ours] == [
            errno if errno > 100 else 0 for errno in map(int, theirs.split())
        ], name
