"""The operations that leave the caller's process behind: descriptors, session, network, user and privileges."""

import fcntl
import os
import sys

from jettison.sandbox import syscalls
from jettison.sandbox.capabilities import NAMES
from jettison.sandbox.enter import FAILED, Failure
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.sandbox.enter import World

_SIGKILL = 9
_FORMAT, _IS_PIPE = 0o170000, 0o010000  # stat(2), without the module `stat`
_SIOCSIFFLAGS = 0x8914  # netdevice(7)
_IFF_UP = 1


# What the parent says through the gate: an ordinary user's namespace has one user, whose groups cannot be changed.
MANY_USERS = b"*"
ONE_USER = b"1"


class Descriptors(Operation):
    """Nothing that the caller has open stays open (CVE-2024-21626)."""

    def describe(self) -> str:
        return "close every descriptor but stdin, stdout and stderr"

    def execute(self, world: "World") -> None:
        syscalls.close_others(world.kept())


class Identity(Operation):
    """The parent has written which users there are. From here on no process of the world may look into this one
    (CVE-2019-5736), and it dies with its parent."""

    def describe(self) -> str:
        return "wait for the user's identity"

    def execute(self, world: "World") -> None:
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, _SIGKILL)
        word = os.read(world.gate, 1)
        if not word:
            os._exit(FAILED)  # the parent is gone, or has an error of its own to tell
        world.has_many_users = word == MANY_USERS
        syscalls.set_process(syscalls.PR_SET_DUMPABLE, 0)


class Session(Operation):
    """A session without a terminal, so that nothing can be typed into the caller's (CVE-2017-5226); no keys, a known umask and
    personality."""

    def __init__(self, keeps_stdin: bool) -> None:
        self.keeps_stdin = keeps_stdin

    def describe(self) -> str:
        return f"leave the caller's session{'' if self.keeps_stdin else ', stdin becomes /dev/null'}"

    def execute(self, world: "World") -> None:
        os.setsid()
        os.umask(0o022)
        syscalls.reset_personality()
        syscalls.new_session_keyring()
        if not self.keeps_stdin:
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)


class CommandLine(Operation):
    """Whoever looks at the init does not see what the caller typed: paths of the machine, and secrets after `-e`."""

    def describe(self) -> str:
        return "forget the caller's command line"

    def execute(self, world: "World") -> None:
        syscalls.set_command_line("init")


class Hostname(Operation):
    """The world's own name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return f"name the world `{self.name}`"

    def execute(self, world: "World") -> None:
        syscalls.set_hostname(self.name)


class Loopback(Operation):
    """The own network has its loopback interface up, and every user may open every port, and ask who is there.

    `gid`: a group that the world has, and in one of one user the only one.
    """

    def __init__(self, gid: int) -> None:
        self.gid = gid

    def describe(self) -> str:
        return "start the own network's loopback"

    def execute(self, world: "World") -> None:
        request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder) + bytes(22)  # struct ifreq
        socket = syscalls.datagram_socket()
        fcntl.ioctl(socket, _SIOCSIFFLAGS, request)
        os.close(socket)
        write_setting(world, "sys/net/ipv4/ip_unprivileged_port_start", b"0")
        everybody = b"0 2147483647" if world.has_many_users else f"{self.gid} {self.gid}".encode()
        write_setting(world, "sys/net/ipv4/ping_group_range", everybody)


class NoUserNamespaces(Operation):
    """No user namespace below this one: much of the kernel is reachable only from one. `locks`: but for our own second one."""

    def __init__(self, locks: bool = False) -> None:
        self.locks = locks

    def describe(self) -> str:
        return "forbid further user namespaces"

    def execute(self, world: "World") -> None:
        write_setting(world, "sys/user/max_user_namespaces", b"1" if self.locks and world.has_machines_root() else b"0")


class WorkingDirectory(Operation):
    """The program starts here; the folder is one of the world (CVE-2024-21626)."""

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"enter the working directory `{self.path}`"

    def execute(self, world: "World") -> None:
        folder = syscalls.open_in_root(world.root, self.path, os.O_PATH | os.O_DIRECTORY)
        os.fchdir(folder)
        if not os.getcwd().startswith("/"):  # "(unreachable)/…": outside of the root
            raise Failure(f"refusing the working directory `{self.path}`: it is outside of the image")


class Privileges(Operation):
    """The user; for root the capabilities, which bound those of everybody, and no program may give more (`no_new_privs`)."""

    def __init__(self, uid: int, gid: int, groups: "Sequence[int]", capabilities: int) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.capabilities = capabilities

    def describe(self) -> str:
        text = f"become user {self.uid} of group {self.gid}"
        if self.uid or not self.capabilities:
            return f"{text} without any privilege"
        return f"{text} with {' '.join(name for bit, name in enumerate(NAMES) if self.capabilities >> bit & 1)} alone"

    def execute(self, world: "World") -> None:
        if world.has_many_users:
            self._give_pipes()
        syscalls.bound_capabilities(self.capabilities)
        if world.has_many_users:
            # The primary group among them: nobody gains by leaving it (CVE-2022-2989).
            os.setgroups(list(dict.fromkeys([self.gid, *self.groups])))
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        # What execve(2) gives to root anyway, and to nobody else.
        syscalls.set_capabilities(0 if self.uid else self.capabilities)
        syscalls.set_process(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        # A change of user resets these two, prctl(2).
        syscalls.set_process(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.set_process(syscalls.PR_SET_PDEATHSIG, _SIGKILL)
        self._require_parent(world.gate)

    @staticmethod
    def _require_parent(gate: int) -> None:
        """End where the parent died while its death went unnoticed."""
        os.set_blocking(gate, False)
        try:
            os.read(gate, 1)
        except BlockingIOError:
            return
        os._exit(FAILED)

    def _give_pipes(self) -> None:
        """The user may open /dev/stdout also where it is a pipe, unless a stranger's: many programs log there."""
        for descriptor in (0, 1, 2):
            status = os.fstat(descriptor)
            if status.st_mode & _FORMAT == _IS_PIPE and status.st_uid != self.uid:
                try:
                    os.fchown(descriptor, self.uid, -1)
                except PermissionError:
                    continue


def write_own_maps(pid: int) -> None:
    """Let a process's user namespace have the users that ours has, under their own numbers: seen from a child namespace the
    parent's ids are those that we see. Errors: OSError."""
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}", "rb", 0) as stream:
            ranges = [line.split() for line in stream.read().decode().splitlines()]
        with open(f"/proc/{pid}/{name}", "wb", 0) as stream:
            stream.write("".join(f"{first} {first} {count}\n" for first, _, count in ranges).encode())


def write_setting(world: "World", path: str, value: bytes) -> None:
    """Write a setting of the world's own /proc, which nothing of the image can lie on (CVE-2025-52881)."""
    descriptor = syscalls.open_in_root(world.mounts["proc"], path, os.O_WRONLY)
    os.write(descriptor, value)
    os.close(descriptor)
