"""The plan: what makes a process's world, as a list of operations in the order of the start. Pure: nothing is done here."""

from jettison.sandbox import syscalls
from jettison.sandbox.departure import (
    CommandLine,
    Descriptors,
    Hostname,
    Identity,
    Loopback,
    NoUserNamespaces,
    Privileges,
    Session,
    WorkingDirectory,
)
from jettison.sandbox.operations import (
    Bind,
    Cgroups,
    Dev,
    DevFilesystem,
    File,
    Folder,
    Masked,
    OverlayRoot,
    Pivot,
    Proc,
    ReadOnly,
    ReadOnlyRoot,
    Sys,
    Terminals,
    Tmpfs,
    Workspace,
    Writable,
)
from jettison.sandbox.processors import HiddenHeat
from jettison.sandbox.program import Execute, Program
from jettison.sandbox.seccomp import UNCONFINED, SystemCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.oci.process import Process
    from jettison.sandbox.enter import Operation
    from jettison.sandbox.limits import Limits
    from jettison.sandbox.memory import MemoryFolder
    from jettison.sandbox.names import Names
    from jettison.sandbox.seccomp import Filter
    from jettison.sandbox.volumes import Volume

# What docker hides and protects, and why it had to: moby's and podman's defaults, CVE-2022-0492, the RAPL side channels.
HIDDEN_PROC = (
    "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats",
)  # fmt: skip
READ_ONLY_PROC = ("bus", "fs", "irq", "sys", "sysrq-trigger")
HIDDEN_SYS = (
    "firmware", "devices/virtual/powercap", "fs/selinux",
    # Filesystems of their own, which a bind of the machine's /sys would show.
    "fs/bpf", "fs/pstore", "kernel/config", "kernel/debug", "kernel/security", "kernel/tracing",
)  # fmt: skip

_NAMESPACES = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
)


class Options:
    """How a world differs from the usual one; the words are those of `docker run`."""

    def __init__(
        self,
        network: str = "host",
        hostname: str = "",
        read_only: bool = False,
        interactive: bool = False,
        terminal: bool = False,
        init: bool = True,
        mounts: "Sequence[Bind | Tmpfs]" = (),
        anonymous_volumes: "Sequence[str]" = (),
        memory: "Sequence[MemoryFolder]" = (),
        names: "Names | None" = None,
        volumes: "Sequence[Volume]" = (),
        system_calls: "Filter | None" = None,
        limits: "Limits | None" = None,
    ) -> None:
        self.network = network
        self.hostname = hostname
        self.read_only = read_only
        self.interactive = interactive
        self.terminal = terminal
        self.init = init
        self.mounts = tuple(mounts)
        self.volumes = tuple(volumes)  # those of the mounts that are of the store
        self.anonymous_volumes = tuple(anonymous_volumes)
        self.memory = tuple(memory)
        self.names = names
        self.added_groups: tuple[int, ...] = ()
        self.system_calls = system_calls  # None: the usual filter
        self.limits = limits

    @property
    def has_own_network(self) -> bool:
        return self.network == "none"


class Place:
    """What a plan needs to know of this machine: the unpacked layers, lowest first; an empty folder; files of /etc."""

    def __init__(
        self,
        layers: "Sequence[str]",
        workspace: str,
        files: "Sequence[tuple[str, bytes]]" = (),
        terminal_size: "tuple[int, int] | None" = None,
    ) -> None:
        self.layers = tuple(layers)
        self.workspace = workspace
        self.files = tuple(files)
        self.terminal_size = terminal_size


def namespaces(options: Options) -> int:
    """The namespaces that the world has of its own, as clone(2) flags. A network of its own costs most, so only when asked."""
    return _NAMESPACES | (syscalls.CLONE_NEWNET if options.has_own_network else 0)


def plan(process: "Process", options: Options, place: Place) -> "list[Operation]":
    """The start, step by step. The parent has made the namespaces; the last operation becomes the program."""
    user = process.user
    limits = options.limits
    memory = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
    return [
        # Nothing of the caller's is left within reach before the first look at the image.
        Descriptors(),
        Identity(),
        *(limits.at_first() if limits else []),
        Session(options.interactive or options.terminal),
        CommandLine(),
        *([Hostname(options.hostname)] if options.hostname else []),
        # The image's files.
        Workspace(place.workspace),
        OverlayRoot(place.layers),
        *_filled(options),
        *(File(path, content) for path, content in place.files),
        Folder(process.cwd),
        *_volumes(options),
        # The kernel's filesystems. The settings are written before they become read-only.
        Proc(),
        *([Loopback()] if options.has_own_network else []),
        NoUserNamespaces(),
        *(limits.settings() if limits else []),
        ReadOnly("proc", READ_ONLY_PROC),
        Masked("proc", HIDDEN_PROC),
        Sys(options.has_own_network),
        Masked("sys", HIDDEN_SYS),
        HiddenHeat(),
        Cgroups(),
        Dev(),
        Terminals(),
        DevFilesystem("shm", "tmpfs", memory, mode="1777", size=str(limits.shm_bytes) if limits else "65536k"),
        DevFilesystem("mqueue", "mqueue", memory),
        # The caller's own wishes.
        *options.mounts,
        *_memory(process, options),
        *([ReadOnlyRoot()] if options.read_only else []),
        *_terminal(process, options, place),
        # The machine's files are gone; then its privileges; then jettison itself.
        Pivot(),
        WorkingDirectory(process.cwd),
        Program(process.argv[0], _search_path(process)),
        *_added_groups(options),
        *(limits.at_last() if limits else []),
        Privileges(user.uid, user.gid, user.groups),
        *([] if options.system_calls is UNCONFINED else [SystemCalls(options.system_calls)]),
        Execute(process.argv, process.env, options.init, options.terminal),
    ]


def _volumes(options: Options) -> "list[Operation]":
    """In a world that may be written everything is as throw-away as an anonymous volume: only the folder is needed."""
    kind = Writable if options.read_only else Folder
    return [kind(path) for path in options.anonymous_volumes]


def _filled(options: Options) -> "list[Operation]":
    """While there is nothing but the image: no file of ours, nothing of the kernel's, no other mount."""
    if not options.volumes:
        return []
    from jettison.sandbox.volumes import Fill

    return [Fill(volume) for volume in options.volumes]


def _memory(process: "Process", options: Options) -> "list[Operation]":
    if not options.memory:
        return []
    from jettison.sandbox.memory import ShowMemory

    return [ShowMemory(folder, process.user.uid, process.user.gid) for folder in options.memory]


def _added_groups(options: Options) -> "list[Operation]":
    if not options.added_groups:
        return []
    from jettison.sandbox.groups import AddedGroups

    return [AddedGroups(options.added_groups)]


def _terminal(process: "Process", options: Options, place: Place) -> "list[Operation]":
    if not options.terminal:
        return []
    from jettison.sandbox.console import Terminal

    return [Terminal(place.terminal_size, process.user.uid)]


def _search_path(process: "Process") -> str:
    return next((text[5:] for text in process.env if text.startswith("PATH=")), "")
