"""`--network private` and `--publish`, as root and as an ordinary user, on a machine with a network of the tests' own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import peers
import worlds
from machines import CLIENT, OUTSIDE, OWN, PYTHON, SERVER, Machine
from worlds import World


@pytest.fixture
def machine(shared_folder: Path) -> Iterator[Machine]:
    """A machine with one interface, to a world outside."""
    with Machine(shared_folder) as made:
        yield made


@pytest.fixture(params=["root", "ordinary"])
def world(request: pytest.FixtureRequest, machine: Machine) -> World:
    """A runner that sees the machine's network, with the image `box`, in which Debian's Python can be mounted."""
    peers.require("nft" if request.param == "root" else "slirp4netns")
    made = worlds.world(request)
    made.image(_with_links)
    return machine.connect(made)


only_root = pytest.mark.parametrize("world", ["root"], indirect=True)
only_ordinary = pytest.mark.parametrize("world", ["ordinary"], indirect=True)


def _with_links(folder: Path) -> None:
    (folder / "lib").symlink_to("usr/lib")
    (folder / "lib64").symlink_to("usr/lib64")


@contextmanager
def serving(world: World, *flags: str, ports: Sequence[str] = ("80",)) -> Iterator["subprocess.Popen[bytes]"]:
    """A server in a world, from when it listens."""
    command = ["-v", "/usr:/usr:ro", "box", PYTHON, "-c", SERVER, "0.0.0.0", *ports]
    with world.start(*flags, *command, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        try:
            assert process.stdout.readline() == b"ready\n", process.stderr.read()
            yield process
        finally:
            process.terminate()


def left(machine: Machine) -> list[str]:
    """What a private network has made on the machine."""
    links = re.findall(r"^\d+: (jettison[^:@]*)", machine.inside("ip", "link"), re.MULTILINE)
    tables = machine.inside("nft", "list", "tables").splitlines()
    inode = machine.inside("stat", "-L", "-c", "%i", "/proc/self/ns/net").strip()
    return [*links, *tables, *(str(path) for path in Path("/run").glob(f"jettison/networks/{inode}"))]


# Ports


def test_a_published_port_leads_to_the_program(world: World, machine: Machine) -> None:
    """Also much of it, and the end of one direction is not that of the other. Who asks has never the loopback's address (R29)."""
    text = "0123456789abcdef" * (1 << 18)

    with serving(world, "-p", "8080:80"):
        port, peer, said = machine.ask("tcp", "127.0.0.1", 8080, text).split(" ", 2)

    assert (port, said == text) == ("80", True)
    assert not peer.startswith("127.")


def test_a_published_port_is_the_machines_own_affair(world: World, machine: Machine) -> None:
    """Nobody outside reaches it, and neither does who asks for another of this machine's addresses (R28)."""
    with serving(world, "-p", "8080:80"):
        assert machine.ask("tcp", "127.0.0.1", 8080)
        assert machine.ask("tcp", OWN, 8080) == ""
        assert machine.ask("tcp", OWN, 8080, from_outside=True) == ""


def test_a_port_is_published_to_everybody_where_that_is_said(world: World, machine: Machine) -> None:
    """Both of TCP and UDP; an answer comes from the address that was asked."""
    flags = ["-p", "0.0.0.0:8080:80", "-p", "0.0.0.0:5353:53/udp"]

    with serving(world, *flags, ports=["80", "53/udp"]):
        assert machine.ask("tcp", OWN, 8080, from_outside=True).startswith("80 ")
        assert machine.ask("udp", OWN, 5353, from_outside=True).startswith("53 ")
        assert machine.ask("udp", "127.0.0.1", 5353).startswith("53 ")


def test_what_is_not_published_is_not_reached(world: World, machine: Machine) -> None:
    """A program's other port, by the same number on the machine."""
    with serving(world, "-p", "8080:80", ports=["80", "81"]):
        assert machine.ask("tcp", "127.0.0.1", 81) == ""


def test_ranges_and_free_ports(world: World, machine: Machine) -> None:
    """Of ranges port by port; of a range for one port a free one; of no port any. The choice is told."""
    flags = ["-p", "8000-8002:9000-9002", "-p", "8000-8005:9003", "-p", "9004/udp", "-p", "[::1]:8080:9000"]

    with serving(world, *flags, ports=["9000", "9001", "9002", "9003", "9004/udp"]) as process:
        assert process.stderr
        one, any_port = (process.stderr.readline().decode() for _ in range(2))
        free = re.fullmatch(r"note: 127\.0\.0\.1:(\d+) leads to port 9004/udp\n", any_port)

        assert [machine.ask("tcp", "127.0.0.1", 8000 + number).split()[0] for number in range(3)] == ["9000", "9001", "9002"]
        assert one == "note: 127.0.0.1:8003 leads to port 9003/tcp\n"
        assert machine.ask("tcp", "127.0.0.1", 8003).split()[0] == "9003"
        assert free and machine.ask("udp", "127.0.0.1", int(free[1])).split()[0] == "9004"
        assert machine.ask("tcp", "::1", 8080).split()[0] == "9000"


def test_a_port_that_is_taken(world: World, machine: Machine) -> None:
    """The error names it, before the program starts, and nothing is left."""
    machine.serve_on_loopback("8080")

    done = world.call("-p", "8080:80", "box", "echo", "started")

    assert (done.stdout, done.returncode != 0) == ("", True)
    assert "cannot publish 127.0.0.1:8080 as 80/tcp: Address already in use" in done.stderr
    _until(lambda: left(machine) == [])


@only_ordinary
def test_a_port_of_the_privileged(world: World) -> None:
    """The mend says which ports an ordinary user has."""
    done = world.call("-p", "80:80", "box", "true")

    assert "cannot publish 127.0.0.1:80 as 80/tcp: Permission denied" in done.stderr
    assert "ip_unprivileged_port_start" in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--network", "host", "-p", "80"], "wants a private network, and `--network host` was asked for"),
        (["--network", "none", "-p", "80"], "wants a private network, and `--network none` was asked for"),
        (["--network", "web"], "there is no network `web`"),
        (["--expose", "x"], "`--expose x`: `x` is no port"),
    ],
)
def test_flags_that_contradict_each_other(world: World, flags: list[str], message: str) -> None:
    """They are refused, not dropped."""
    assert message in world.call(*flags, "box", "true").stderr


def test_the_plan_says_it(world: World, machine: Machine) -> None:
    """And makes nothing."""
    steps = world("--explain", "-p", "8000-8010:80", "--expose", "81", "box", "true")

    assert steps.startswith("publish 127.0.0.1:8000-8010 as 80/tcp\n")
    assert ("join the bridge `jettison0`" in steps) != ("through `slirp4netns`" in steps)
    _until(lambda: left(machine) == [])


def test_a_thousand_connections(world: World, machine: Machine) -> None:
    """All at once, all are served."""
    script = """
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))
clients = [socket.create_connection(("127.0.0.1", 8080), 10) for _ in range(1000)]
for client in clients:
    client.sendall(b"x" * 100)
    client.shutdown(socket.SHUT_WR)
print(sum(len(client.makefile("rb").read()) > 100 for client in clients))
"""
    with serving(world, "-p", "8080:80"):
        assert machine.inside(PYTHON, "-c", script) == "1000\n"


def test_a_slow_reader_costs_no_memory(world: World, machine: Machine) -> None:
    """What is sent to somebody who does not read waits with who sends it."""
    flood = """
import socket
server = socket.create_server(("", 80))
print("ready", flush=True)
clients = [server.accept()[0] for _ in range(200)]
[client.setblocking(False) for client in clients]
while True:
    for client in clients:
        try:
            client.send(bytes(1 << 20))
        except OSError:
            pass
"""
    script = """
import socket, time
clients = [socket.create_connection(("127.0.0.1", 8080), 5) for _ in range(200)]
time.sleep(2)
print(sum(len(client.recv(9)) for client in clients))
"""
    with world.start("-p", "8080:80", "-v", "/usr:/usr:ro", "box", PYTHON, "-c", flood) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        (attendant,) = _children(process.pid, "attendant")
        assert machine.inside(PYTHON, "-c", script) == "1800\n"
        assert _resident_kib(attendant) < 64 << 10
        process.terminate()


def test_nobody_listens(world: World, machine: Machine) -> None:
    """Whoever connects is told so, and the next one that comes when somebody does is served."""
    script = f"sleep 2; exec {PYTHON} -c '{SERVER}' 0.0.0.0 80"

    with world.start("-p", "8080:80", "-v", "/usr:/usr:ro", "box", "sh", "-c", script) as process:
        assert process.stdout
        assert machine.ask("tcp", "127.0.0.1", 8080) == ""
        assert process.stdout.readline() == b"ready\n"
        assert machine.ask("tcp", "127.0.0.1", 8080).startswith("80 ")
        process.terminate()


# The way out


def asked(world: World, address: str, port: int, *flags: str) -> "subprocess.CompletedProcess[str]":
    """A question from inside a world."""
    client = ["-i", "-v", "/usr:/usr:ro", "box", PYTHON, "-c", CLIENT, "tcp", address, str(port)]
    return world.call(*(flags or ("--network", "private")), *client, stdin="hello")


@pytest.mark.parametrize("network", ["private", "bridge"])
def test_the_way_out(world: World, machine: Machine, network: str) -> None:
    """Others see the machine's address. `bridge` is docker's word."""
    machine.serve_outside("7777")

    assert asked(world, OUTSIDE, 7777, "--network", network).stdout == f"7777 {OWN} hello"


def test_none_has_no_way_out(world: World, machine: Machine) -> None:
    """And no interface but the loopback."""
    machine.serve_outside("7777")

    assert "Network is unreachable" in asked(world, OUTSIDE, 7777, "--network", "none").stderr
    assert world.shell("cat /proc/net/dev | tail -n +3 | cut -d: -f1", "--network", "none").split() == ["lo"]


def test_the_machines_loopback_stays_its_own(world: World, machine: Machine) -> None:
    """Neither the own loopback nor the gateway leads to it."""
    machine.serve_on_loopback("7777")
    gateway = world.shell("ip route | grep default | cut -d' ' -f3", "--network", "private").strip()

    for address in ("127.0.0.1", gateway):
        done = asked(world, address, 7777)
        assert (done.stdout, done.returncode) == ("", 1), done.stderr


def test_the_files_of_names(world: World) -> None:
    """The own name has the own address; name servers are the machine's that can be reached, or those given."""
    script = "cat /etc/hosts; hostname; ip -4 -o address show eth0; cat /etc/resolv.conf"

    hosts, name, *rest = (
        world.shell(script, "--network", "private", "--dns", "192.0.2.53").rpartition("resolv")[2].split("\n")[2:]
    )

    assert hosts.split()[1] == name
    assert f"inet {hosts.split()[0]}/22 " in rest[0]
    assert "nameserver 192.0.2.53" in rest


def test_ports_and_pings_are_everybodys(world: World) -> None:
    """As in docker: a user of the image listens on port 80, and may ask who is there."""
    with serving(world, "--network", "private", "-u", "101:102"):
        pass
    assert world.shell("cat /proc/sys/net/ipv4/ping_group_range", "--network", "private").split()[0] == "0"


def test_settings_of_the_own_network(world: World) -> None:
    """`--sysctl net.*` is allowed."""
    flags = ["--network", "private", "--sysctl", "net.ipv4.tcp_syn_retries=2"]

    assert world.shell("cat /proc/sys/net/ipv4/tcp_syn_retries", *flags) == "2\n"


@only_ordinary
def test_pasta(world: World, machine: Machine) -> None:
    """Where there is no slirp4netns: the same, with the machine's name servers."""
    peers.require("pasta")
    machine.serve_outside("7777/udp")
    machine.serve_on_loopback("8888")
    machine.hide(peers.require("slirp4netns"))
    client = ["-i", "-v", "/usr:/usr:ro", "box", PYTHON, "-c", CLIENT, "udp", OUTSIDE, "7777"]

    assert world("--network", "private", *client, stdin="hello") == f"7777 {OWN} hello\n"
    gateway = world.shell("ip route | grep default | cut -d' ' -f3", "--network", "private").strip()
    assert asked(world, gateway, 8888).stdout == ""


def test_a_tool_is_missing(world: World, machine: Machine) -> None:
    """The error says which, and how to get it; nothing is started, and nothing left."""
    for tool in ("pasta", "slirp4netns", "nft"):
        machine.hide(peers.require(tool))

    done = world.call("--network", "private", "box", "echo", "started")

    assert (done.stdout, done.returncode != 0) == ("", True)
    assert "apt-get install" in done.stderr
    assert ("`nft`" in done.stderr) == (world.user is None)
    _until(lambda: left(machine) == [])


# Several, and what is left


@only_root
def test_two_worlds_reach_each_other(world: World, machine: Machine) -> None:
    """Each at its own address, and each other's ports without any being published."""
    with serving(world, "--network", "private"):
        first = world.shell("ip -4 -o address show eth0", "--network", "private").split()[3].removesuffix("/22")
        number = int(first.rpartition(".")[2])
        server = f"{first.rpartition('.')[0]}.{number - 1}"

        assert asked(world, server, 80).stdout == f"80 {first} hello"
        assert machine.ask("tcp", server, 80).startswith("80 ")
        machine.outside("ip", "route", "add", "10.0.0.0/8", "via", OWN)
        assert machine.ask("tcp", server, 80, from_outside=True) == ""  # no way in for who knows the way

    _until(lambda: left(machine) == [])


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_nothing_is_left(world: World, machine: Machine, end: str) -> None:
    """After a signal to the runner; and where it is killed, after the next one's end. No process outlives it."""
    with serving(world, "-p", "8080:80") as process:
        children = _children(process.pid, "")
        assert len(children) == 2
        grandchildren = [pid for child in children for pid in _children(child, "slirp4netns")]
        getattr(process, end)()
        process.wait(20)
        _until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in [*children, *grandchildren]))
        if end == "kill" and world.user is None:
            assert "jettison0" in left(machine)
        else:
            _until(lambda: left(machine) == [])

    assert world.shell("echo again", "-p", "8080:80") == "again\n"
    _until(lambda: left(machine) == [])


def test_the_attendant_is_killed(world: World, machine: Machine) -> None:
    """The program goes on, and at its end nothing is left all the same."""
    with serving(world, "-p", "8080:80") as process:
        (attendant,) = _children(process.pid, "attendant")
        programs = _children(attendant, "slirp4netns")
        os.kill(attendant, signal.SIGKILL)
        assert machine.ask("tcp", "127.0.0.1", 8080) == ""
        assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 143

    _until(lambda: left(machine) == [] and not any(os.path.exists(f"/proc/{pid}") for pid in programs))


@only_root
def test_whatever_somebody_has_left(world: World, machine: Machine) -> None:
    """A bridge without an address, or without its table, is mended."""
    machine.serve_outside("7777")
    machine.inside("ip", "link", "add", "jettison0", "type", "bridge")
    assert asked(world, OUTSIDE, 7777).stdout == f"7777 {OWN} hello"
    with serving(world, "--network", "private"):
        machine.inside("nft", "flush", "ruleset")
        assert asked(world, OUTSIDE, 7777).stdout == f"7777 {OWN} hello"

    _until(lambda: left(machine) == [])


@only_root
def test_another_firewall_drops_what_is_forwarded(world: World, machine: Machine) -> None:
    """As docker's does: doctor says so, and its mend helps."""
    machine.serve_outside("7777")
    for rule in ("-N DOCKER-USER", "-P FORWARD DROP", "-A FORWARD -j DOCKER-USER"):
        machine.inside("iptables", *rule.split())
    assert asked(world, OUTSIDE, 7777).stdout == ""

    (mend,) = re.findall(r"mend: `(.* iptables .*)`", world.jettison.call("doctor").stdout)
    machine.inside("sh", "-c", mend)

    assert asked(world, OUTSIDE, 7777).stdout == f"7777 {OWN} hello"


@only_root
def test_a_subnet_that_is_in_use(world: World, machine: Machine) -> None:
    """Where a route leads to it, another one is taken."""
    usual = world.shell("ip route", "--network", "private")
    machine.inside("ip", "route", "add", "10.213.0.0/16", "via", OUTSIDE)

    other = world.shell("ip route", "--network", "private")

    assert "10.213.0.0/22" in usual
    assert "10.214.0.0/22" in other


def test_fifty_at_once(world: World, machine: Machine) -> None:
    """Each has its port, and as root its address; nothing is left."""
    script = "ip -4 -o address show eth0; exec sleep 60"
    processes = [world.start("-p", f"{9000 + number}:80", "box", "sh", "-c", script) for number in range(50)]
    addresses = [process.stdout.readline().split()[3] for process in processes if process.stdout]
    for process in processes:
        process.terminate()
    for process in processes:
        process.communicate(timeout=60)

    assert [process.returncode for process in processes] == [143] * 50
    assert len(set(addresses)) == (50 if world.user is None else 1)
    _until(lambda: left(machine) == [])


@pytest.mark.parametrize("network", ["host", "none"])
def test_nothing_of_it_is_imported_elsewhere(world: World, network: str) -> None:
    """A start with another network costs nothing more than before."""
    own = {"network", "bridge", "usermode", "attendant", "forward", "ports", "netlink", "nftables", "lease", "subnet"}
    place = world.jettison.command.index("-m" if world.user else world.command[0])
    interpreter = [] if world.user else [sys.executable]
    world.jettison.command[place:place] = [*interpreter, "-X", "importtime"]

    said = world.call("--network", network, "box", "true").stderr

    imported = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "jettison.sandbox.plan" in imported
    assert not {f"jettison.sandbox.{name}" for name in own} & imported


def _children(pid: int, name: str) -> list[int]:
    """The children of a process: all, those of a name, or the "attendant", who is in the same process namespace."""
    found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    if name == "attendant":
        return [each for each in found if os.stat(f"/proc/{each}/ns/pid").st_ino == os.stat(f"/proc/{pid}/ns/pid").st_ino]
    return [each for each in found if name in Path(f"/proc/{each}/comm").read_text()]


def _resident_kib(pid: int) -> int:
    (line,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(line)


def _until(is_so: Callable[[], bool]) -> None:
    """Wait for what takes the kernel a moment."""
    until_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.05)
