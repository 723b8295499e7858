"""Connections to published ports, passed on: a loop that copies between sockets of two networks, and holds nothing.

A socket stays in the network in which it was made, so whoever has entered a world's network still has this machine's
listeners. TCP: what one side does not take waits in the kernel of the other; the end of one direction is passed on as such.
UDP: a socket for each client, which is forgotten when nothing was said for a while.
"""

import _socket
import errno
import os
import select
import sys
import time

from jettison.sandbox.ports import IP_PKTINFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from jettison.sandbox.ports import Listener

_CHUNK_BYTES = 256 << 10
_TURNS = 4  # chunks for one connection before the others have their turn
_DATAGRAM_BYTES = 65536
_DATAGRAMS_AT_ONCE = 64
_QUIET_S = 90  # docker's proxy
_PAUSE_S = 0.1  # where there are no more descriptors
_CLIENTS = 1024  # of one UDP port
_IN, _OUT, _BROKEN = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP
_CONTROL_BYTES = 64
_RESET = (1).to_bytes(4, sys.byteorder) + bytes(4)  # struct linger: on, 0 seconds


class Loop:
    """Who waits for what. `buffer` is for whoever has its turn."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_CHUNK_BYTES))
        self._poll = select.epoll()
        self._takers: dict[int, Callable[[int], None]] = {}
        self._ports: list[TcpPort | UdpPort] = []

    def watch(self, descriptor: int, events: int, taker: "Callable[[int], None]") -> None:
        """Call `taker` with what happens of `events`."""
        self._takers[descriptor] = taker
        self._poll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for something else."""
        self._poll.modify(descriptor, events)

    def watches(self, descriptor: int) -> bool:
        """Whether anything is waited for."""
        return descriptor in self._takers

    def forget(self, descriptor: int) -> None:
        """Wait for nothing; before the descriptor is closed."""
        if self._takers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def forward(self, listeners: "Sequence[Listener]", address: str, life: int) -> None:
        """Pass on what comes to the listeners, to the same world's `address`, until `life` has nothing more to say."""
        self.watch(life, _IN, lambda events: None)
        for listener in listeners:
            kind = TcpPort if listener.protocol == "tcp" else UdpPort
            self._ports.append(kind(self, listener, (address, listener.container_port)))
        while True:
            is_full = any(port.is_full for port in self._ports)
            for descriptor, events in self._poll.poll(_PAUSE_S if is_full else _QUIET_S / 4):
                if descriptor == life:
                    return
                taker = self._takers.get(descriptor)  # an earlier one of these may have closed it
                if taker:
                    taker(events)
            for port in self._ports:
                port.tidy()


class TcpPort:
    """A listener: accepts while there are descriptors for it."""

    def __init__(self, loop: Loop, listener: "Listener", target: "tuple[str, int]") -> None:
        self._loop = loop
        self._socket: Any = listener.socket
        self._target = target
        self._full_until = 0.0
        loop.watch(self._socket.fileno(), _IN, self._accept)

    @property
    def is_full(self) -> bool:
        """Whether there were too many connections a moment ago."""
        return bool(self._full_until)

    def tidy(self) -> None:
        """Accept again what waited meanwhile."""
        if self.is_full and time.monotonic() > self._full_until:
            self._full_until = 0.0
            self._loop.change(self._socket.fileno(), _IN)

    def _accept(self, events: int) -> None:
        client = server = None
        try:
            # First what may fail for want of descriptors: a client that was not accepted waits.
            server = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
            client = _adopt(self._socket._accept()[0])
            TcpConnection(self._loop, client, server, self._target)
        except OSError as error:
            for one in (client, server):
                if one:
                    _abort(one)
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._full_until = time.monotonic() + _PAUSE_S
                self._loop.change(self._socket.fileno(), 0)


class TcpConnection:
    """Two sockets, and a direction from each to the other."""

    def __init__(self, loop: Loop, client: "_socket.socket", server: "_socket.socket", target: "tuple[str, int]") -> None:
        self._loop = loop
        self._sockets = (client, server)
        self._directions = (Direction(client, server), Direction(server, client))
        for one in self._sockets:
            one.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            one.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        result = server.connect_ex(target)
        if result not in (0, errno.EINPROGRESS):
            raise OSError(result, os.strerror(result))
        self._waits = [0, _OUT]  # nothing is read before there is a place for it
        for index, one in enumerate(self._sockets):
            loop.watch(one.fileno(), self._waits[index], self._taker(index))

    def _taker(self, index: int) -> "Callable[[int], None]":
        return lambda events: self._take(index, events)

    def _take(self, index: int, events: int) -> None:
        """Move what can be moved. A side that is broken and has said all that it will is the end."""
        mine, others = self._directions[index], self._directions[1 - index]
        try:
            if events & (_IN | _BROKEN) and not mine.has_ended:
                mine.move(self._loop.buffer)
            elif events & _BROKEN:
                raise ConnectionResetError
            if events & _OUT:
                others.move(self._loop.buffer)
        except OSError:
            self._close(_abort)
            return
        if mine.has_ended and others.has_ended:
            self._close(lambda one: one.close())
            return
        self._wait()

    def _wait(self) -> None:
        for index, one in enumerate(self._sockets):
            mine, others = self._directions[index], self._directions[1 - index]
            wanted = mine.wants() | (_OUT if others.is_blocked else 0)
            # A broken socket is told of again and again, and a direction that waits for the other side cannot act on it.
            if mine.is_blocked and not others.is_blocked:
                self._loop.forget(one.fileno())
            elif not self._loop.watches(one.fileno()):
                self._loop.watch(one.fileno(), wanted, self._taker(index))
            elif wanted != self._waits[index]:
                self._loop.change(one.fileno(), wanted)
            self._waits[index] = wanted

    def _close(self, end: "Callable[[_socket.socket], None]") -> None:
        for one in self._sockets:
            self._loop.forget(one.fileno())
            end(one)


class Direction:
    """From one socket to another. What the target does not take stays with the kernel: it is read for good when it is sent."""

    def __init__(self, source: "_socket.socket", target: "_socket.socket") -> None:
        self._source = source
        self._target = target
        self.is_blocked = False  # the target takes no more for now
        self.has_ended = False

    def wants(self) -> int:
        """What to wait for at the source."""
        return 0 if self.is_blocked or self.has_ended else _IN

    def move(self, buffer: memoryview) -> None:
        """Read and write until one of them would wait. Errors: OSError where the connection is broken."""
        for _ in range(_TURNS):
            try:
                count = self._source.recv_into(buffer, 0, _socket.MSG_PEEK)
            except BlockingIOError:
                return
            if not count:
                self._end()
                return
            self._send(buffer, count)
            if self.is_blocked:
                return

    def _end(self) -> None:
        self.has_ended, self.is_blocked = True, False
        self._target.shutdown(_socket.SHUT_WR)

    def _send(self, buffer: memoryview, count: int) -> None:
        try:
            sent = self._target.send(buffer[:count])
        except BlockingIOError:
            sent = 0
        if sent:
            self._source.recv_into(buffer, sent, _socket.MSG_TRUNC)  # tcp(7): throw away
        self.is_blocked = sent < count


class UdpPort:
    """A socket of this machine, and one of the world's for each client."""

    is_full = False  # a datagram for which there is no descriptor is lost

    def __init__(self, loop: Loop, listener: "Listener", target: "tuple[str, int]") -> None:
        self._loop = loop
        self._socket: Any = listener.socket
        self._target = target
        self._clients: dict[object, UdpClient] = {}  # the one that was heard of longest ago first
        loop.watch(self._socket.fileno(), _IN, self._take)

    def tidy(self) -> None:
        """Forget who was quiet."""
        until = time.monotonic() - _QUIET_S
        while self._clients and next(iter(self._clients.values())).heard < until:
            self._forget_first()

    def _take(self, events: int) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                data, controls, _, address = self._socket.recvmsg(_DATAGRAM_BYTES, _CONTROL_BYTES)
            except OSError:  # nothing more, or an earlier answer could not be delivered
                return
            self._pass_on(data, address, [_as_source(control) for control in controls])

    def _pass_on(self, data: bytes, address: "tuple[str, int]", controls: "list[Any]") -> None:
        key = (address, *(bytes(content) for _, _, content in controls))
        client = self._clients.pop(key, None)
        try:
            client = client or UdpClient(self._loop, self._socket, self._target, address, controls)
        except OSError:  # no descriptor for it: a datagram may get lost
            return
        self._clients[key] = client
        client.send(data)
        if len(self._clients) > _CLIENTS:
            self._forget_first()

    def _forget_first(self) -> None:
        self._clients.pop(next(iter(self._clients))).close()


class UdpClient:
    """Who sent a datagram, and a socket from which the world's program answers."""

    def __init__(self, loop: Loop, listener: "Any", target: "tuple[str, int]", address: "Any", controls: "list[Any]") -> None:
        self._loop = loop
        self._listener = listener
        self._address = address
        self._controls = controls
        self.heard = time.monotonic()
        self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        self._socket.connect(target)
        loop.watch(self._socket.fileno(), _IN, self._answer)

    def send(self, data: bytes) -> None:
        """To the world's program, if there is one."""
        self.heard = time.monotonic()
        _lose(lambda: self._socket.send(data))

    def close(self) -> None:
        """Forget it."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()

    def _answer(self, events: int) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                data = self._socket.recv(_DATAGRAM_BYTES)
            except OSError:  # nothing more, or nobody is there to answer
                return
            _lose(lambda data=data: self._listener.sendmsg([data], self._controls, 0, self._address))  # type: ignore[misc]


def _lose(send: "Callable[[], object]") -> None:
    """Datagrams that cannot be sent are lost, as on any way."""
    try:
        send()
    except OSError:
        return


def _as_source(control: "tuple[int, int, bytes]") -> "tuple[int, int, bytes]":
    """Where a datagram arrived, as where its answer comes from: struct in_pktinfo is interface, own address, destination."""
    level, kind, content = control
    if (level, kind) == (_socket.IPPROTO_IP, IP_PKTINFO):
        content = bytes(4) + content[4:8] + bytes(4)
    return level, kind, content


def _adopt(descriptor: int) -> "_socket.socket":
    accepted = _socket.socket(fileno=descriptor)
    accepted.setblocking(False)
    return accepted


def _abort(one: "_socket.socket") -> None:
    """Close, so that the other side hears that something broke."""
    _lose(lambda: one.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET))
    one.close()
