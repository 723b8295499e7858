"""Images with several users, for an ordinary user who has subordinate ids."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import peers
import subordinate
from subordinate import COUNT, FIRST, UserOfMany
from worlds import World


@pytest.fixture
def many() -> Iterator[UserOfMany]:
    """Such a user."""
    yield from subordinate.user_of_many()


@pytest.fixture
def world(many: UserOfMany, readable_packages: Path) -> World:
    """A runner with the image `box`."""
    many.require_user_namespaces()
    made = World(many.jettison(readable_packages), many)
    made.image(lambda root: (root / "usr").mkdir())
    return made


SYSTEM = ("-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")


def become(uid: int, script: str) -> str:
    """A command line that runs a script as another user of the world."""
    return f"{peers.require('setpriv')} --reuid {uid} --regid {uid} --clear-groups sh -c '{script}'"


def test_root_is_the_caller_and_the_others_are_its_range(world: World, many: UserOfMany) -> None:
    """Docker's and podman's rule."""
    maps = [line.split() for line in world.shell("cat /proc/self/uid_map /proc/self/gid_map").splitlines()]

    assert maps == [["0", str(many.uid), "1"], ["1", str(FIRST), str(COUNT)]] * 2


def test_a_start_as_root_becomes_another_user(world: World) -> None:
    """Who owns what it was given, and nothing else; the caller's groups are gone."""
    script = "mkdir /data && chown 999:999 /data && chmod 700 /data && "
    script += become(999, "id -u; id -G; touch /data/x; touch /x; ls /data")

    done = world.call(*SYSTEM, "box", "sh", "-c", script)

    assert (done.stdout, "'/x': Permission denied" in done.stderr) == ("999\n999\nx\n", True), done.stderr


def test_a_mounted_folder(world: World, many: UserOfMany) -> None:
    """What root writes is the caller's; what another writes belongs to an id of the range, and root inside may remove it."""
    folder = world.folder("shared")
    folder.chmod(0o777)
    world.shell(f"touch /v/root && {become(999, 'mkdir -m 700 /v/other && touch /v/other/x')}", *SYSTEM, "-v", f"{folder}:/v")

    assert {name: (folder / name).stat().st_uid for name in os.listdir(folder)} == {"root": many.uid, "other": FIRST + 998}

    world.shell("rm -r /v/root /v/other", "-v", f"{folder}:/v")
    assert os.listdir(folder) == []


def test_a_program_that_is_somebody_is_the_caller(world: World, many: UserOfMany) -> None:
    """As without a range: what it writes in a mounted folder is the caller's."""
    folder = world.folder("own")

    assert world.shell("id -u; touch /v/x; cat /proc/self/uid_map", "-u", "1000", "-v", f"{folder}:/v").split() == [
        "1000", "1000", str(many.uid), "1",
    ]  # fmt: skip
    assert (folder / "x").stat().st_uid == many.uid


def test_nobody_of_the_range_has_power_over_the_machine(world: World) -> None:
    """With every capability."""
    write = "echo x > /proc/sys/kernel/core_pattern"
    for attack in (write, f"umount /proc/sys; {write}", "mknod /x b 8 0"):
        assert world.call("--cap-add", "ALL", "box", "sh", "-c", attack).returncode != 0
    assert world.call("--cap-add", "ALL", *SYSTEM, "box", "sh", "-c", f"chown {COUNT + 1} /bin").returncode != 0


def test_signals_reach_another_user(world: World) -> None:
    """The init may send them."""
    loop = 'trap "exit 7" TERM; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; exit 9'
    process = world.start(*SYSTEM, "box", "sh", "-c", f"exec {become(999, loop)}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.terminate()

    assert process.wait(30) == 7
    process.stdout.close()


@pytest.mark.parametrize("name", ["subuid", "subgid"])
def test_without_a_range_there_is_one_user(world: World, many: UserOfMany, name: str) -> None:
    """As before."""
    (many.home.parent / "etc" / name).write_text("other:100000:65536\n")

    assert world.shell("cat /proc/self/uid_map").split() == ["0", str(many.uid), "1"]


def test_a_range_that_is_refused(world: World, many: UserOfMany) -> None:
    """Where one map is written and the other is not, nothing starts, and the tool is named; where none is, there is one user."""
    (many.home.parent / "etc/subuid").write_text("many:300000:99999999999\n")
    done = world.call("box", "true")
    assert (done.returncode, "newuidmap" in done.stderr) == (125, True), done.stderr

    (many.home.parent / "etc/subgid").write_text("many:300000:99999999999\n")
    assert world.shell("echo started") == "started\n"


def test_a_volume_of_another_user(world: World, many: UserOfMany) -> None:
    """It is there at the next start, and goes when it is removed, whatever lies in it."""
    give = f"chown 999:999 /data && chmod 700 /data && {become(999, 'mkdir -m 500 /data/deep && date > /data/x')}"
    for name in ("one", "two"):
        world.shell(give, *SYSTEM, "-v", f"{name}:/data")
        assert world.shell("stat -c %u /data /data/x", "-v", f"{name}:/data") == "999\n999\n"
    assert (world.store / "volumes/one").stat().st_uid == FIRST + 998

    assert world.jettison("volume", "rm", "one") == "one\n"
    assert world.jettison("volume", "prune", "--force").startswith("Deleted: two\n")
    assert os.listdir(world.store / "volumes") == os.listdir(world.store / "tmp") == []


def test_a_volume_on_its_way_out_is_swept(world: World) -> None:
    """Where its removal was killed."""
    world.shell(f"chown 999 /data && {become(999, 'mkdir -m 500 /data/x')}", *SYSTEM, "-v", "one:/data")
    (world.store / "volumes/one").rename(world.store / "tmp/staging")

    world.jettison("prune")

    assert os.listdir(world.store / "tmp") == []


def test_a_volume_that_nobody_may_remove(world: World, many: UserOfMany) -> None:
    """Where the range is gone, the volume stays, and the error says which."""
    world.shell(f"chown 999 /data && {become(999, 'mkdir -m 700 /data/x')}", *SYSTEM, "-v", "one:/data")
    (many.home.parent / "etc/subuid").write_text("")

    done = world.jettison.call("volume", "rm", "one")

    assert done.returncode != 0 and "cannot remove the volume `one`" in done.stderr, done.stderr
    assert world.jettison("volume", "ls", "-q") == "one\n"


def test_the_doctor_tries_it(world: World, many: UserOfMany) -> None:
    """And names the mend."""

    def users() -> dict[str, str]:
        told = json.loads(world.jettison.call("doctor", "--json").stdout)
        findings: dict[str, dict[str, str]] = {each["name"]: each for each in told["findings"]}
        return findings["users"]

    assert users()["state"] == "ok"
    (many.home.parent / "etc/subuid").write_text("many:300000:99999999999\n")
    (many.home.parent / "etc/subgid").write_text("many:300000:99999999999\n")
    assert (users()["state"], "newuidmap" in users()["mend"]) == ("limited", True)
    (many.home.parent / "etc/subuid").write_text("")
    assert "usermod" in users()["mend"]
