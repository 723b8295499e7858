"""Programs that do not want to be watched, or that want to harm who watches: the record may be wrong, nothing else."""

import os
import signal
from pathlib import Path

import pytest

from jettison.errors import HostError
from jettison.sandbox.observe import Watch, observe
from jettison.tree.observation import Observation
from programs import build


def start(program: Path, *arguments: str) -> Observation:
    """What a program did."""

    def run() -> int:
        os.execv(str(program), [str(program), *arguments])

    return observe(run, Watch(lambda path: path == str(program)))


POINTERS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    long bad[] = {0, 1, 4095, -1, -4096, 0x7fffffffffff, 0x800000000000, 0x4141414141414141, (long)0x8000000000000000};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        syscall(SYS_openat, AT_FDCWD, bad[i], 0, 0);
        syscall(SYS_execve, bad[i], bad[i], bad[i]);
        syscall(SYS_execveat, -1, bad[i], 0, 0, 0);
        syscall(SYS_connect, 0, bad[i], 110);
        syscall(SYS_connect, 0, bad[i], -1);
        syscall(SYS_renameat2, bad[i], bad[i], bad[i], bad[i], bad[i]);
        syscall(437, bad[i], "/etc/hostname", bad[i], 24);
        syscall(SYS_statx, bad[i], "name", 0, 0, 0);
        syscall(SYS_openat, bad[i], "name", 0, 0);
    }
    /* a text that ends with the last byte of its page, and one that does not end at all */
    char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    strcpy(page + 4096 - sizeof "/etc/hostname", "/etc/hostname");
    if (open(page + 4096 - sizeof "/etc/hostname", O_RDONLY) < 0) return 1;
    memset(page, '/', 4096);
    if (open(page, O_RDONLY) >= 0) return 2;
    char longest[5000];
    memset(longest, 'a', sizeof longest);
    longest[4999] = 0;
    if (open(longest, O_RDONLY) >= 0) return 3;
    if (open("/tmp/\xff\xfe\n\"\x1b[31m", O_RDONLY) >= 0) return 4;
    if (open("", O_RDONLY) >= 0) return 5;
    return 42;
}
"""


def test_unreadable_pointers_and_strange_names_are_passed_over(tmp_path: Path) -> None:
    """What cannot be read is no path; what is no text is kept byte by byte."""
    program = build(tmp_path, "pointers", POINTERS)

    seen = start(program)

    assert seen.status == 42
    assert "/etc/hostname" in seen.read
    assert os.fsdecode(b'/tmp/\xff\xfe\n"\x1b[31m') in seen.missing


CHANGES = r"""
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
static char path[64] = "/etc/hostname";
static volatile int over;
static void *swaps(void *argument) {
    while (!over) { memcpy(path, "/etc/hostname", 14); memcpy(path, "/etc/passwd\0x", 14); }
    return NULL;
}
int main(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, swaps, NULL);
    for (int i = 0; i < 2000; i++) { int file = open(path, O_RDONLY); if (file >= 0) close(file); }
    over = 1;
    pthread_join(thread, NULL);
    return 42;
}
"""


def test_a_path_that_changes_under_our_eyes_is_survived(tmp_path: Path) -> None:
    """A second thread rewrites the name while the first one uses it: one of the two is recorded, or a mixture."""
    program = build(tmp_path, "changes", CHANGES, "-pthread")

    assert start(program).status == 42


UNTRACED = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) return 1;
    if (ptrace(PTRACE_DETACH, getpid(), 0, 0) == 0) return 2;
    if (getuid() && ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0) return 4;  /* root may stop anybody */
    prctl(PR_SET_DUMPABLE, 0);
    pid_t child = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(open("/etc/hostname", O_RDONLY) >= 0 ? 3 : 7);
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) == 7 ? 42 : 3;
}
"""


def test_nobody_leaves_the_observation(tmp_path: Path) -> None:
    """Neither by asking to, nor by a child that is not to be traced: that one can open nothing."""
    program = build(tmp_path, "untraced", UNTRACED)

    assert start(program).status == 42


def test_a_program_that_kills_its_observer_dies_with_it(tmp_path: Path) -> None:
    """It may, as both are the same user's; it does not go on unobserved."""
    program = build(
        tmp_path,
        "kills",
        r"""
        #include <fcntl.h>
        #include <signal.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            kill(getppid(), SIGKILL);
            sleep(1);
            return open(argv[1], O_CREAT | O_WRONLY, 0600) < 0;
        }
        """,
    )

    with pytest.raises(HostError, match=f"the observer was ended with status {128 + signal.SIGKILL}"):
        start(program, str(tmp_path / "mark"))

    assert not (tmp_path / "mark").exists()


def test_a_program_that_ends_the_way_it_is_told_not_to_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ignores SIGTERM and stopped processes do not keep us waiting."""
    from jettison.sandbox import observe as tracer

    monkeypatch.setattr(tracer, "_PATIENCE_S", 0.5)
    program = build(
        tmp_path,
        "stays",
        r"""
        #include <signal.h>
        #include <unistd.h>
        int main(void) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            if (fork()) return 9;
            setsid();
            if (!fork()) raise(SIGSTOP);
            for (;;) pause();
        }
        """,
    )

    assert start(program).status == 9
