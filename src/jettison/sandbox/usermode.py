"""An ordinary user's way out of a private network: a program that speaks for it with sockets of this machine.

slirp4netns and pasta both do so. Neither may lead to this machine's own loopback, as both would. The pasta of Debian 12 says
things twice to who has ended his own direction of a connection, so it comes second.
"""

import os
import shutil

from jettison.errors import HostError
from jettison.sandbox.subnet import LENGTH, Subnet, free_subnet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.operations import Operation

INSIDE = "eth0"
_INSTALL = "`apt-get install slirp4netns`, or `passt`; `--network host` needs neither"
_INTERFACES = "/dev/net/tun"

# The numbers that slirp4netns gives.
_GATEWAY, _NAME_SERVER, _OWN = 2, 3, 100
_MTU = "65520"
_NETMASK = text_of((0xFFFFFFFF << 32 - LENGTH & 0xFFFFFFFF).to_bytes(4, "big"))


class UserMode:
    """A world's connection through such a program. `address` is known from `enter` on."""

    def __init__(self) -> None:
        self._subnet = Subnet(0)
        self._tool = find()
        self.address = ""

    @property
    def name_server(self) -> str:
        """What passes questions on to this machine's own; empty where there is nothing like it."""
        return text_of(self._subnet.address(_NAME_SERVER)) if self._tool.endswith("slirp4netns") else ""

    def describe(self) -> str:
        return f"reach other machines through `{os.path.basename(self._tool) or 'slirp4netns'}`"

    def enter(self) -> None:
        """Have an address. Errors: HostError where there is no such program."""
        require(self._tool)
        self._subnet = free_subnet()
        self.address = text_of(self._subnet.address(_OWN))

    def connect(self, pid: int) -> None:
        """The program does it, from outside."""

    def steps(self) -> "list[Operation]":
        """The program has done all."""
        return []

    def command(self, pid: int) -> "list[str]":
        """What serves the network of a process, as long as it is let."""
        if self._tool.endswith("slirp4netns"):
            options = ["--configure", f"--mtu={_MTU}", "--disable-host-loopback", f"--cidr={self._subnet}"]
            return [self._tool, *options, str(pid), INSIDE]
        gateway = text_of(self._subnet.address(_GATEWAY))
        # Nothing is passed on but what the world sends out.
        closed = ["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none", "--no-map-gw"]
        own = ["--address", self.address, "--netmask", _NETMASK, "--gateway", gateway, "--ns-ifname", INSIDE, "--mtu", _MTU]
        return [self._tool, "--foreground", "--quiet", "--ipv4-only", "--config-net", *closed, *own, str(pid)]

    def leave(self) -> None:
        """The program ends with the attendant."""


def find() -> str:
    """The program; empty where there is none."""
    return shutil.which("slirp4netns") or shutil.which("pasta") or ""


def require(tool: str) -> None:
    """Errors: HostError where a program like that is missing, or cannot make an interface."""
    if not tool:
        raise HostError("a private network needs `slirp4netns` or `pasta`, and neither is installed", _INSTALL)
    try:
        os.close(os.open(_INTERFACES, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        hint = f"`sudo modprobe tun && sudo chmod 666 {_INTERFACES}`, as most distributions have it; `--network host` needs none"
        raise HostError(f"a private network needs `{_INTERFACES}`: {error.strerror}", hint) from error


def is_connected(pid: int) -> bool:
    """Whether a process's network has a default route: the last thing that such a program does."""
    with open(f"/proc/{pid}/net/route") as stream:
        return any(line.split()[1] == "00000000" for line in stream)


def run(command: "list[str]", said: int, life: int) -> int:
    """Start it; what it says goes to `said`. slirp4netns ends with `life`, also where nobody ends it. Its process id."""
    if command[0].endswith("slirp4netns"):
        os.set_inheritable(life, True)
        command = [command[0], f"--exit-fd={life}", *command[1:]]
    null = os.open(os.devnull, os.O_RDWR)
    streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
    try:
        return os.posix_spawn(command[0], command, {"PATH": "/usr/bin:/bin"}, file_actions=streams)
    finally:
        os.close(null)
