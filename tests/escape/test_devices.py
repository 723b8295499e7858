"""Devices in a world: those that were asked for, and no others."""

import os
import stat
from pathlib import Path

import pytest

import worlds
from worlds import World

# What an image or a folder may hold nodes of: a disk, the machine's memory, /dev/fuse, and one that would do no harm.
FORBIDDEN = {
    "disk": (stat.S_IFBLK, 8, 0),
    "memory": (stat.S_IFCHR, 1, 1),
    "fuse": (stat.S_IFCHR, 10, 229),
    "zeros": (stat.S_IFCHR, 1, 5),
}


def make_nodes(folder: Path) -> None:
    """Nodes that everybody may open, if devices could be opened there."""
    for name, (kind, major, minor) in FORBIDDEN.items():
        os.mknod(folder / name, kind | 0o666, os.makedev(major, minor))
        (folder / name).chmod(0o666)


@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize("place", ["", "/v/", "/dev/shm/", "/dev/"])
def test_a_node_of_a_device_opens_nothing(world: World, place: str) -> None:
    """Of the image or of a mounted folder, and none can be made, with all capabilities (GHSA-g54h-m393-cpwq)."""
    folder = world.folder("nodes")
    make_nodes(folder)
    world.image(make_nodes)
    for name, (kind, major, minor) in FORBIDDEN.items():
        make = f"mknod {place}{name} {'b' if kind == stat.S_IFBLK else 'c'} {major} {minor};" if place.startswith("/dev") else ""
        script = f"{make} true < {place}{name}"
        done = world.call("-v", f"{folder}:/v", "--cap-add", "ALL", "box", "sh", "-c", script)

        assert done.returncode != 0, name


def test_no_device_is_there_unless_asked_for(world: World) -> None:
    """Six, and the terminals'."""
    found = world.shell("find /dev -type c -o -type b").split()

    assert sorted(found) == [f"/dev/{name}" for name in ("full", "null", "pts/ptmx", "random", "tty", "urandom", "zero")]


@pytest.mark.parametrize(
    ("flag", "target"),
    [
        ("/dev/zero:/dev/mine", "/dev/mine"),
        ("/dev/zero:/dev/deep/down/mine:rwm", "/dev/deep/down/mine"),
        ("/dev/zero:/mine:rw", "/mine"),
        ("/dev/zero:rw", "/dev/zero"),
        ("/dev/./zero", "/dev/zero"),
    ],
)
def test_a_device_works(world: World, flag: str, target: str) -> None:
    """It can be read and written; its node is the machine's, and gives nothing but itself."""
    script = f"head -c 3 {target} | wc -c; echo x > {target} && stat -c '%t %T %a' {target}; "
    script += f"grep ' {target} ' /proc/self/mountinfo"

    said = world.shell(script, "--device", flag).splitlines()

    assert said[:2] == ["3", "1 5 666"]
    assert {"nosuid", "noexec"} <= set(said[-1].split()[5].split(",")) or target == "/dev/zero"


def test_a_device_in_a_read_only_world(world: World) -> None:
    """It is written all the same, as with docker."""
    assert world.shell("echo x > /dev/mine && echo ok", "--read-only", "--device", "/dev/zero:/dev/mine") == "ok\n"


def test_links_to_devices(world: World) -> None:
    """They are followed on the machine, as those in /dev/disk have to be."""
    folder = world.folder("links")
    (folder / "link").symlink_to("/dev/zero")

    assert world.shell("stat -c '%F %t %T' /dev/mine", "--device", f"{folder}/link:/dev/mine") == "character special file 1 5\n"


@pytest.mark.parametrize("world", ["root"], indirect=True)
def test_a_folder_of_devices(world: World) -> None:
    """All that are in it, and nothing else that is."""
    folder = world.folder("snd")
    (folder / "below").mkdir()
    (folder / "file").touch()
    (folder / "link").symlink_to("/dev/null")
    for place in (folder / "a", folder / "below/b"):
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))

    assert world.shell("cd /dev/snd && find . -type c | sort && head -c 1 below/b | wc -c", "--device", f"{folder}:/dev/snd") == (
        "./a\n./below/b\n1\n"
    )
    assert world.shell("ls /dev/snd", "--device", f"{folder}/:/dev/snd/") == "a\nbelow\n"


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("/dev/absent", "No such file"),
        ("/etc/passwd", "is no device"),
        ("/etc", "no device in `/etc`"),
        ("dev/zero", "absolute path"),
        ("/dev/zero:/dev/mine:r", "cannot be enforced"),
        ("/dev/zero:w", "cannot be enforced"),
        ("/dev/zero:rm", "cannot be enforced"),
        ("/dev/zero:/dev/mine:x", "not understood"),
        ("/dev/zero:/a:/b:rwm", "not understood"),
        ("/dev/zero:", "not understood"),
        ("/dev/zero:mine", "no usable target"),
        ("/dev/zero:/proc/mine", "would lie in /proc"),
    ],
)
def test_devices_that_are_refused(world: World, flag: str, message: str) -> None:
    """With the device's name, before anything is started."""
    done = world.call("--device", flag, "box", "echo", "started")

    assert (done.returncode, message in done.stderr, "started" in done.stdout) == (125, True, False), done.stderr
    assert flag in done.stderr


@pytest.mark.parametrize("link", ["/proc", "/proc/self/root", "/proc/sys"])
def test_devices_stay_inside(world: World, link: str) -> None:
    """A link of the image leads to no other place (CVE-2023-27561)."""
    world.image(lambda root: (root / "link").symlink_to(link))
    before = worlds.own_mounts(world)

    done = world.call("--device", "/dev/zero:/link/kcore", "box", "stat", "-c", "%t", "/link/kcore")

    assert done.returncode == 125
    assert worlds.own_mounts(world) == before
