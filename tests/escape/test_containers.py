"""Attacks on and by containers that have a state: their exec, health checks, logs and names. Each of them fails.

The identifiers are those of the vulnerabilities in other runners that each test repeats.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import worlds
from worlds import World, until

Detach = Callable[..., str]
FOREVER = ("box", "sleep", "1000")


def start(world: World, *words: str, **options: object) -> "subprocess.Popen[bytes]":
    """`jettison …`, still running."""
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    command = [*world.jettison.command, *words]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("number", [*range(3, 16), 20, 60])
def test_the_working_directory_of_exec_is_inside(world: World, detach: Detach, number: int) -> None:
    """R2, CVE-2024-21626: a descriptor's link in /proc leads nowhere, whatever the caller has open."""
    world.image(lambda folder: (folder / "here").write_text("inside"))
    detach("--name", "web", *FOREVER)
    open_folder = os.open("/", os.O_RDONLY)
    os.dup2(open_folder, number) if number >= 20 else None
    for pattern in ("/proc/self/fd/{}", "/proc/1/fd/{}", "/proc/self/fd/{}/../../.."):
        process = start(
            world, "exec", "-w", pattern.format(number), "web", "sh", "-c", "cat ../../../../../here", close_fds=False
        )
        said = process.communicate(timeout=20)[0]
        assert process.returncode == 125 or said == b"inside"
    os.close(open_folder)
    if number >= 20:
        os.close(number)


THIEF = """
while :; do
    for f in /proc/[0-9]*/fd/* /proc/[0-9]*/root /proc/[0-9]*/cwd /proc/[0-9]*/exe; do
        case "$(readlink $f 2>/dev/null)" in *python*|*jettison*) echo "stolen $f" >> /stolen;; esac
        test -e $f/marker-of-the-machine && echo "folder $f" >> /stolen
    done 2>/dev/null
done
"""


@pytest.mark.parametrize("user", ["0", "101"])
def test_nobody_looks_into_who_enters(world: World, detach: Detach, user: str, shared_folder: Path) -> None:
    """R1 and R3, CVE-2016-9962 and CVE-2019-5736: while one enters, nobody inside gets at its descriptors, root or program."""
    marker = Path("/tmp/marker-of-the-machine") if os.geteuid() == 0 else shared_folder / "marker-of-the-machine"
    marker.write_text("")
    try:
        world.image(uid=[user], gid=[user])
        detach("--name", "web", "box", "sh", "-c", f"touch /stolen; ({THIEF}) & ({THIEF}) & wait") if user == "0" else detach(
            "--name", "web", "--tmpfs", "/t:mode=1777", "box", "sh", "-c", THIEF.replace("/stolen", "/t/stolen")
        )
        os.chdir(marker.parent)
        for _ in range(40):
            done = world.jettison.call("exec", "web", "true")
            assert done.returncode == 0, done.stderr
        stolen = "/stolen" if user == "0" else "/t/stolen"
        assert world.jettison("exec", "web", "sh", "-c", f"cat {stolen} 2>/dev/null || true") == ""
    finally:
        marker.unlink()


@pytest.mark.parametrize("path", ["/proc/self/exe", "/link", "/script"])
def test_exec_never_starts_the_interpreter(world: World, detach: Detach, path: str) -> None:
    """R1, CVE-2019-5736: neither by a link into /proc, where who enters has no folder yet, nor by a script's first line."""

    def fill(folder: Path) -> None:
        (folder / "link").symlink_to("/proc/self/exe")
        (folder / "script").write_text("#!/proc/self/exe\n")
        (folder / "script").chmod(0o755)

    world.image(fill)
    detach("--name", "web", *FOREVER)

    done = world.jettison.call("exec", "web", path, "-c", "print('escaped')")

    assert (done.returncode, done.stdout) == (127, "")


def test_exec_at_the_moment_of_the_start(world: World, detach: Detach) -> None:
    """Whenever it comes, it sees the container's files, or nothing: never the machine's."""
    world.image(lambda folder: (folder / "inside").write_text(""))
    seen = []
    for number in range(50):
        running = start(world, "run", "--name", "web", "box", "sleep", "0.4")
        time.sleep(number % 10 * 0.003)
        trying = [start(world, "exec", "web", "/bin/ls", "/") for _ in range(3)]
        for process in trying:
            said = process.communicate(timeout=20)[0]
            assert process.returncode in (0, 125, 137), said
            if process.returncode == 0:
                seen.append(said)
        running.communicate(timeout=20)
    assert seen
    assert all(b"inside" in said and b"boot" not in said for said in seen)


def test_no_privilege_by_exec_or_by_a_check(world: World, detach: Detach) -> None:
    """R14: the first program's capabilities, no way to new ones, and the filter: for a further program, a terminal's, and a
    health check."""
    proof = "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\n\\t '"
    check = f"{proof} > /checked.new; mv /checked.new /checked"
    detach("--name", "web", "--health-cmd", check, "--health-interval", "100ms", *FOREVER)
    first = world.shell(proof)

    assert first.endswith(f"CapAmb:{0:016x}NoNewPrivs:1Seccomp:2")
    assert first.startswith(f"CapInh:{0:016x}")
    assert world.jettison("exec", "web", "sh", "-c", proof) == first
    assert world.jettison("exec", "-t", "web", "sh", "-c", proof) == first
    until(lambda: world.jettison.call("exec", "web", "cat", "/checked").stdout == first)
    for attack in ("mount -t tmpfs x /mnt", "chroot / true", "unshare -U true", "mknod /x b 8 0", "umount /proc"):
        assert world.jettison.call("exec", "web", "sh", "-c", attack).returncode != 0, attack


@pytest.mark.parametrize("place", ["etc/passwd", "etc/group", "proc", "dev", "dev/pts", "tmp", "log", "containers"])
def test_links_out_of_a_container(world: World, detach: Detach, place: str, shared_folder: Path) -> None:
    """R19: whatever links a program makes in its files, logs and exec read and write nothing of the machine's."""
    target = shared_folder / "target"
    target.mkdir()
    target.chmod(0o777)
    attack = f"mkdir -p /{os.path.dirname(place)}; rm -rf /{place}; ln -s {target} /{place}; echo ready; sleep 1000"
    detach("--name", "web", "box", "sh", "-c", attack)
    until(lambda: "ready" in world.jettison("logs", "web"))

    world.jettison.call("exec", "web", "true")
    world.jettison.call("exec", "-t", "web", "true")
    world.jettison.call("exec", "-u", "0", "web", "true")
    world.jettison("logs", "web")
    world.jettison("rm", "-f", "web")

    assert os.listdir(target) == []


def memory_of(processes: list[int]) -> int:
    """The greatest memory of its own that any of them ever had, in bytes."""
    most = 0
    for process in processes:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]) << 10)
    return most


def test_a_flood_of_output(world: World, detach: Detach) -> None:
    """R30, CVE-2020-15157's kind: neither the runner, its logger nor a slow reader takes more memory; the log keeps its size."""
    flags = ["--log-opt", "max-size=1m", "--log-opt", "max-file=3"]
    container = detach("--name", "web", *flags, "box", "sh", "-c", "yes '' & yes & tr '\\0' x < /dev/zero & wait")
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    reader = subprocess.Popen([*world.jettison.command, "logs", "-f", "web"], env=env, stdout=subprocess.PIPE)
    init = world.inspect("web")["State"]["Pid"]
    runner = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
    children = [int(child) for child in Path(f"/proc/{runner}/task/{runner}/children").read_text().split()]
    folder = world.store / "containers" / container
    time.sleep(1)
    for _ in range(20):
        time.sleep(0.1)
        sizes = [path.stat().st_size for path in folder.glob("log*") if path.exists()]
        assert max(sizes) <= 1 << 20
        assert len(sizes) <= 3

    assert memory_of([runner, *(child for child in children if child != init), reader.pid]) < 64 << 20
    reader.kill()
    reader.communicate()


NAMES = ["../x", "a/b", "", ".", "..", "/", "../containers", "x" * 300, "é", "-", "a b", "*", "web\n"]


@pytest.mark.parametrize("verb", [["exec"], ["stop"], ["kill"], ["rm", "-f"], ["wait"], ["logs"], ["inspect"]])
def test_names_lead_nowhere(world: World, detach: Detach, verb: list[str]) -> None:
    """R39: no name is a way out of the store, or a way to another container."""
    detach("--name", "web", *FOREVER)
    (world.store / "names/x").mkdir()

    for name in NAMES:
        done = world.jettison.call(*verb, "--", name, *(["true"] if verb == ["exec"] else []))
        assert done.returncode != 0, name
        assert "internal error" not in done.stderr

    (world.store / "names/x").rmdir()
    assert [each["status"] for each in world.listed()] == ["running"]


def test_a_number_of_somebody_elses(world: World, detach: Detach) -> None:
    """R40: what a dead container's state says of processes is believed by nobody, however it came to be their number."""
    container = detach("--name", "web", "box", "true")
    world.jettison("wait", "web")
    lock = world.store / "containers" / container / "lock"
    victim = subprocess.Popen(["sleep", "100"])
    start_ticks = int(Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()[19])

    for ticks in (start_ticks, start_ticks + 1):
        told = f"{victim.pid:>10}runs {victim.pid} {ticks} 1 0 {victim.pid} 3 4 5 6 7 8 9"
        lock.write_text(told.ljust(210))
        assert world.jettison.call("kill", "web").returncode != 0
        assert world.jettison.call("exec", "web", "true").returncode != 0
        assert world.jettison("stop", "-t", "0", "web") == "web\n"

    lock.write_text(f"{victim.pid:>10}".ljust(210))
    world.jettison("stop", "-t", "0", "web")
    world.jettison("rm", "-f", "web")
    assert victim.poll() is None
    victim.kill()
    victim.wait()


def test_a_living_container_with_a_number_of_somebody_elses(world: World, detach: Detach) -> None:
    """R40: also where the runner lives, a process that started at another time is not its program."""
    container = detach("--name", "web", *FOREVER)
    lock = world.store / "containers" / container / "lock"
    before = lock.read_bytes()
    victim = subprocess.Popen(["sleep", "100"])
    words = before[10:].split()
    words[1] = b"%d" % victim.pid
    lock.write_bytes(before[:10] + b" ".join(words).ljust(200))

    world.jettison.call("kill", "web")

    assert "ended" in world.jettison.call("exec", "web", "true").stderr
    assert victim.poll() is None
    victim.kill()
    victim.wait()
    lock.write_bytes(before)


def test_a_terminal_of_exec_is_the_containers(world: World, detach: Detach) -> None:
    """Another folder in place of /dev/pts gives no terminal, and no file of the machine's."""
    detach("--name", "web", "box", "sh", "-c", "umount /dev/pts; rm -rf /dev/pts; mkdir -p /dev/pts; sleep 1000")
    time.sleep(0.3)

    done = world.jettison.call("exec", "-t", "web", "readlink", "/proc/self/fd/1")

    assert done.returncode == 125 or done.stdout.startswith("/dev/pts/")
    assert worlds.own_mounts(world) == []
