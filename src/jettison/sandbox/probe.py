"""A program that tells what a program can do where it is: in a world of jettison's, in docker's container, anywhere.

It is packed and run by itself, so it imports the standard library alone. Its arguments are system calls, `NAME=NUMBER`; it prints
JSON. Nothing that it tries does harm where it succeeds: calls get arguments that the kernel refuses, each in a child of its own;
files are opened for writing, and not written.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable, Iterator

# capabilities(7), by their numbers
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST"
    " NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE"
    " SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM"
    " BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
SETS = {"effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh", "bounding": "CapBnd", "ambient": "CapAmb"}

# What other runners hide, each for a reason.
PLACES = (
    *(f"/proc/{name}" for name in ("acpi", "asound", "interrupts", "kallsyms", "kcore", "keys", "kmsg", "latency_stats")),
    *(f"/proc/{name}" for name in ("sched_debug", "scsi", "timer_list", "timer_stats")),
    *(f"/sys/{name}" for name in ("firmware", "devices/virtual/powercap", "fs/selinux", "fs/bpf", "fs/pstore")),
    *(f"/sys/kernel/{name}" for name in ("config", "debug", "security", "tracing")),
)
NULL_DEVICE = os.makedev(1, 3)
DEVICES = {"a disk": (stat.S_IFBLK, 8, 0), "memory": (stat.S_IFCHR, 1, 1), "the kernel's log": (stat.S_IFCHR, 1, 11)}
DEVICES |= {"fuse": (stat.S_IFCHR, 10, 229), "kvm": (stat.S_IFCHR, 10, 232), "a tunnel": (stat.S_IFCHR, 10, 200)}

# Calls that end a process, wait for ever, or leave Python behind whatever they are given.
UNTRIED = {"exit", "exit_group", "vfork", "fork", "pause", "rt_sigreturn", "sync"}
ANY = (-1,) * 6
# Where the usual arguments would do something, or have the kernel itself give a filter's answer.
ARGUMENTS = {
    "clone": (0x800, 0, 0, 0, 0, 0),  # CLONE_SIGHAND alone, which is no way to share anything
    "futex": (0, 1, 0, 0, 0, 0),  # FUTEX_WAKE
    "modify_ldt": (0, 0, 0, 0, 0, 0),
    "personality": (0xFFFFFFFF, 0, 0, 0, 0, 0),  # which one
    "msgget": (-1, 0, 0, 0, 0, 0),
    "socket": (1, -1, 0, 0, 0, 0),  # AF_UNIX, of no type
    "unshare": (0,) * 6,
    "landlock_create_ruleset": (0, 0, 1, 0, 0, 0),  # which version
}
# Calls whose answer depends on what is asked.
QUESTIONS = {
    "clone into new users": ("clone", (0x10000000 | signal.SIGCHLD, 0, 0, 0, 0, 0)),
    "clone into new mounts": ("clone", (0x20000 | signal.SIGCHLD, 0, 0, 0, 0, 0)),
    "unshare of users": ("unshare", (0x10000000, 0, 0, 0, 0, 0)),
    "personality without randomisation": ("personality", (0x40000, 0, 0, 0, 0, 0)),
    "ioctl TIOCSTI": ("ioctl", (-1, 0x5412, 0, 0, 0, 0)),
    **{
        f"socket of {name}": ("socket", (number, kind, 0, 0, 0, 0))
        for name, number, kind in (
            ("AF_UNIX", 1, 1), ("AF_INET", 2, 1), ("AF_INET raw", 2, 3), ("AF_NETLINK", 16, 3), ("AF_PACKET", 17, 3),
            ("AF_ALG", 38, 5), ("AF_VSOCK", 40, 1), ("AF_XDP", 44, 3),
        )
    },
}  # fmt: skip
FILTERED = {errno.EPERM, errno.ENOSYS, errno.EACCES}

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def main() -> None:
    """Print the report."""
    numbers = {name: int(number) for name, _, number in (word.partition("=") for word in sys.argv[1:])}
    sys.stdout.write(json.dumps(report(numbers)) + "\n")


def report(numbers: dict[str, int]) -> dict[str, object]:
    """Everything, in the order of its telling."""
    facts = status()
    return {
        "user": {"uid": os.getuid(), "gid": os.getgid(), "groups": sorted(os.getgroups())},
        "user_map": maps("uid_map"),
        "group_map": maps("gid_map"),
        "capabilities": {name: capabilities(int(facts[field], 16)) for name, field in SETS.items()},
        "no_new_privileges": facts["NoNewPrivs"] == "1",
        "seccomp": {"0": "off", "1": "strict", "2": "filter"}[facts["Seccomp"]],
        "security_profile": text("/proc/self/attr/current").strip("\0\n") or "none",
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in sorted(os.listdir("/proc/self/ns"))},
        "cgroup": text("/proc/self/cgroup").splitlines(),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "descriptors": descriptors(),
        "limits": limits(),
        "writable_mounts": sorted(place for place, options in mounts() if "rw" in options),
        "mounts_with_devices": sorted(place for place, options in mounts() if "nodev" not in options),
        "mounts_with_privileges": sorted(place for place, options in mounts() if "nosuid" not in options),
        "writable_files": {top: sorted(writable(top)) for top in ("/proc", "/sys")},
        "hidden": {place: shown(place) for place in PLACES},
        "devices": devices(),
        "made_devices": {name: made(*device) for name, device in DEVICES.items()},
        "system_calls": {
            **{name: answer(number, ARGUMENTS.get(name, ANY)) for name, number in sorted(numbers.items()) if name not in UNTRIED},
            **{name: answer(numbers[call], words) for name, (call, words) in QUESTIONS.items() if call in numbers},
        },
    }


def status() -> dict[str, str]:
    """proc_pid_status(5)."""
    pairs = [line.split(":", 1) for line in text("/proc/self/status").splitlines()]
    return {name: value.strip() for name, value in pairs}


def text(path: str) -> str:
    """A file of the kernel's; empty where there is none."""
    try:
        with open(path) as stream:
            return stream.read()
    except OSError:
        return ""


def maps(name: str) -> list[str]:
    """user_namespaces(7): first inside, first outside, how many."""
    return [" ".join(line.split()) for line in text(f"/proc/self/{name}").splitlines()]


def capabilities(bits: int) -> list[str]:
    """The names in a set; a capability of a later kernel has its number."""
    names = dict(enumerate(CAPABILITIES))
    return [names.get(number, str(number)) for number in range(64) if bits >> number & 1]


def descriptors() -> dict[str, str]:
    """What is open, but for the folder that is read to tell it."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}").partition(":")[0]
        except OSError:
            continue
    return found


def limits() -> dict[str, list[int]]:
    """Soft and hard; -1 is none."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_") and name not in ("RLIMIT_OFILE")]
    return {name[7:].lower(): list(resource.getrlimit(getattr(resource, name))) for name in names}


def mounts() -> list[tuple[str, list[str]]]:
    """The places of folders and regular files, and their options. Devices are told by themselves."""
    lines = [line.split() for line in text("/proc/self/mountinfo").splitlines()]
    places = [(line[4], line[5].split(",")) for line in lines]
    return [(place, options) for place, options in places if not is_device(place)]


def is_device(path: str) -> bool:
    """Whether a path is one's."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def writable(top: str) -> Iterator[str]:
    """Regular files that open for writing; what belongs to processes is left out."""
    for folder, folders, files in os.walk(top):
        if top == folder == "/proc":
            folders[:] = [name for name in folders if not name.isdigit()]
        for path in (os.path.join(folder, name) for name in files):
            if opens(path, os.O_WRONLY):
                yield path


def opens(path: str, flags: int, kind: Callable[[int], bool] = stat.S_ISREG) -> bool:
    """Whether what a path names is of the kind, and can be opened so."""
    try:
        if not kind(os.lstat(path).st_mode):
            return False
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def shown(path: str) -> str:
    """`shown` where something can be read, `hidden` where not, `absent` where nothing is."""
    try:
        mode = os.stat(path)
        if stat.S_ISDIR(mode.st_mode):
            return "shown" if os.listdir(path) else "hidden"
        if mode.st_rdev == NULL_DEVICE:
            return "hidden"
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "hidden"
    try:
        return "shown" if os.read(descriptor, 1) else "hidden"
    except BlockingIOError:
        return "shown"
    except OSError:
        return "hidden"
    finally:
        os.close(descriptor)


def devices() -> dict[str, str]:
    """The devices in /dev that open, and for what."""
    found = {}
    for folder, _, files in os.walk("/dev"):
        for path in (os.path.join(folder, name) for name in files if not name.startswith("watchdog")):  # it starts as it opens
            ways = [word for word, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY)) if opens(path, flags, is_special)]
            if ways:
                found[path] = ", ".join(ways)
    return dict(sorted(found.items()))


def is_special(mode: int) -> bool:
    """Whether a mode is a device's."""
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def made(kind: int, major: int, minor: int) -> str:
    """What becomes of an attempt to make a device in the working folder, and to open it."""
    path = f"probe-{os.getpid()}"
    try:
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
    except OSError as error:
        return f"not made: {errno.errorcode[error.errno or 0]}"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return f"not opened: {errno.errorcode[error.errno or 0]}"
    finally:
        os.unlink(path)
    return "opened"


def answer(number: int, arguments: tuple[int, ...]) -> str:
    """What a call is answered with in a child: `allowed`, the error of a filter or of a lack of privileges, or its end.

    The kernel's complaint about the arguments means that it was allowed to look at them.
    """
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(2)
            LIBC.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS: some of the kernel's own refusals are for those without it
            ctypes.set_errno(0)
            result = LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
            os._exit(ctypes.get_errno() & 0x7F if result == -1 else 0)
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGSYS:
        return "killed"
    return errno.errorcode[code] if code in FILTERED or code == errno.EAFNOSUPPORT else "allowed"


if __name__ == "__main__":
    main()
