"""What a detached program prints: kept, cut, followed; as root and as an ordinary user."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from worlds import World, until

Detach = Callable[..., str]


def logs(world: World, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """`jettison logs …` in bytes."""
    return Following(world, *arguments).finish()


class Following:
    """`jettison logs …` that goes on."""

    def __init__(self, world: World, *arguments: str) -> None:
        env = {**os.environ, "JETTISON_HOME": str(world.store)}
        command = [*world.jettison.command, "logs", *arguments]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self) -> "subprocess.CompletedProcess[bytes]":
        out, err = self.process.communicate(timeout=60)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def test_streams_and_bytes(world: World, detach: Detach) -> None:
    """stdout and stderr apart, bytes as they are, and a last line without an end."""
    detach("--name", "web", "box", "sh", "-c", r"printf 'a\0\377\r\nb'; printf 'err\n' >&2; sleep 0.2; printf 'c\n\nend'")
    world.jettison("wait", "web")

    done = logs(world, "web")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\0\xff\r\nbc\n\nend", b"err\n")


def test_follow_ends_with_the_container(world: World, detach: Detach) -> None:
    """All of it, also the last line; and of one with `--rm`."""
    detach("--name", "web", "--rm", "box", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done; echo end")

    assert logs(world, "-f", "web").stdout == b"1\n2\n3\nend\n"


def test_tail(world: World, detach: Detach) -> None:
    """The last lines, each with all its parts; then what follows."""
    detach("--name", "web", "box", "sh", "-c", "for i in 1 2 3; do echo $i; done; printf a; sleep 0.1; printf b; sleep 1; echo c")
    until(lambda: logs(world, "web").stdout.endswith(b"ab"))

    assert logs(world, "--tail", "2", "web").stdout == b"3\nab"
    assert logs(world, "-n", "0", "web").stdout == b""
    assert logs(world, "-f", "-n", "1", "web").stdout == b"abc\n"
    assert logs(world, "-n", "all", "web").stdout == b"1\n2\n3\nabc\n"
    assert logs(world, "-n", "-3", "web").returncode == 2


def test_times(world: World, detach: Detach) -> None:
    """`--since` and `--until` take a time, the seconds since 1970, or how long ago; `-t` shows each line's."""
    detach("--name", "web", "box", "sh", "-c", "echo early; sleep 2; echo late; sleep 1000")
    until(lambda: b"late" in logs(world, "web").stdout)
    shown = logs(world, "-t", "web").stdout.decode().splitlines()
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (early|late)", line) for line in shown)
    between = datetime.fromisoformat(shown[0].split(".")[0]).replace(tzinfo=UTC) + timedelta(seconds=1, milliseconds=500)

    for text in (between.isoformat(), str(between.timestamp())):
        assert logs(world, "--since", text, "web").stdout == b"late\n"
        assert logs(world, "--until", text, "web").stdout == b"early\n"
    assert logs(world, "--since", "1h", "web").stdout == b"early\nlate\n"
    assert logs(world, "--until", "1h", "web").stdout == b""
    assert logs(world, "--since", "yesterday", "web").returncode == 2
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert logs(world, "-f", "--until", soon.isoformat(), "web").stdout == b"early\nlate\n"


def test_a_log_has_its_size(world: World, detach: Detach) -> None:
    """The oldest lines go; no file is larger than was asked for."""
    flags = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3"]
    container = detach("--name", "web", *flags, "box", "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done")
    world.jettison("wait", "web")

    sizes = {path.name: path.stat().st_size for path in (world.store / "containers" / container).glob("log*")}

    assert sorted(sizes) == ["log", "log.1", "log.2"]
    assert max(sizes.values()) <= 10 << 10
    lines = logs(world, "web").stdout.split()
    assert lines == [b"%d" % number for number in range(2000 - len(lines), 2000)]
    assert len(lines) > 400


def test_follow_through_rotations(world: World, detach: Detach) -> None:
    """A reader that keeps up misses nothing, and sees nothing twice."""
    flags = ["--log-opt", "max-size=4k", "--log-opt", "max-file=4"]
    script = "read x; i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); [ $((i%40)) = 0 ] && sleep 0.02; done"
    fifo = world.folder("fifo")
    os.mkfifo(fifo / "go", 0o666)
    os.chmod(fifo / "go", 0o666)
    detach("--name", "web", *flags, "-v", f"{fifo}:/fifo", "box", "sh", "-c", f"({script}) < /fifo/go")
    reader = Following(world, "-f", "web")
    time.sleep(0.5)
    (fifo / "go").write_text("go\n")

    assert reader.finish().stdout.split() == [b"%d" % number for number in range(3000)]


def test_no_log(world: World, detach: Detach) -> None:
    """`--log-driver none` keeps nothing; what runs in the foreground has none either."""
    container = detach("--name", "web", "--log-driver", "none", "box", "sh", "-c", "echo hi; sleep 1000")
    assert "its log driver is `none`" in logs(world, "web").stderr.decode()
    assert not (world.store / "containers" / container / "log").exists()


def test_a_full_disk_stops_no_program(world: World, detach: Detach) -> None:
    """It runs to its end; the log has whole lines alone. A file's greatest size stands for the disk's."""
    script = 'ulimit -f 8; exec "$@"'
    env = {**os.environ, "JETTISON_HOME": str(world.store)}
    program = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; exit 4"
    command = ["sh", "-c", script, "sh", *world.jettison.command, "run", "-d", "--name", "web", "box", "sh", "-c", program]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=60)

    assert world.jettison("wait", "web") == "4\n"

    lines = logs(world, "web").stdout.splitlines()
    assert lines == [b"line %d" % number for number in range(len(lines))]
    assert 50 < len(lines) < 1000
