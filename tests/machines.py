"""A machine of the tests' own, as far as networks go: its interfaces, and a world outside."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import peers
from peers import Jettison
from worlds import World

OWN = "198.51.100.1"  # RFC 5737
OUTSIDE = "198.51.100.2"

# Sends all of stdin, ends that direction, prints what comes back. Arguments: tcp or udp, address, port.
CLIENT = """
import socket, sys
kind, address, port = sys.argv[1:4]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
client.settimeout(5)
client.connect((address, int(port)))
client.sendall(sys.stdin.buffer.read())
if kind == "udp":
    print(client.recv(65536).decode())
else:
    client.shutdown(socket.SHUT_WR)
    while data := client.recv(65536):
        sys.stdout.buffer.write(data)
"""

# Listens on each port (`8080`, `53/udp`): says which one it is, who asks, and what. TCP: when all was said.
SERVER = """
import socket, sys, threading
def tcp(port, server):
    while True:
        threading.Thread(target=answer, args=(port, *server.accept()), daemon=True).start()
def answer(port, client, peer):
    said = client.makefile("rb").read()
    client.sendall(f"{port} {peer[0]} ".encode() + said)
    client.close()
def udp(port, server):
    while True:
        said, peer = server.recvfrom(65536)
        server.sendto(f"{port} {peer[0]} ".encode() + said, peer)
ADDRESS = sys.argv[1]
threads = []
for text in sys.argv[2:]:
    port, _, kind = text.partition("/")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind else socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((ADDRESS, int(port)))
    kind or server.listen(4096)
    threads.append(threading.Thread(target=udp if kind else tcp, args=(port, server), daemon=True))
for each in threads:
    each.start()
print("ready", flush=True)
for each in threads:
    each.join()
"""
PYTHON = "/usr/bin/python3"


class Machine:
    """Two network namespaces, each held by a process that sleeps. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        peers.require_root()
        self._hidden = folder / "hidden"
        for tool in ("ip", "nsenter", "unshare"):
            peers.require(tool)
        self._running: list[subprocess.Popen[bytes]] = []
        self._here = self._namespace()
        self._there = self._namespace()

    def __enter__(self) -> "Machine":
        ip = peers.require("ip")
        for inside in (self.inside, self.outside):
            inside(ip, "link", "set", "lo", "up")
        self.inside(ip, "link", "add", "up0", "type", "veth", "peer", "name", "down0", "netns", str(self._there))
        self.inside(ip, "address", "add", f"{OWN}/24", "dev", "up0")
        self.outside(ip, "address", "add", f"{OUTSIDE}/24", "dev", "down0")
        self.inside(ip, "link", "set", "up0", "up")
        self.outside(ip, "link", "set", "down0", "up")
        self.inside(ip, "route", "add", "default", "via", OUTSIDE)
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()

    @property
    def prefix(self) -> list[str]:
        """What comes before a command that is to see this machine's network."""
        return ["nsenter", "--target", str(self._here), "--net"]

    def inside(self, *command: str, stdin: str = "") -> str:
        """What a command says on this machine."""
        return _said([*self.prefix, *command], stdin)

    def outside(self, *command: str, stdin: str = "") -> str:
        """What a command says that runs somewhere else in the world."""
        return _said(["nsenter", "--target", str(self._there), "--net", *command], stdin)

    def ask(self, kind: str, address: str, port: int, text: str = "hello", from_outside: bool = False) -> str:
        """What a server answers; nothing where there is none."""
        call = self.outside if from_outside else self.inside
        try:
            return call(PYTHON, "-c", CLIENT, kind, address, str(port), stdin=text).rstrip("\n")
        except AssertionError:
            return ""

    def serve_outside(self, *ports: str) -> None:
        """Servers somewhere else in the world."""
        self._serve(self._there, OUTSIDE, ports)

    def serve_on_loopback(self, *ports: str) -> None:
        """Servers of this machine that only itself is meant to reach."""
        self._serve(self._here, "127.0.0.1", ports)

    def connect(self, world: World) -> World:
        """Let the runner see this machine's network; and the device that pasta needs, as most machines have it."""
        tun = f'mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && . {self._hidden} && exec "$@"'
        prefix = [*self.prefix, "unshare", "--mount", "--propagation", "private", "sh", "-c", tun, "sh"]
        world.jettison = Jettison(world.store, prefix, world.jettison.command)
        self._hidden.touch()
        return world

    def hide(self, tool: str) -> None:
        """Let the runner not see a program, from now on."""
        with self._hidden.open("a") as stream:
            stream.write(f"mount --bind /dev/null {tool}\n")

    def _serve(self, namespace: int, address: str, ports: Sequence[str]) -> None:
        command = ["nsenter", "--target", str(namespace), "--net", PYTHON, "-c", SERVER, address, *ports]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._running.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"

    def _namespace(self) -> int:
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self._running.append(process)
        assert process.stdout
        process.stdout.readline()
        return process.pid


def _said(command: Sequence[str], stdin: str) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
