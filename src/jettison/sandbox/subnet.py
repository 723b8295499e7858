"""A subnet that this machine does not reach otherwise, and the addresses in it."""

import sys

from jettison.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH = 22  # a bridge has 1023 ports
_SIZE = 1 << 32 - LENGTH


class Subnet:
    """An IPv4 network of private addresses (RFC 1918), by its first address as a number."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __str__(self) -> str:
        return f"{text_of(self.address(0))}/{LENGTH}"

    def address(self, number: int) -> bytes:
        """The address of a number from 1 on; the gateway has 1."""
        return (self.first + number).to_bytes(4, "big")


NUMBERS = range(2, _SIZE - 1)  # of the containers: neither the network, nor the gateway, nor everybody


def text_of(address: bytes) -> str:
    """`10.0.0.1`."""
    return ".".join(str(byte) for byte in address)


def around(address: bytes) -> Subnet:
    """The subnet that an address is in."""
    return Subnet(int.from_bytes(address, "big") & ~(_SIZE - 1))


def free_subnet() -> Subnet:
    """The first candidate that no route of this machine leads to. Errors: HostError where there is none."""
    routes = list(_routes())
    for first in _candidates():
        if not any(first & mask == goal or goal & ~(_SIZE - 1) == first for goal, mask in routes):
            return Subnet(first)
    raise HostError("no private subnet is free: this machine has routes to all that are known here", "`ip route` lists them")


def _candidates() -> "Iterator[int]":
    """Away from what docker (172.17), podman (10.88) and households (192.168.0) take."""
    for second in range(213, 255):
        yield 10 << 24 | second << 16
    for second in range(24, 32):
        yield 172 << 24 | second << 16


def _routes() -> "Iterator[tuple[int, int]]":
    """Goals and masks of the main table, without the default route."""
    with open("/proc/net/route") as stream:
        for line in stream.readlines()[1:]:
            fields = line.split()
            goal, mask = (int.from_bytes(int(fields[place], 16).to_bytes(4, sys.byteorder), "big") for place in (1, 7))
            if mask:
                yield goal, mask
