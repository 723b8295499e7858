"""Root's private network: a bridge, a pair of interfaces for each world, and one table of nftables for the way out.

All of it is there while somebody uses it: the last one to leave removes the bridge and the table. The kernel removes a dead
world's pair with its namespace; the bridge of somebody who was killed is used, and then removed, by the next one, or by a sweep.
"""

import _socket
import fcntl
import sys

from jettison.errors import HostError
from jettison.sandbox import netlink, nftables
from jettison.sandbox.lease import Lease
from jettison.sandbox.operations import Operation
from jettison.sandbox.subnet import LENGTH, NUMBERS, Subnet, around, free_subnet, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.enter import World

BRIDGE = "jettison0"
INSIDE = "eth0"
TABLE = "jettison"

_ADDRESS, _FLAGS = 0x8915, 0x8913  # netdevice(7): SIOCGIFADDR, SIOCGIFFLAGS
_UP = 1
_NAME_BYTES, _REQUEST_BYTES = 16, 40  # struct ifreq
_ENODEV, _DENIED = 19, (1, 13, 30)  # errno(3): EPERM, EACCES, EROFS
_FORWARDING = "/proc/sys/net/ipv4/ip_forward"
# The way out, under this machine's address; and no way in but for answers. Other tables' rules hold as well: where another one
# drops what is forwarded, as docker's does, no rule of ours can help.
_RULES = """
add table ip {table}
delete table ip {table}
table ip {table} {{
    chain postrouting {{
        type nat hook postrouting priority 100;
        ip saddr {subnet} oifname != "{bridge}" masquerade;
    }}
    chain forward {{
        type filter hook forward priority 0;
        iifname != "{bridge}" oifname "{bridge}" ct state established,related accept;
        iifname != "{bridge}" oifname "{bridge}" drop;
    }}
}}
"""


class Bridge:
    """A world's place on the bridge. `address` is known from `enter` on."""

    name_server = ""

    def __init__(self) -> None:
        self._lease = Lease()
        self._subnet = Subnet(0)
        self._number = 0
        self.address = ""

    def describe(self) -> str:
        return f"join the bridge `{BRIDGE}` of this machine's"

    def enter(self) -> None:
        """Have an address. Errors: HostError."""
        try:
            self._number = self._lease.take(NUMBERS, self._prepare, self._clean)
        except OSError as error:
            raise HostError(f"cannot make the private network: {error.strerror}", _hint(error)) from error
        self.address = text_of(self._subnet.address(self._number))

    def connect(self, pid: int) -> None:
        """Give a process's network its interface, which `Interface` starts. Errors: HostError."""
        # An address is always at the same one: others may remember it.
        hardware = b"\x02\x6a" + self._subnet.address(self._number)
        pair = netlink.new_pair(self._port, _socket.if_nametoindex(BRIDGE), pid, INSIDE, hardware)
        try:
            self._send_past_the_dead(pair)
            netlink.send(netlink.start(self._port))
        except OSError as error:
            raise HostError(f"cannot connect a world to `{BRIDGE}`: {error.strerror}", _hint(error)) from error

    def command(self, pid: int) -> "list[str]":
        """The kernel does it all: no program has to."""
        return []

    def steps(self) -> "list[Operation]":
        """What the child does in its network."""
        return [Interface(self)]

    def configuration(self) -> "tuple[bytes, bytes]":
        """The address and the gateway."""
        return self._subnet.address(self._number), self._subnet.address(1)

    def leave(self) -> None:
        """Remove what is nobody's any more."""
        self._lease.give_back(self._clean)

    @property
    def _port(self) -> str:
        return f"jettison-{self._number}"

    def _prepare(self) -> None:
        """There is a bridge that works, whatever somebody has left behind."""
        address = _ask(_ADDRESS)[4:8]
        if address:
            self._subnet = around(address)
            if _is_up() and nftables.has_table(TABLE):
                return
        else:
            self._subnet = free_subnet()
        self._make(has_link=bool(_ask(_FLAGS)), has_address=bool(address))

    def _make(self, has_link: bool, has_address: bool) -> None:
        """What is missing of it. It comes up last, so one that is up is whole."""
        _forward()
        nftables.load(_RULES.format(table=TABLE, bridge=BRIDGE, subnet=self._subnet))
        if not has_link:
            netlink.send([netlink.new_bridge(BRIDGE)])
        if not has_address:
            netlink.send([netlink.add_address(_socket.if_nametoindex(BRIDGE), self._subnet.address(1), LENGTH)])
        netlink.send(netlink.start(BRIDGE))

    def _send_past_the_dead(self, pair: bytes) -> None:
        """A dead world's interface with our number may wait for the kernel to remove it."""
        try:
            netlink.send([pair])
        except FileExistsError:
            _remove(self._port)
            netlink.send([pair])

    @staticmethod
    def _clean(is_last: bool) -> None:
        """The pair goes with the world's network, while nobody waits for it: 15 ms."""
        if is_last:
            _remove(BRIDGE)
            nftables.remove_table(TABLE)


def sweep() -> None:
    """Remove the bridge and the table, where everybody who used them was killed."""
    try:
        Lease().clean_up(Bridge._clean)
    except PermissionError:  # root without CAP_NET_ADMIN has made none
        return


class Interface(Operation):
    """The own network's interface has its address, and the way out is through the gateway."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def describe(self) -> str:
        return f"start `{INSIDE}` with the private network's address and gateway"

    def execute(self, world: "World") -> None:
        address, gateway = self._bridge.configuration()
        index = _socket.if_nametoindex(INSIDE)
        route = netlink.default_route(index, gateway)
        netlink.send([netlink.add_address(index, address, LENGTH), *netlink.start(INSIDE), route])


def _ask(what: int) -> bytes:
    """What the kernel says of the bridge; nothing where it is not there, or has none."""
    question = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        answer: bytes = fcntl.ioctl(question, what, BRIDGE.encode().ljust(_REQUEST_BYTES, b"\0"))
    except OSError:
        return b""
    finally:
        question.close()
    return answer[_NAME_BYTES:]


def _is_up() -> bool:
    return bool(int.from_bytes(_ask(_FLAGS)[:2], sys.byteorder) & _UP)


def _remove(link: str) -> None:
    """Nothing where the kernel has done so before."""
    try:
        netlink.send([netlink.delete(link)])
    except OSError as error:
        if error.errno != _ENODEV:
            raise


def _forward() -> None:
    """This machine passes on what is not for itself, as docker makes it; it stays so."""
    with open(_FORWARDING, "rb+", 0) as stream:
        if stream.read(1) != b"1":
            stream.write(b"1")


def _hint(error: OSError) -> str:
    if error.errno in _DENIED:
        return "root needs CAP_NET_ADMIN and a writable /proc/sys/net for it; `--network host` needs neither"
    return "see `jettison doctor`"
