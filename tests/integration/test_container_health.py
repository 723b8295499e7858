"""Health checks, and containers as services of systemd's; as root and as an ordinary user."""

import json
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

import peers
import worlds
from worlds import World, until

Detach = Callable[..., str]
FOREVER = ("box", "sleep", "1000")
OFTEN = ("--health-interval", "100ms")


def health(world: World, name: str = "web") -> str:
    """docker's word; empty where nobody checks."""
    return str(world.inspect(name)["State"].get("Health", {}).get("Status", ""))


def test_healthy_and_not(world: World, detach: Detach) -> None:
    """From starting to healthy to unhealthy and back, as the command says."""
    detach("--name", "web", *OFTEN, "--health-retries", "2", "--health-cmd", "echo seen; test -e /well", *FOREVER)
    until(lambda: health(world) == "unhealthy")
    assert "(unhealthy)" in world.jettison("ps")

    world.jettison("exec", "web", "touch", "/well")
    until(lambda: health(world) == "healthy")
    assert [each["name"] for each in world.listed("-f", "health=healthy")] == ["web"]
    world.jettison("exec", "web", "rm", "/well")
    until(lambda: health(world) == "unhealthy")

    told = world.inspect("web")["State"]["Health"]
    assert told["FailingStreak"] >= 2
    assert len(told["Log"]) == 5
    assert (told["Log"][-1]["ExitCode"], told["Log"][-1]["Output"]) == (1, "seen\n")


def test_the_start_period(world: World, detach: Detach) -> None:
    """Failures in it do not count."""
    detach("--name", "web", *OFTEN, "--health-start-period", "1000s", "--health-retries", "1", "--health-cmd", "false", *FOREVER)

    until(lambda: len(world.inspect("web")["State"]["Health"]["Log"]) >= 3)

    assert health(world) == "starting"


@pytest.mark.parametrize("command", ["sleep 1000", "yes", "sleep 1000 & yes & wait"])
def test_a_check_that_takes_too_long(world: World, detach: Detach, command: str) -> None:
    """It is killed, however much it prints, and counts as a failure."""
    flags = ["--health-timeout", "300ms", "--health-retries", "2", "--health-cmd", command]
    detach("--name", "web", *OFTEN, *flags, *FOREVER)

    until(lambda: health(world) == "unhealthy")

    last = world.inspect("web")["State"]["Health"]["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (-1, "Health check exceeded timeout (0.3s)")


def test_a_check_that_leaves_others_behind(world: World, detach: Detach) -> None:
    """What a check starts, and does not wait for, is not waited for."""
    detach("--name", "web", *OFTEN, "--health-cmd", "yes > /proc/self/fd/1 & exit 0", *FOREVER)

    until(lambda: health(world) == "healthy")


def test_a_check_that_cannot_be_started(world: World, detach: Detach) -> None:
    """It is a failure, and the reason is told."""
    world.image(health=["100000000", "0", "0", "1", "CMD", "/absent"])
    detach("--name", "web", *FOREVER)

    until(lambda: health(world) == "unhealthy")

    assert "no program `/absent`" in world.inspect("web")["State"]["Health"]["Log"][-1]["Output"]


def test_checks_in_the_foreground(world: World, detach: Detach) -> None:
    """Nothing of theirs is printed, and the end does not wait for them."""
    done = world.call(*OFTEN, "--health-cmd", "echo check", "box", "sh", "-c", "sleep 1; echo end; exit 3")

    assert (done.returncode, done.stdout, done.stderr) == (3, "end\n", "")


def image_of(folder: Path, check: object) -> Path:
    """An archive as `docker save` writes it, of an image with this Healthcheck."""
    root = folder / "root"
    root.mkdir()
    worlds.fill_busybox(root)
    layer = folder / "layer.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(layer), "."], check=True)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"], "Healthcheck": check},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer.read_bytes()).hexdigest()}"]},
        }
    ).encode()
    (folder / "config.json").write_bytes(config)
    (folder / "manifest.json").write_text(
        json.dumps([{"Config": "config.json", "RepoTags": ["checked:1"], "Layers": ["layer.tar"]}])
    )
    archive = folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("manifest.json", "config.json", "layer.tar"):
            tar.add(folder / name, name)
    return archive


EACH_100_MS = {"Interval": 100_000_000, "Timeout": 3_000_000_000, "Retries": 1}


@pytest.mark.parametrize(
    ("check", "flags", "expected"),
    [
        ({"Test": ["CMD-SHELL", "test -e /bin || exit 1"], **EACH_100_MS}, [], "healthy"),
        ({"Test": ["CMD", "false"], **EACH_100_MS}, [], "unhealthy"),
        ({"Test": ["CMD", "false"], **EACH_100_MS}, ["--health-cmd", "true"], "healthy"),
        ({"Test": ["CMD", "false"], **EACH_100_MS}, ["--no-healthcheck"], ""),
        ({"Test": ["NONE"]}, [], ""),
        (None, [], ""),
    ],
)
def test_the_images_own_check(
    world: World, detach: Detach, tmp_path: Path, check: object, flags: list[str], expected: str
) -> None:
    """HEALTHCHECK as docker writes it; flags come over it."""
    archive = world.folder("archive") / "image.tar"
    archive.write_bytes(image_of(tmp_path, check).read_bytes())
    world.jettison("load", "-i", str(archive))

    detach("--name", "web", *flags, "checked:1")

    until(lambda: health(world) == expected)


def test_a_slim_image_keeps_the_checks_programs(world: World, detach: Detach, tmp_path: Path) -> None:
    """Also those that nothing else starts, and the shell of a check that needs one."""
    checks = {"healthy": ["CMD", "true"], "unhealthy": ["CMD-SHELL", "test -e /bin && cat /absent"], "": ["NONE"]}
    for expected, test in checks.items():
        made = tmp_path / f"image{expected}"
        made.mkdir()
        archive = world.folder(f"archive{expected}") / "image.tar"
        archive.write_bytes(image_of(made, {"Test": test, **EACH_100_MS}).read_bytes())
        world.jettison("slim", str(archive), "-t", "thin")

        detach("--name", "web", "thin")

        until(lambda expected=expected: health(world) == expected)  # type: ignore[misc]
        if expected == "unhealthy":
            assert "can't open '/absent'" in world.inspect("web")["State"]["Health"]["Log"][-1]["Output"]
        world.jettison("rm", "-f", "web")


# systemd


def test_notifications_pass_through(world: World, detach: Detach) -> None:
    """What the program tells its service manager arrives, from a socket that is a path or an abstract name."""
    folder = world.folder("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "socket"))
        manager.settimeout(20)
        os.chmod(folder / "socket", 0o777)
        process = notifying(world, str(folder / "socket"))
        assert manager.recv(100) == b"READY=1"
        process.communicate(timeout=10)


def notifying(world: World, address: str) -> "subprocess.Popen[bytes]":
    """A program that tells READY=1 to the socket of $NOTIFY_SOCKET."""
    talker = world.folder("talker") / "notify"
    source = talker.with_suffix(".c")
    source.write_text(NOTIFY)
    subprocess.run([peers.require("musl-gcc"), "-static", "-o", str(talker), str(source)], check=True)
    talker.chmod(0o755)
    return start_with(world, {"NOTIFY_SOCKET": address}, "-v", f"{talker}:/notify:ro", "box", "/notify")


def start_with(world: World, variables: dict[str, str], *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
    """`jettison run …` with these variables; an ordinary user's command begins with an empty environment."""
    given = [f"{name}={text}" for name, text in {"JETTISON_HOME": str(world.store), **variables}.items()]
    prefix = world.user.prefix if world.user else []
    command = [*prefix, "env", *given, *WRAPPER, *world.command, "run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload, no-any-return]


# Who execs tells its own process id, as a service manager does.
WRAPPER = ("sh", "-c", 'test -z "$LISTEN_FDS" || export LISTEN_PID=$$; exec env "$@"', "sh")
NOTIFY = r"""
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
    if (*path == '@') to.sun_path[0] = 0;
    return sendto(socket(AF_UNIX, SOCK_DGRAM, 0), "READY=1", 7, 0, (struct sockaddr *)&to, length) != 7;
}
"""
ANSWER = r"""
#include <stdlib.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    if (atoi(getenv("LISTEN_FDS")) != 1 || atoi(getenv("LISTEN_PID")) != getpid()) return 1;
    int one = accept(3, 0, 0);
    dprintf(one, "hello from %s\n", getenv("LISTEN_FDNAMES"));
    return 0;
}
"""


@pytest.mark.parametrize("flags", [[], ["--init=false"], ["-d", "--name", "web"]])
def test_sockets_pass_through(world: World, detach: Detach, flags: list[str]) -> None:
    """A socket that the service manager listens on is the program's descriptor 3, and LISTEN_PID is its own."""
    folder = world.folder("answer")
    (folder / "answer.c").write_text(ANSWER)
    subprocess.run([peers.require("musl-gcc"), "-static", "-o", str(folder / "answer"), str(folder / "answer.c")], check=True)
    (folder / "answer").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = os.dup(server.fileno())

        def hand_over() -> None:
            os.dup2(number, 3)
            os.set_inheritable(3, True)

        variables = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        volume = ["-v", f"{folder}:/answer:ro"]
        process = start_with(world, variables, *flags, *volume, "box", "/answer/answer", preexec_fn=hand_over, close_fds=False)
        with socket.create_connection(server.getsockname(), timeout=20) as client:
            assert client.recv(100) == b"hello from web\n"
        os.close(number)
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_anothers_sockets_stay_his(world: World) -> None:
    """LISTEN_PID says whom they are for."""
    variables = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}

    process = subprocess.run(
        [*world.jettison.command, "run", "box", "env"],
        env={**os.environ, "JETTISON_HOME": str(world.store), **variables},
        capture_output=True,
        check=True,
    )

    assert b"LISTEN" not in process.stdout
