"""Which system calls a world may make, as a table; and the step that makes it so.

A call that does harm is answered with EPERM, as docker answers it. One that nobody here knows is answered with ENOSYS, like
an old kernel does: libraries have another way for that.
"""

from jettison.errors import HostError
from jettison.sandbox import bpf, syscalls
from jettison.sandbox.bpf import ALLOW, ENOSYS, EPERM, Condition, Rule
from jettison.sandbox.calls import Architecture, this_architecture
from jettison.sandbox.capabilities import holds
from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation
from jettison.sandbox.program import NOT_EXECUTABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from jettison.sandbox.enter import World

_HINT = "`--security-opt seccomp=unconfined` starts it without a filter"
_INT = (1 << 32) - 1  # the kernel looks at the lower half of an `int`, whatever is in the upper one
_EAFNOSUPPORT = bpf.ERRNO | 97

# Of the calls that are known, those that are shut. All others may be made.
_SHUT = {
    "mounts and namespaces": (
        "mount umount2 mount_setattr move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick pivot_root chroot"
        " setns unshare"
    ),
    "the machine": (
        "reboot kexec_load kexec_file_load init_module finit_module delete_module swapon swapoff acct quotactl quotactl_fd"
        " syslog sethostname setdomainname settimeofday clock_settime iopl ioperm vhangup sysfs ustat lookup_dcookie"
        " lsm_get_self_attr lsm_set_self_attr lsm_list_modules"
    ),
    "keys, which no namespace divides": "add_key keyctl request_key",
    "parts of the kernel that most attacks begin with": (
        "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register"
    ),
    "files past the way to them": "open_by_handle_at fanotify_init",
    "other processes": "kcmp pidfd_getfd process_madvise",
    "the machine's memory banks": "mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages",
}
# Its flags are behind a pointer, where no filter can look; the C libraries call `clone` instead. The others are too young.
_UNKNOWN = "clone3 file_getattr file_setattr listns uprobe"

# What a capability opens, as in docker's filter: whoever has it may do what the call is for.
_OPENED = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_set_self_attr"
        " lsm_list_modules mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname"
        " sethostname setns syslog umount2 unshare"
    ),
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "init_module finit_module delete_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TIME": "settimeofday clock_settime",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy set_mempolicy mbind set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}

_NAMESPACES = 0x7E020000  # clone(2): CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
# socket(2): UNIX, INET, INET6, NETLINK, PACKET, CAN, BLUETOOTH, XDP. AF_ALG (CVE-2026-31431) and AF_VSOCK are not among them.
_FAMILIES = (1, 2, 10, 16, 17, 29, 31, 44)
# personality(2): Linux, its 32 bits, with the release's name of old; and the question what it is.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)


def _one_of(values: "tuple[int, ...]", otherwise: int) -> "tuple[Rule, ...]":
    return (*(Rule(ALLOW, [Condition(0, "==", value, _INT)]) for value in values), Rule(otherwise))


_CONDITIONAL = {
    "clone": (Rule(ALLOW, [Condition(0, "==", 0, _NAMESPACES)]), Rule(EPERM)),
    "personality": _one_of(_PERSONALITIES, EPERM),
    "socket": _one_of(_FAMILIES, _EAFNOSUPPORT),
}


class Filter:
    """A program for seccomp(2), and who made it. Without a program everything may be called."""

    def __init__(self, name: str, program: bytes, flags: int = 0) -> None:
        self.name = name
        self.program = program
        self.flags = flags

    def install(self) -> None:
        """Let this process, and what it starts, make these calls alone from now on. Errors: Failure."""
        try:
            syscalls.set_filter(self.program, self.flags)
        except OSError as error:
            raise Failure(f"cannot filter system calls: {error.strerror}", _HINT, number=error.errno or 0) from error


UNCONFINED = Filter("unconfined", b"")


def usual(architecture: "Architecture | None" = None, capabilities: int = 0) -> Filter:
    """Our own filter, for this machine's architecture if no other is given. Errors: HostError where there is none."""
    architecture = architecture or known_architecture()
    numbers = architecture.numbers()
    by_number = {numbers[name]: found for name, found in rules(numbers, capabilities).items()}
    return Filter("jettison's", bpf.assemble(architecture, by_number, ENOSYS))


def known_architecture() -> Architecture:
    """This machine's. Errors: HostError where its calls are not known."""
    architecture = this_architecture()
    if architecture is None:
        raise HostError("the system calls of this machine are not known: x86-64 and aarch64 are, and 64 bits", _HINT)
    return architecture


def opens_calls(capabilities: int) -> bool:
    """Whether somebody with these may make more calls."""
    return any(holds(capabilities, name) for name in _OPENED)


def rules(names: "Iterable[str]", capabilities: int = 0) -> "dict[str, tuple[Rule, ...]]":
    """What becomes of each of the calls of an architecture; one that is not in the result is as one that nobody knows."""
    allowed, refused = (Rule(ALLOW),), (Rule(EPERM),)
    known = tuple(names)
    found: dict[str, tuple[Rule, ...]] = dict.fromkeys(known, allowed)
    for group in _SHUT.values():
        found.update((name, refused) for name in group.split() if name in found)
    for name in _UNKNOWN.split():
        found.pop(name, None)
    found.update(_CONDITIONAL)
    for capability, group in _OPENED.items():
        if holds(capabilities, capability):
            found.update((name, allowed) for name in group.split() if name in known)
    return found


class SystemCalls(Operation):
    """The calls that the init and the program may make from here on. What the init does has to be among ours alone: a
    profile of the caller's, and what capabilities open, is for the program, and gets to work right before it does."""

    def __init__(self, profile: "Filter | None", capabilities: int = 0) -> None:
        self.profile = profile
        self.init = usual()
        self.program = profile or (usual(capabilities=capabilities) if opens_calls(capabilities) else self.init)

    def describe(self) -> str:
        return f"allow the system calls of {self.profile.name if self.profile else 'the usual filter'} alone"

    def execute(self, world: "World") -> None:
        _require_64_bits(world.program)
        world.init_filter = self.init
        world.filter = self.program


def _require_64_bits(program: str) -> None:
    """Say it now where a program would end at its first system call."""
    try:
        with open(program, "rb", 0) as stream:
            header = stream.read(5)
    except OSError:
        return  # it may be executable all the same
    if header == b"\x7fELF\x01":  # elf(5): ELFCLASS32
        raise Failure(f"cannot execute `{program}`: it is of 32 bits, whose system calls are shut", _HINT, NOT_EXECUTABLE)
