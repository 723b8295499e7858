"""Connections are passed on between two sockets of this machine's loopback, in a process of its own."""

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jettison.sandbox.forward import Loop
from jettison.sandbox.ports import Listener, Publication, listen

Forward = Callable[[str, int], Listener]


@pytest.fixture
def forward() -> Iterator[Forward]:
    """`forward(protocol, port)`: a listener that leads to a port of 127.0.0.1."""
    running: list[tuple[int, int]] = []

    def start(protocol: str, port: int) -> Listener:
        (listener,) = listen([Publication("127.0.0.1", [0], port, protocol)])
        life, life_writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(life_writer)
                signal.alarm(60)
                Loop().forward([listener], "127.0.0.1", life)
            finally:
                os._exit(0)
        os.close(life)
        listener.socket.close()
        running.append((pid, life_writer))
        return listener

    yield start
    for pid, life_writer in running:
        os.close(life_writer)
        os.waitpid(pid, 0)


@pytest.fixture
def ends(forward: Forward) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and its server, with a forwarder between them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = forward("tcp", server.getsockname()[1])
        client = socket.create_connection(("127.0.0.1", listener.host_port), 20)
        accepted, _ = server.accept()
    accepted.settimeout(20)
    with client, accepted:
        yield client, accepted


def write_all(end: socket.socket, data: bytes) -> None:
    """And end the direction."""
    end.sendall(data)
    end.shutdown(socket.SHUT_WR)


def read_all(end: socket.socket) -> bytes:
    """Up to the end of the direction."""
    with end.makefile("rb") as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 65536, 3_000_001])
def test_each_direction_ends_by_itself(ends: tuple[socket.socket, socket.socket], size: int) -> None:
    """Everything arrives, and one direction's end leaves the other open."""
    client, server = ends
    sent = os.urandom(size)
    sender = threading.Thread(target=write_all, args=(client, sent))
    sender.start()

    assert read_all(server) == sent
    server.sendall(b"answer")
    server.close()
    assert read_all(client) == b"answer"
    sender.join()


def test_both_directions_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    """More than all buffers together hold: neither waits for the other's end."""
    client, server = ends
    sent = os.urandom(20_000_000)
    senders = [threading.Thread(target=write_all, args=(end, sent)) for end in ends]
    for sender in senders:
        sender.start()
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(read_all(server)))
    reader.start()

    assert read_all(client) == sent
    reader.join()
    assert found == [sent]
    for sender in senders:
        sender.join()


def test_who_does_not_read_stops_who_writes(ends: tuple[socket.socket, socket.socket]) -> None:
    """There is no place in between where it would heap up; and what was taken still arrives."""
    client, server = ends
    client.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += client.send(b"x" * 65536)
    client.settimeout(20)
    client.shutdown(socket.SHUT_WR)

    assert sent < 64 << 20
    assert len(read_all(server)) == sent


@pytest.mark.parametrize("breaker", [0, 1])
def test_a_broken_connection_breaks(ends: tuple[socket.socket, socket.socket], breaker: int) -> None:
    """Whoever resets it, the other one hears of a reset, not of an end."""
    ends[breaker].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    ends[breaker].close()

    with pytest.raises(ConnectionResetError):
        read_all(ends[1 - breaker])


def test_nobody_listens(forward: Forward) -> None:
    """Who connects hears of a reset."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    listener = forward("tcp", port)

    with socket.create_connection(("127.0.0.1", listener.host_port), 20) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_it_rests(ends: tuple[socket.socket, socket.socket]) -> None:
    """A connection of which one side was reset while the other does not read costs no processor time."""
    client, server = ends
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            client.send(b"x" * 65536)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.close()
    before = _own_childrens_time()
    time.sleep(1)

    assert _own_childrens_time() - before < 0.2
    server.close()


def test_more_connections_than_descriptors(forward: Forward) -> None:
    """They wait for others to end, and cost no processor time meanwhile."""
    before_limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, before_limits[1]))
        try:
            listener = forward("tcp", server.getsockname()[1])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before_limits)
        clients = [socket.create_connection(("127.0.0.1", listener.host_port), 20) for _ in range(50)]
        time.sleep(1)
        before = _own_childrens_time()
        time.sleep(1)
        assert _own_childrens_time() - before < 0.2
        for client in clients:
            write_all(client, b"")
            accepted, _ = server.accept()
            accepted.close()
            assert read_all(client) == b""
            client.close()


def test_datagrams(forward: Forward) -> None:
    """Each client gets its own answers; datagrams keep their ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        listener = forward("udp", server.getsockname()[1])
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        for number, client in enumerate(clients):
            client.settimeout(20)
            client.sendto(str(number).encode() * (number + 1), ("127.0.0.1", listener.host_port))
        for _ in clients:
            said, peer = server.recvfrom(65536)
            server.sendto(said, peer)

        for number, client in enumerate(clients):
            assert client.recvfrom(65536) == (str(number).encode() * (number + 1), ("127.0.0.1", listener.host_port))
            client.close()


def _own_childrens_time() -> float:
    """Processor seconds of the processes that this one has started and that still run."""
    with open(f"/proc/self/task/{os.getpid()}/children") as stream:
        pids = stream.read().split()
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stream:
            fields = stream.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
