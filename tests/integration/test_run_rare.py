"""docker's flags that few calls have, and what scripts ask of containers, as root and as an ordinary user."""

import json
import os
import subprocess

import pytest

from worlds import World


def test_streams_that_nobody_asked_for_are_not_seen(world: World) -> None:
    """`-a stderr` is for errors alone; what jettison itself has to say comes through."""
    script = "echo out; echo err >&2"

    only_errors = world.call("-a", "stderr", "box", "sh", "-c", script)
    only_output = world.call("-a", "STDOUT", "box", "sh", "-c", script)
    missing = world.call("-a", "stdout", "box", "nosuch")

    assert (only_errors.stdout, only_errors.stderr) == ("", "err\n")
    assert (only_output.stdout, only_output.stderr) == ("out\n", "")
    assert (missing.returncode, "nosuch" in missing.stderr) == (127, True)


def test_stdin_alone_is_for_a_program_in_the_background(world: World) -> None:
    """It reads what its caller would, whose answer is the id."""
    container = world("-i", "-a", "stdin", "box", "cat", stdin="text").strip()

    assert world.jettison("wait", container) == "0\n"
    assert world.jettison("logs", container).rstrip("\n") == "text"
    world.jettison("rm", container)


def test_stdin_that_does_not_end(world: World) -> None:
    """`-d -i` keeps a program alive that would read."""
    container = world("-d", "-i", "box", "sh", "-c", "echo up; cat; echo ended").strip()

    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(
            [*world.jettison.command, "wait", container], env={**os.environ, "JETTISON_HOME": str(world.store)}, timeout=2
        )

    world.jettison("rm", "-f", container)


def test_a_caller_does_not_wait_for_health_checks(world: World) -> None:
    """Nothing of a detached container holds on to the pipes of who started it."""
    container = world("-d", "--health-cmd", "true", "--health-interval", "100ms", "box", "sleep", "600").strip()

    assert json.loads(world.jettison("inspect", "-f", "{{json .State.Health}}", container))["Status"] in ("starting", "healthy")
    world.jettison("rm", "-f", container)


@pytest.mark.parametrize("flags", [[], ["--network", "none"]])
def test_a_domain_of_its_own(world: World, flags: list[str]) -> None:
    """The kernel tells it, and with an own network the own name's line."""
    said = world.shell(
        "cat /proc/sys/kernel/domainname; grep web /etc/hosts; true", *flags, "-h", "web", "--domainname", "example.org"
    )

    assert said.splitlines() == ["example.org", *(["127.0.0.1\tweb.example.org web"] if flags else [])]


def test_how_it_began_is_known_at_its_end(world: World) -> None:
    """With notes and labels, in docker's words."""
    container = world("-d", "--annotation", "b=2", "--annotation", "a", "--restart", "on-failure:1", "box", "false").strip()
    world.jettison("wait", container)

    said = world.jettison("inspect", "-f", "{{json .}}", container)

    found = json.loads(said)
    assert found["HostConfig"]["Annotations"] == {"a": "", "b": "2"}
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 1}
    assert "1970" < found["Created"] < found["State"]["StartedAt"] < found["State"]["FinishedAt"]
    assert world.jettison("ps", "-a", "--format", r"table {{.State}}\t{{.Image}}").split() == ["STATE", "IMAGE", "exited", "box"]
    world.jettison("rm", container)


@pytest.mark.parametrize("world", ["root"], indirect=True)
def test_published_ports_are_told(world: World) -> None:
    """By `port`, `ps` and `inspect`, while it runs."""
    world("-d", "--name", "web", "-p", "80", "-p", "53/udp", "box", "sleep", "600")

    tcp, udp = (world.jettison("port", "web", port).strip() for port in ("80", "53/udp"))
    assert world.jettison("port", "web") == f"80/tcp -> {tcp}\n53/udp -> {udp}\n"
    assert world.jettison("ps", "--format", "{{.Ports}}") == f"{tcp}->80/tcp, {udp}->53/udp\n"
    assert json.loads(world.jettison("inspect", "-f", "{{json .NetworkSettings.Ports}}", "web")) == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": tcp.removeprefix("127.0.0.1:")}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": udp.removeprefix("127.0.0.1:")}],
    }
    assert "no published port `81/tcp`" in world.jettison.call("port", "web", "81").stderr
    world.jettison("rm", "-f", "web")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--pull", "always"], "cannot pull"),
        (["--sig-proxy=false"], "cannot be had"),
        (["-a", "stdlog"], "no stream"),
        (["-a", "stderr", "-t"], "is its stdout"),
        (["-a", "stdout", "-d"], "contradict"),
        (["--domainname", "a b"], "no domain"),
        (["--annotation", "=x"], "has no name"),
        (["--volumes-from", "x"], "told to nobody else"),
    ],
)
def test_what_cannot_be_is_said(world: World, flags: list[str], words: str) -> None:
    """With docker's status, and before anything is done."""
    done = world.call(*flags, "box", "true")

    assert (done.returncode, words in done.stderr, "hint:" in done.stderr) == (125, True, True), done.stderr
