"""The system calls that the standard library lacks, as functions that raise OSError.

`ctypes` would cost 2.5 ms of a start of 20; its core, `_ctypes`, costs 0.2. The calls of Linux 5.1 and later have one number
on every architecture; the older ones are called by their name in the C library.
"""

import _ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# clone(2)
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_SIGCHLD = 17

# mount(2), mount_setattr(2)
MS_NOSUID = 0x2
MS_NODEV = 0x4
MNT_DETACH = 0x2
MS_PRIVATE = 0x40000
ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_NOEXEC = 0x8

# prctl(2), capset(2), keyctl(2)
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_EINVAL = 22
_AF_INET = 2
_SOCK_DGRAM = 2
_STAT_ARGUMENTS = (48, 49)  # proc_pid_stat(5): arg_start, arg_end
_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEYCTL = {"x86_64": 250, "i686": 288, "armv7l": 311, "ppc64le": 271, "s390x": 280}
_SECCOMP = {"x86_64": 317, "i686": 354, "aarch64": 277}
_SECCOMP_SET_MODE_FILTER = 1
_KEYCTL_GENERIC = 219  # aarch64, riscv64, loongarch64: include/uapi/asm-generic/unistd.h

# include/uapi/asm-generic/unistd.h
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_CLONE3 = 435
_OPENAT2 = 437
_MOUNT_SETATTR = 442

_DESCRIPTOR_LIMIT = (1 << 31) - 1
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_FROM_EMPTY_PATH = 0x4
_MOVE_TO_EMPTY_PATH = 0x40
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10


class _Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Word(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """A register: an integer, or the address of bytes."""

    _type_ = "P"


class _Address(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """Where bytes are, for as long as this lives."""

    _type_ = "z"


class _Function(_ctypes.CFuncPtr):
    """Called with the interpreter's lock held: a fork by `clone` finds it in a known state."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO | _ctypes.FUNCFLAG_PYTHONAPI
    _restype_ = _Int


class _LongFunction(_ctypes.CFuncPtr):
    _flags_ = _Function._flags_
    _restype_ = _Long


_LIBC = _ctypes.dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]  # None: what is loaded already
_FUNCTIONS: "dict[str, _ctypes.CFuncPtr]" = {}


def _function(name: str) -> "_ctypes.CFuncPtr":
    function = (_LongFunction if name == "syscall" else _Function)(_ctypes.dlsym(_LIBC, name))
    function.argtypes = (_Word,) * 7
    return function


def _call(name: str, *words: "int | bytes | None") -> int:
    """Call a function of the C library whose result is -1 for an error. Errors: OSError."""
    function = _FUNCTIONS.get(name) or _FUNCTIONS.setdefault(name, _function(name))
    result: int = function(*words, *(0,) * (7 - len(words)))
    if result == -1:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _words(*numbers: int) -> bytes:
    """A C structure of 64-bit fields."""
    return b"".join(number.to_bytes(8, sys.byteorder) for number in numbers)


def clone(namespaces: int) -> int:
    """fork(2) into new namespaces: the child's process id, 0 in the child. The caller has one thread alone."""
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    return _call("syscall", _CLONE3, _words(namespaces, 0, 0, 0, _SIGCHLD, 0, 0, 0), 64)


def mount(source: str, target: str, fstype: str, flags: int = 0, options: str = "") -> None:
    """mount(2), for targets that nobody else can have touched."""
    _call("mount", os.fsencode(source), os.fsencode(target), fstype.encode(), flags, os.fsencode(options))


def new_filesystem(fstype: str, attributes: int, **options: str) -> int:
    """A mount of a new filesystem, not attached anywhere yet: its descriptor. An option without a value is a flag."""
    context = _call("syscall", _FSOPEN, fstype.encode(), 1)
    try:
        for name, value in options.items():
            command = _FSCONFIG_SET_STRING if value else _FSCONFIG_SET_FLAG
            _call("syscall", _FSCONFIG, context, command, name.encode(), value.encode() if value else None, 0)
        _call("syscall", _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return _call("syscall", _FSMOUNT, context, 1, attributes)
    finally:
        os.close(context)


def clone_tree(folder: int, path: str = "", recursive: bool = False) -> int:
    """A copy of the mount at `path` below `folder`, not attached anywhere yet: its descriptor."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    return _call("syscall", _OPEN_TREE, folder, os.fsencode(path), flags)


def clone_host_tree(path: str) -> int:
    """A copy of the mounts at and below a path of this machine."""
    return clone_tree(_AT_FDCWD, path, recursive=True)


def attach(tree: int, target: int) -> None:
    """Mount an unattached tree on what `target` is a descriptor of: a path cannot be swapped in between."""
    _call("syscall", _MOVE_MOUNT, tree, b"", target, b"", _MOVE_FROM_EMPTY_PATH | _MOVE_TO_EMPTY_PATH)


def set_attributes(tree: int, attributes: int, recursive: bool = False, propagation: int = 0) -> None:
    """Add attributes to a mount, or to it and all below."""
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    # struct mount_attr: attr_set, attr_clr, propagation, userns_fd
    _call("syscall", _MOUNT_SETATTR, tree, b"", flags, _words(attributes, 0, propagation, 0), 32)


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a path as if `root` were `/`: no link, `..` or /proc/*/fd/* leads out of it."""
    how = _words(flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    return _call("syscall", _OPENAT2, root, os.fsencode(path), how, 24)


def open_without_magic(path: str, flags: int) -> int:
    """Open a path; ELOOP where it leads through a link of /proc that is no path but another process's file."""
    how = _words(flags | os.O_CLOEXEC, 0, _RESOLVE_NO_MAGICLINKS)
    return _call("syscall", _OPENAT2, _AT_FDCWD, os.fsencode(path), how, 24)


def close_others(kept: "Sequence[int]") -> None:
    """Close every descriptor but these."""
    kept = sorted(set(kept))
    for low, high in zip([-1, *kept], [*kept, _DESCRIPTOR_LIMIT], strict=True):
        if high - low > 1:
            os.closerange(low + 1, high)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _call("pivot_root", os.fsencode(new), os.fsencode(old))


def detach(path: str) -> None:
    """Unmount what lies at `path` and all below, also while it is in use."""
    _call("umount2", os.fsencode(path), MNT_DETACH)


def datagram_socket() -> int:
    """A socket for questions about network interfaces, netdevice(7)."""
    return _call("socket", _AF_INET, _SOCK_DGRAM | os.O_CLOEXEC, 0)


def unshare(flags: int) -> None:
    """unshare(2)."""
    _call("unshare", flags)


def set_namespace(descriptor: int, kind: int) -> None:
    """setns(2): enter the namespace that a descriptor is of, if it is of this kind; 0 is any."""
    _call("setns", descriptor, kind)


def set_hostname(name: str) -> None:
    """sethostname(2)."""
    encoded = os.fsencode(name)
    _call("sethostname", encoded, len(encoded))


def set_domainname(name: str) -> None:
    """setdomainname(2)."""
    encoded = os.fsencode(name)
    _call("setdomainname", encoded, len(encoded))


def set_process(option: int, value: int) -> None:
    """prctl(2) of one argument."""
    _call("prctl", option, value)


def reset_personality() -> None:
    """personality(2): Linux as it is, with addresses that nobody can guess."""
    _call("personality", 0)


def set_command_line(text: str) -> None:
    """What others see as this process's command line: as much of `text` as the old one has room for."""
    with open("/proc/self/stat", "rb", 0) as stream:
        fields = stream.read().rpartition(b")")[2].split()
    start, end = (int(fields[number - 3]) for number in _STAT_ARGUMENTS)  # what follows the name is field 3
    _call("strncpy", start, text.encode(), end - start)  # fills up with NUL bytes


def bound_capabilities(kept: int) -> None:
    """Leave these in the bounding set, and none in the ambient one; wants CAP_SETPCAP, so it comes before a change of user."""
    for capability in range(_LAST_CAPABILITY + 1):
        if kept >> capability & 1:
            continue
        try:
            _call("prctl", PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            break  # the kernel knows no more
    _call("prctl", PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def set_capabilities(kept: int) -> None:
    """Leave these in the permitted and the effective set, and none in the inheritable one (CVE-2022-24769)."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
    # struct __user_cap_data_struct, for each half of the numbers: effective, permitted, inheritable
    halves = [(kept >> shift & 0xFFFFFFFF).to_bytes(4, sys.byteorder) for shift in (0, 32)]
    _call("capset", header, b"".join(half * 2 + bytes(4) for half in halves))


def set_filter(program: bytes, flags: int = 0) -> None:
    """seccomp(2): let a program decide about every system call from here on."""
    address = _Address(program)
    # struct sock_fprog: how many instructions, where they are
    _call("syscall", _SECCOMP[os.uname().machine], _SECCOMP_SET_MODE_FILTER, flags, _words(len(program) // 8) + bytes(address))


def new_session_keyring() -> None:
    """Leave the caller's session keyring behind. Where the kernel has none, there is nothing to leave."""
    number = _KEYCTL.get(os.uname().machine, _KEYCTL_GENERIC)
    try:
        _call("syscall", number, _KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError:
        return


def signal_descriptor(signals: "set[int]") -> int:
    """A descriptor to read blocked signals from: signalfd_siginfo structures of 128 bytes."""
    mask = 0
    for signal in signals:
        mask |= 1 << signal - 1
    return _call("signalfd", -1, _words(mask) + bytes(120), os.O_CLOEXEC | os.O_NONBLOCK)
