"""The usual filter's decisions."""

import pytest

from bpf_machine import answer
from jettison.errors import HostError
from jettison.sandbox import seccomp
from jettison.sandbox.bpf import ALLOW, ENOSYS, EPERM, ERRNO
from jettison.sandbox.calls import ARCHITECTURES
from jettison.sandbox.capabilities import EVERY, NAMES, USUAL
from jettison.sandbox.seccomp import SystemCalls, known_architecture, usual

EVERYWHERE = pytest.mark.parametrize("name", ARCHITECTURES)
NEW_USERS, THREAD = 0x10000000, 0x3D0F00
EAFNOSUPPORT = ERRNO | 97


def decision(name: str, call: str, *arguments: int) -> int:
    """What the filter of an architecture answers."""
    architecture = ARCHITECTURES[name]
    return answer(usual(architecture).program, architecture.numbers()[call], arguments, architecture.audit)


@EVERYWHERE
@pytest.mark.parametrize(
    "call",
    "read write openat close mmap execve exit_group rt_sigreturn rt_sigtimedwait restart_syscall wait4 kill futex ioctl prctl"
    " seccomp statx set_robust_list getrandom memfd_create pidfd_open openat2 close_range faccessat2 epoll_pwait2 io_setup"
    " rseq ptrace process_vm_readv landlock_restrict_self mknodat adjtimex cachestat fchmodat2 renameat2 mseal".split(),
)
def test_what_programs_need(name: str, call: str) -> None:
    """Ordinary calls are allowed, whatever their arguments."""
    assert decision(name, call, *[(1 << 64) - 1] * 6) == ALLOW


@EVERYWHERE
@pytest.mark.parametrize("call", " ".join(seccomp._SHUT.values()).split())
def test_what_does_harm(name: str, call: str) -> None:
    """Refused, as by docker; unless the architecture has no such call."""
    if call in ARCHITECTURES[name].numbers():
        assert decision(name, call) == EPERM


@EVERYWHERE
def test_every_word_of_the_table_is_a_call(name: str) -> None:
    """A mistyped one would be open."""
    known = {call for architecture in ARCHITECTURES.values() for call in architecture.numbers()}

    assert {*" ".join(seccomp._SHUT.values()).split(), *seccomp._UNKNOWN.split(), *seccomp._CONDITIONAL} <= known
    assert set(seccomp._CONDITIONAL) <= set(ARCHITECTURES[name].numbers())


@EVERYWHERE
def test_what_nobody_knows(name: str) -> None:
    """Like an old kernel, so that libraries take their other way: clone3 first of all."""
    architecture = ARCHITECTURES[name]
    program = usual(architecture).program
    known = set(architecture.numbers().values())

    assert {decision(name, call) for call in seccomp._UNKNOWN.split() if call in architecture.numbers()} == {ENOSYS}
    assert {answer(program, number, (), architecture.audit) for number in range(2000) if number not in known} == {ENOSYS}
    assert answer(program, 0x40000000, (), architecture.audit) == ENOSYS
    assert answer(program, 1, (), 0x40000003) == ENOSYS


@EVERYWHERE
@pytest.mark.parametrize(
    ("call", "argument", "expected"),
    [
        ("clone", 17, ALLOW),
        ("clone", THREAD, ALLOW),
        *(("clone", 17 | 1 << bit, EPERM) for bit in (17, 25, 26, 27, 28, 29, 30)),
        ("clone", THREAD | NEW_USERS, EPERM),
        *(("socket", family, ALLOW) for family in (1, 2, 10, 16, 17)),
        *(("socket", family, EAFNOSUPPORT) for family in (0, 21, 30, 38, 40, 46, 1 << 31)),
        # The kernel looks at the lower half alone; what compares 64 bits lets these two through.
        ("socket", (1 << 32) | 38, EAFNOSUPPORT),
        ("socket", (1 << 32) | 40, EAFNOSUPPORT),
        ("personality", 0, ALLOW),
        ("personality", 0xFFFFFFFF, ALLOW),
        ("personality", 0x20008, ALLOW),
        ("personality", 0x0040000, EPERM),  # ADDR_NO_RANDOMIZE
        ("personality", 0x0100000, EPERM),  # MMAP_PAGE_ZERO
    ],
)
def test_arguments(name: str, call: str, argument: int, expected: int) -> None:
    """Namespaces, address families and personalities are shut."""
    assert decision(name, call, argument) == expected


def test_an_unknown_machine_is_no_open_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no filter can be made, nothing starts without being told so."""
    monkeypatch.setattr(seccomp, "this_architecture", lambda: None)

    with pytest.raises(HostError) as caught:
        known_architecture()

    assert "seccomp=unconfined" in caught.value.hint


def test_the_step_says_whose_filter_it_is() -> None:
    """Ours, or the caller's."""
    assert SystemCalls(None).describe() == "allow the system calls of the usual filter alone"
    assert "`p.json`" in SystemCalls(seccomp.Filter("`p.json`", b"x")).describe()


@EVERYWHERE
def test_capabilities_open_what_they_are_for(name: str) -> None:
    """And nothing else; what no capability opens stays shut, as with docker."""
    architecture = ARCHITECTURES[name]
    numbers = architecture.numbers()

    def open_calls(capabilities: int) -> set[str]:
        program = usual(architecture, capabilities).program
        return {call for call in numbers if answer(program, numbers[call], (1 << 17,), architecture.audit) == ALLOW}

    before = open_calls(USUAL)
    added = {capability: open_calls(1 << NAMES.index(capability)) - before for capability in NAMES}

    assert before == open_calls(0)
    assert added["SYS_CHROOT"] == {"chroot"}
    assert added["SYS_PTRACE"] == {"kcmp", "pidfd_getfd", "process_madvise"}
    assert {"mount", "umount2", "unshare", "clone", "clone3", "setns"} <= added["SYS_ADMIN"]
    assert {capability for capability in NAMES if not added[capability]} >= {"CHOWN", "NET_ADMIN", "NET_RAW", "MKNOD", "SETUID"}
    assert not open_calls(EVERY) & {"keyctl", "add_key", "io_uring_setup", "userfaultfd", "kexec_load", "swapon", "pivot_root"}
