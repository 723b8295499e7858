"""A program is watched by its system calls, whatever it does, and nothing about it changes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.errors import HostError
from jettison.sandbox import observe as tracer
from jettison.sandbox import observe_record, ptrace
from jettison.sandbox.observe import Watch, observe
from jettison.tree.observation import Observation
from programs import build


def watch(command: str, entry: str = "") -> Observation:
    """What a shell's command did; from the start of the program at `entry` on, if it is given."""

    def run() -> int:
        os.execv("/bin/sh", ["/bin/sh", "-c", command])

    return observe(run, Watch(lambda path: not entry or path == entry))


def start(program: Path, *arguments: str) -> Observation:
    """What a program did."""

    def run() -> int:
        os.execv(str(program), [str(program), *arguments])

    return observe(run, Watch(lambda path: path == str(program)))


def test_a_pipeline_is_followed_through_all_its_programs(tmp_path: Path) -> None:
    """Forks and executions of a shell: what each program touched, and who did it."""
    (tmp_path / "in").write_text("b\na\n")

    seen = watch(f"cat {tmp_path}/in | sort > {tmp_path}/out; ls {tmp_path}/none {tmp_path} >/dev/null 2>&1; exit 3")

    assert seen.status == 3
    assert (tmp_path / "out").read_text() == "a\nb\n"
    assert {"/usr/bin/cat", "/usr/bin/sort", "/usr/bin/ls"} <= seen.executed.keys()
    assert seen.read[f"{tmp_path}/in"] == "/usr/bin/cat"
    assert seen.created[f"{tmp_path}/out"] == "/bin/sh"
    assert seen.listed[f"{tmp_path}"] == "/usr/bin/ls"
    assert f"{tmp_path}/none" in seen.missing


def test_recording_begins_with_the_program(tmp_path: Path) -> None:
    """What the shell in front of the program and the programs beside it touched is none of its."""
    for name in ("before", "own"):
        (tmp_path / name).write_text(name)

    seen = watch(f"cat {tmp_path}/before >/dev/null; head -1 {tmp_path}/own >/dev/null", entry="/usr/bin/head")

    assert set(seen.executed) == {"/usr/bin/head"}
    assert f"{tmp_path}/own" in seen.read
    assert f"{tmp_path}/before" not in {**seen.read, **seen.looked}


def test_the_same_files_are_seen_as_by_strace(tmp_path: Path, require: Callable[[str], str]) -> None:
    """strace sees the same files of a Python program opened and executed."""
    command = f"{require('git')} init -q {tmp_path}/repository; /usr/bin/python3 -I -c 'import json, decimal'"
    log = tmp_path / "log"
    traced = ["open", "openat", "execve", "creat"]
    subprocess.run(
        [require("strace"), "-f", "-qq", "-o", log, "-e", f"trace={','.join(traced)}", "sh", "-c", command], check=True
    )
    lines = [line for line in log.read_text().splitlines() if "= -1" not in line and 'AT_FDCWD, "/' in line]
    opened = {line.split('"')[1].rstrip("/") for line in lines if "O_WRONLY" not in line and "O_RDWR" not in line}
    subprocess.run(["rm", "-r", tmp_path / "repository"], check=True)

    seen = watch(command)

    ours = {*seen.read, *seen.listed, *seen.created}
    assert len(opened) > 50
    assert {path for path in opened if not path.startswith(("/proc", "/sys", "/dev"))} - ours == set()


def test_a_library_opened_by_a_computed_name_is_seen(tmp_path: Path) -> None:
    """No reader of files finds this name."""
    build(tmp_path, "libplugin7.so", "int seven(void) { return 7; }", "-shared", "-fPIC")
    program = build(
        tmp_path,
        "host",
        r"""
        #include <dlfcn.h>
        #include <stdio.h>
        int main(int argc, char **argv) {
            char name[4096];
            snprintf(name, sizeof name, "%s/lib%s%d.so", argv[1], "plugin", 6 + argc / 2);
            int (*seven)(void) = (int (*)(void))dlsym(dlopen(name, RTLD_NOW), "seven");
            return seven();
        }
        """,
    )

    seen = start(program, str(tmp_path))

    assert seen.status == 7
    assert f"{tmp_path}/libplugin7.so" in seen.read


STORM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
static char *self;
static void *opens(void *argument) {
    for (int i = 0; i < 50; i++) { close(open("/etc/hostname", O_RDONLY)); struct stat s; stat("/etc/passwd", &s); }
    return NULL;
}
static void *executes(void *argument) { execl(self, self, "last", NULL); return NULL; }
int main(int argc, char **argv) {
    self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "last")) { close(open("/etc/debian_version", O_RDONLY)); return 5; }
    if (argc > 1) return atoi(argv[1]);
    int failures = 0;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, opens, NULL);
        int status = 0;
        pid_t child = round % 2 ? vfork() : fork();
        if (child == 0) { execl(self, self, "3", NULL); _exit(9); }
        waitpid(child, &status, 0);
        failures += WEXITSTATUS(status) != 3;
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    }
    if (failures) return 1;
    pthread_t thread, other;
    pthread_create(&other, NULL, opens, NULL);
    pthread_create(&thread, NULL, executes, NULL);  /* a thread that is not the first becomes the process */
    for (;;) pause();
}
"""


def test_threads_forks_and_executions_keep_their_meaning(tmp_path: Path) -> None:
    """A storm of them: each child's status arrives, and the thread that executes takes the process over."""
    program = build(tmp_path, "storm", STORM, "-pthread")

    seen = start(program)

    assert seen.status == 5
    assert {"/etc/hostname", "/etc/debian_version"} <= seen.read.keys()
    assert "/etc/passwd" in seen.looked


SIGNALS = r"""
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int usr1, chld;
static void count(int number) { if (number == SIGUSR1) usr1++; else chld++; }
int main(void) {
    signal(SIGUSR1, count);
    signal(SIGCHLD, count);
    raise(SIGUSR1);
    pid_t child = fork();
    if (child == 0) { raise(SIGSTOP); _exit(7); }
    int status;
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) return 1;
    if (waitpid(child, &status, WNOHANG) != 0) return 2;  /* it stays stopped */
    kill(child, SIGCONT);
    if (waitpid(child, &status, WCONTINUED) != child || !WIFCONTINUED(status)) return 3;
    if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 4;
    child = fork();
    if (child == 0) { raise(SIGABRT); _exit(0); }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) return 5;
    return usr1 == 1 && chld >= 2 ? 42 : 6;
}
"""


def test_signals_and_stops_arrive_unchanged(tmp_path: Path) -> None:
    """Handlers run once for each signal; a child that stops itself stays so until it is continued."""
    program = build(tmp_path, "signals", SIGNALS)

    assert start(program).status == 42


def test_a_death_by_a_signal_is_told_as_a_shell_tells_it() -> None:
    """128 and the signal's number."""
    assert watch("kill -SEGV $$").status == 128 + signal.SIGSEGV


def test_paths_are_told_from_where_the_process_is(tmp_path: Path) -> None:
    """Relative to its folder, and to the folders that it has open."""
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/file").write_text("x")
    program = "import os; d = os.open('deep', os.O_RDONLY); os.chdir('deep/er'); open('file'); os.stat('er/file', dir_fd=d)"

    seen = watch(f'cd {tmp_path} && exec /usr/bin/python3 -I -c "{program}"')

    assert f"{tmp_path}/deep/er/file" in seen.read


def test_changes_are_told_from_creations(tmp_path: Path) -> None:
    """What was there before is changed; renaming, linking and removing are changes."""
    for name in ("old", "moved", "gone"):
        (tmp_path / name).write_text(name)

    seen = watch(f"cd {tmp_path}; echo >> old; echo > new; mv moved target; rm gone; mkdir folder; ln -s x link; chmod 600 old")

    assert {f"{tmp_path}/{name}" for name in ("old", "moved", "gone")} <= seen.changed.keys()
    assert {f"{tmp_path}/{name}" for name in ("new", "target", "folder", "link")} <= seen.created.keys()


def test_sockets_are_told(tmp_path: Path) -> None:
    """A connection through the filesystem, not one through the network."""
    program = "from socket import *; s = socket(AF_UNIX); s.bind('s'); s.listen(); socket(AF_UNIX).connect('s')"

    seen = watch(f'cd {tmp_path} && exec /usr/bin/python3 -I -c "{program}"')

    assert set(seen.connected) == {f"{tmp_path}/s"}
    assert f"{tmp_path}/s" in seen.created


def test_calls_of_32_bit_programs_are_read_as_such(tmp_path: Path) -> None:
    """On a 64-bit machine the number of their `open` is that of another call."""
    if os.uname().machine != "x86_64":
        pytest.skip("32-bit calls of this machine are not known")
    program = build(
        tmp_path,
        "old",
        r"""
        #define _GNU_SOURCE
        #include <string.h>
        #include <sys/mman.h>
        int main(void) {
            char *path = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
            strcpy(path, "/etc/hostname");
            long result;
            __asm__ volatile("int $0x80" : "=a"(result) : "a"(5), "b"(path), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
            return result < 0;
        }
        """,
    )

    seen = start(program)

    assert (seen.status, "/etc/hostname" in seen.read) == (0, True)


def test_what_runs_on_is_ended(tmp_path: Path) -> None:
    """A process that the command leaves behind does not outlive it."""
    began = time.monotonic()

    seen = watch(f"sleep 600 & echo $! > {tmp_path}/pid")

    assert time.monotonic() - began < 10
    assert seen.status == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


SERVER = (
    "import signal, sys, time; signal.signal(15, lambda *_: (open('/etc/hostname').read(), sys.exit(4))); print('up', flush=True)"
)


def test_a_server_ends_by_sigterm_and_what_was_seen_is_kept() -> None:
    """Servers do not end by themselves: whoever watches them ends them as their manager would."""
    program = f"""
import os, sys
from jettison.sandbox.observe import Watch, observe
run = lambda: os.execv("/usr/bin/python3", ["python3", "-I", "-c", {SERVER + "; [time.sleep(0.1) for _ in range(6000)]"!r}])
seen = observe(run, Watch(lambda path: True))
print(seen.status, "/etc/hostname" in seen.read)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=30)[0] == "4 True\n"
    assert process.returncode == 0


def test_nothing_is_left_when_the_caller_is_killed(tmp_path: Path) -> None:
    """The observer dies with its parent, and the observed with it."""
    program = f"""
import os
from jettison.sandbox.observe import Watch, observe
command = "echo $$ > {tmp_path}/pid; exec sleep 600"
observe(lambda: os.execv("/bin/sh", ["sh", "-c", command]), Watch(lambda path: True))
"""
    process = subprocess.Popen([sys.executable, "-c", program])
    for _ in range(200):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.05)

    process.kill()
    process.wait()

    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    pytest.fail("the observed program outlived its observer")


def test_other_children_of_the_caller_are_left_alone() -> None:
    """A child that the caller started before is the caller's to wait for, and a second thread does not disturb."""
    child = subprocess.Popen(["sleep", "0.2"])
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert watch("sleep 0.5; exit 2").status == 2
    finally:
        stop.set()
        thread.join()

    assert child.wait() == 0


def test_many_paths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that looks at endlessly many paths fills no memory: recording ends, and is said to have ended."""
    monkeypatch.setattr(tracer, "Record", lambda: observe_record.Record(path_limit=500))

    seen = watch("exec /usr/bin/python3 -I -c 'import os\nfor n in range(5000): os.path.exists(f\"/nothing/{n}\")'")

    assert seen.status == 0
    assert len(seen.missing) <= 500
    assert any("only the first" in text for text in seen.notices)


def test_endless_forks_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that forks without end is killed with all its children."""
    monkeypatch.setattr(tracer, "TASK_LIMIT", 100)

    seen = watch("while :; do sleep 600 & done")

    assert any("more than 100" in text for text in seen.notices)


def test_a_machine_without_ptrace_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error with the next move, and nothing was run."""

    def refuse(pid: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(ptrace, "seize", refuse)

    with pytest.raises(HostError, match="cannot observe a program: Operation not permitted"):
        watch("exit 0")
