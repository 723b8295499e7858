"""A network of a world's own with a way out, and this machine's ports that lead into it. Imported only where one is asked for."""

import os

from jettison.sandbox import ports
from jettison.sandbox.attendant import Attendant
from jettison.sandbox.operations import machine_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jettison.sandbox.bridge import Bridge
    from jettison.sandbox.operations import Operation
    from jettison.sandbox.ports import Listener, Publication
    from jettison.sandbox.usermode import UserMode

_SYSTEMD_SERVERS = "/run/systemd/resolve/resolv.conf"  # systemd-resolved(8): those that its own, on the loopback, asks


class Network:
    """In a `with`, from before the start to after the end; `hold` takes the process that waits at its gate.

    `published`: host address, host port, container port and protocol of each port; `address`: the world's own. Both are known
    inside the `with`. `tell` takes what the caller should hear of.
    """

    def __init__(self, publications: "Sequence[Publication]" = (), tell: "Callable[[str], None]" = lambda message: None) -> None:
        self.publications = tuple(publications)
        self.published: list[tuple[str, int, int, str]] = []
        self._tell = tell
        self._way = _way()
        self._listeners: list[Listener] = []
        self._attendant: Attendant | None = None

    @property
    def address(self) -> str:
        return self._way.address

    def __enter__(self) -> "Network":
        """Errors: HostError where a port is taken, or this machine refuses a private network."""
        self._listeners = ports.listen(self.publications)
        self.published = [(each.host_ip, each.host_port, each.container_port, each.protocol) for each in self._listeners]
        self._tell_choices()
        try:
            self._way.enter()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._attendant:
                self._attendant.end()
            self._attendant = None
        finally:
            self._close()
            self._way.leave()

    def describe(self) -> "list[str]":
        """What is done from outside."""
        return [*(f"publish {publication}" for publication in self.publications), self._way.describe()]

    def hold(self, pid: int) -> None:
        """Connect a process that waits to be told who it is. Errors: HostError."""
        self._way.connect(pid)
        command = self._way.command(pid)
        if command or self._listeners:
            self._attendant = Attendant(pid, self._listeners, self.address, command)
        self._close()

    def steps(self) -> "list[Operation]":
        """What the child does in its network."""
        return self._way.steps()

    def hosts_file(self, localhost: bytes, hostname: str) -> bytes:
        """The names of the loopback, and the own one with the own address."""
        return localhost + f"{self.address}\t{hostname}\n".encode()

    def resolver_file(self, has_servers: bool) -> bytes:
        """This machine's resolv.conf(5), with those of its name servers that can be reached from here.

        `has_servers`: others were given. Nobody else's are taken instead: who asks whom is not for us to change.
        """
        if self._way.name_server:
            return _with_servers(machine_file("/etc/resolv.conf"), [self._way.name_server.encode()])
        for path in ("/etc/resolv.conf", _SYSTEMD_SERVERS):
            content = machine_file(path)
            servers = [server for server in _servers(content) if b":" not in server and not server.startswith((b"127.", b"0."))]
            if servers:
                return _with_servers(content, servers)
        if not has_servers:
            self._tell("no name server of this machine can be reached from the private network; `--dns IP` names one")
        return _with_servers(machine_file("/etc/resolv.conf"), [])

    def _tell_choices(self) -> None:
        """Of several ports, or all, the kernel's choice."""
        for publication, (address, port, inside, protocol) in zip(self.publications, self.published, strict=True):
            if publication.host_ports != (port,):
                self._tell(f"{ports.bracketed(address)}:{port} leads to port {inside}/{protocol}")

    def _close(self) -> None:
        """Whoever still listens is the attendant."""
        for listener in self._listeners:
            listener.socket.close()
        self._listeners = []


def _way() -> "Bridge | UserMode":
    if os.geteuid() == 0:
        from jettison.sandbox.bridge import Bridge

        return Bridge()
    from jettison.sandbox.usermode import UserMode

    return UserMode()


def _servers(content: bytes) -> "list[bytes]":
    lines = [line.split() for line in content.splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] == b"nameserver"]


def _with_servers(content: bytes, servers: "Sequence[bytes]") -> bytes:
    lines = [line for line in content.splitlines() if line.split()[:1] != [b"nameserver"]]
    return b"".join(line + b"\n" for line in [*(b"nameserver " + server for server in servers), *lines])
