"""Published ports: what was asked for, and sockets of this machine that listen for it."""

import _socket
import errno

from jettison.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from socket import socket

_BACKLOG = 4096  # the kernel takes net.core.somaxconn of it
_KINDS = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM}
IP_PKTINFO = 8  # ip(7); `_socket` lacks the name


class Publication:
    """A port of the world, and the ports of this machine of which one leads there: the first that is free, 0 for any."""

    def __init__(self, host_ip: str, host_ports: "Sequence[int]", container_port: int, protocol: str) -> None:
        self.host_ip = host_ip
        self.host_ports = tuple(host_ports)
        self.container_port = container_port
        self.protocol = protocol

    def __str__(self) -> str:
        first, last = self.host_ports[0], self.host_ports[-1]
        ports = "a free port" if not first else str(first) if first == last else f"{first}-{last}"
        return f"{bracketed(self.host_ip)}:{ports} as {self.container_port}/{self.protocol}"


class Listener:
    """A publication that holds: its socket, and the address that the kernel gave it."""

    def __init__(self, publication: Publication, socket: "socket") -> None:
        self.socket = socket
        self.container_port = publication.container_port
        self.protocol = publication.protocol
        self.host_ip, self.host_port = socket.getsockname()[:2]


def listen(publications: "Sequence[Publication]") -> "list[Listener]":
    """A listener for each. Errors: HostError that names the port."""
    found: list[Listener] = []
    try:
        found.extend(_listener(publication) for publication in publications)
    except HostError:
        for listener in found:
            listener.socket.close()
        raise
    return found


def _listener(publication: Publication) -> Listener:
    refused = OSError()
    for port in publication.host_ports:
        try:
            return Listener(publication, _bound(publication, port))
        except OSError as error:
            refused = error
            if error.errno != errno.EADDRINUSE:
                break
    raise HostError(f"cannot publish {publication}: {refused.strerror}", _hint(publication, refused)) from refused


def _bound(publication: Publication, port: int) -> "socket":
    family = _socket.AF_INET6 if ":" in publication.host_ip else _socket.AF_INET
    made = _socket.socket(family, _KINDS[publication.protocol] | _socket.SOCK_CLOEXEC)
    try:
        made.setblocking(False)
        if family == _socket.AF_INET6:
            made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        if publication.protocol == "tcp":
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)  # connections of an earlier run may linger
        made.bind((publication.host_ip, port))
        if publication.protocol == "tcp":
            made.listen(_BACKLOG)
        else:
            _want_destination(made, family)
    except OSError:
        made.close()
        raise
    return made  # type: ignore[return-value]


def _want_destination(made: "_socket.socket", family: int) -> None:
    """Which of this machine's addresses a datagram was sent to, so that the answer comes from there."""
    if family == _socket.AF_INET6:
        made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_RECVPKTINFO, 1)
    else:
        made.setsockopt(_socket.IPPROTO_IP, IP_PKTINFO, 1)


def _hint(publication: Publication, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        listing = "ss -lntp" if publication.protocol == "tcp" else "ss -lnup"
        return f"`{listing}` tells who has it; publish another port, or `-p {publication.container_port}` for any free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "an ordinary user may take ports from 1024 on, or what `sysctl net.ipv4.ip_unprivileged_port_start` says"
    if error.errno == errno.EADDRNOTAVAIL:
        return "`ip address` lists this machine's addresses; 0.0.0.0 is all of them"
    return ""


def bracketed(address: str) -> str:
    """An address before a port."""
    return f"[{address}]" if ":" in address else address
