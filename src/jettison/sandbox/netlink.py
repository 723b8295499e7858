"""A client of rtnetlink(7): links, addresses and routes. The program `ip` would cost a fork and an execution for each of them."""

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# linux/netlink.h
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_HEADER_BYTES = 16
_ANSWER_BYTES = 65536

# linux/rtnetlink.h
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 17, 20, 24
_MAIN_TABLE, _BY_BOOT, _EVERYWHERE, _UNICAST = 254, 3, 0, 1

# linux/if_link.h, linux/veth.h, linux/if_addr.h
_HARDWARE, _NAME, _MASTER, _KIND, _PROCESS, _FAMILIES = 1, 3, 10, 18, 19, 26
_KIND_NAME, _KIND_DATA = 1, 2
_PEER = 1
_GENERATED, _NONE = 8, 1  # IFLA_INET6_ADDR_GEN_MODE
_ADDRESS, _LOCAL, _BROADCAST = 1, 2, 4
_GATEWAY, _INTERFACE = 5, 4
_UP = 1


def send(messages: "Sequence[bytes]", protocol: int = _socket.NETLINK_ROUTE) -> None:
    """Have the kernel take each of these in turn. Errors: OSError, of the first that it refused."""
    route = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    try:
        route.send(b"".join(messages))
        numbers: list[int] = []
        while len(numbers) < len(messages):
            numbers += _results(route.recv(_ANSWER_BYTES))
    finally:
        route.close()
    for number in numbers:
        if number:
            raise OSError(number, os.strerror(number))


def new_bridge(link: str) -> bytes:
    """A bridge, not up yet."""
    return message(_NEW_LINK, _link() + name(_NAME, link) + _kind("bridge"), _CREATE | _EXCLUSIVE)


def new_pair(link: str, bridge: int, pid: int, inside: str, hardware: bytes) -> bytes:
    """A veth(4) pair: `link` here, a port of the bridge; `inside` in the network of a process, with a hardware address."""
    peer = _attribute(_PEER, _link() + name(_NAME, inside) + _attribute(_PROCESS, _u32(pid)) + _attribute(_HARDWARE, hardware))
    body = _link() + name(_NAME, link) + _attribute(_MASTER, _u32(bridge)) + _kind("veth", peer)
    return message(_NEW_LINK, body, _CREATE | _EXCLUSIVE)


def start(link: str) -> "list[bytes]":
    """Bring a link up that has no IPv6 address but those that it is given."""
    modes = _attribute(_FAMILIES, _attribute(_socket.AF_INET6, _attribute(_GENERATED, bytes([_NONE]))))
    quiet = [message(_NEW_LINK, _link() + name(_NAME, link) + modes)] if _has_ipv6() else []
    return [*quiet, message(_NEW_LINK, _link(_UP) + name(_NAME, link))]


def delete(link: str) -> bytes:
    """Remove a link; of a pair both ends."""
    return message(_DELETE_LINK, _link() + name(_NAME, link))


def add_address(interface: int, address: bytes, length: int) -> bytes:
    """Give a link an IPv4 address in a network of so many leading bits."""
    broadcast = (int.from_bytes(address, "big") | (1 << 32 - length) - 1).to_bytes(4, "big")
    head = bytes([_socket.AF_INET, length, 0, _EVERYWHERE]) + _u32(interface)
    body = head + _attribute(_LOCAL, address) + _attribute(_ADDRESS, address) + _attribute(_BROADCAST, broadcast)
    return message(_NEW_ADDRESS, body, _CREATE | _EXCLUSIVE)


def default_route(interface: int, gateway: bytes) -> bytes:
    """Send through a gateway what is for nobody near."""
    head = bytes([_socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _BY_BOOT, _EVERYWHERE, _UNICAST]) + _u32(0)
    return message(
        _NEW_ROUTE, head + _attribute(_GATEWAY, gateway) + _attribute(_INTERFACE, _u32(interface)), _CREATE | _EXCLUSIVE
    )


def message(kind: int, body: bytes, flags: int = 0, is_answered: bool = True) -> bytes:
    """A request, with its header."""
    flags |= _REQUEST | (_ACK if is_answered else 0)
    return _padded(_u32(_HEADER_BYTES + len(body)) + _u16(kind) + _u16(flags) + bytes(8) + body)


def name(kind: int, text: str) -> bytes:
    """An attribute that is a text."""
    return _attribute(kind, text.encode() + b"\0")


def _results(answer: bytes) -> "list[int]":
    """The error number of each acknowledgement, 0 for none."""
    numbers = []
    while len(answer) >= _HEADER_BYTES + 4:
        length = int.from_bytes(answer[:4], sys.byteorder)
        if int.from_bytes(answer[4:6], sys.byteorder) == _ERROR:
            numbers.append(-int.from_bytes(answer[_HEADER_BYTES : _HEADER_BYTES + 4], sys.byteorder, signed=True))
        answer = answer[(length + 3) & ~3 :]
    return numbers


def _link(flags: int = 0) -> bytes:
    """struct ifinfomsg: family, type, index, flags, which of the flags change."""
    return bytes(8) + _u32(flags) + _u32(flags)


def _kind(kind: str, data: bytes = b"") -> bytes:
    return _attribute(_KIND, name(_KIND_NAME, kind) + (_attribute(_KIND_DATA, data) if data else b""))


def _attribute(kind: int, payload: bytes) -> bytes:
    return _padded(_u16(4 + len(payload)) + _u16(kind) + payload)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _u16(number: int) -> bytes:
    return number.to_bytes(2, sys.byteorder)


def _u32(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def _has_ipv6() -> bool:
    return os.path.exists("/proc/net/if_inet6")
