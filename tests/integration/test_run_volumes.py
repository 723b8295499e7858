"""Named volumes, and `--mount`, as root and as an ordinary user."""

import json
import os
from pathlib import Path

import pytest

import worlds
from worlds import World


def fill(root: Path) -> None:
    """A folder that a volume copies: with owners, modes, links and a pipe."""
    data = root / "data"
    (data / "deep/er").mkdir(parents=True)
    (data / "deep/er/file").write_text("of the image")
    (data / "deep/er/file").chmod(0o640)
    (data / "link").symlink_to("/nowhere")
    os.mkfifo(data / "pipe")
    data.chmod(0o751)
    if os.geteuid() == 0:
        os.chown(data / "deep", 101, 102)


@pytest.fixture(params=["root", "ordinary"])
def world(request: pytest.FixtureRequest) -> World:
    """A runner with the image `box`, which has something in /data."""
    made = worlds.world(request)
    made.image(fill)
    return made


def test_a_volume_is_kept(world: World) -> None:
    """Between worlds, among them those at once; nobody but its owner may enter the folder around it."""
    world.shell("echo x > /v/file", "-v", "kept:/v")

    assert world.shell("cat /w/file", "-v", "kept:/w:ro") == "x\n"
    assert "Read-only" in world.call("-v", "kept:/w:ro", "box", "touch", "/w/new").stderr
    assert (world.store / "volumes").stat().st_mode & 0o777 == 0o700
    assert (world.store / "volumes/kept/file").read_text() == "x\n"


@pytest.mark.parametrize("flags", [["-v", "v:/data"], ["--mount", "source=v,target=/data"], ["--read-only", "-v", "v:/data"]])
def test_an_empty_volume_gets_what_the_image_has(world: World, flags: list[str]) -> None:
    """With modes, owners and links, once: what was changed stays so."""
    owner = "0 0" if world.user else "101 102"
    script = "cat /data/deep/er/file; stat -c ' %a' /data /data/deep/er/file; stat -c '%u %g' /data/deep; readlink /data/link"

    assert world.shell(script, *flags) == f"of the image 751\n 640\n{owner}\n/nowhere\n"
    world.shell("echo changed > /data/deep/er/file; rm /data/pipe", *flags)
    assert world.shell("cat /data/deep/er/file; ls /data", *flags) == "changed\ndeep\nlink\n"


@pytest.mark.parametrize("flags", [["-v", "v:/data:nocopy"], ["--mount", "type=volume,src=v,dst=/data,volume-nocopy"]])
def test_a_volume_may_stay_empty(world: World, flags: list[str]) -> None:
    """If that is asked for."""
    assert world.shell("ls /data", *flags) == ""


def test_a_volume_gets_nothing_of_ours_or_of_other_mounts(world: World) -> None:
    """Neither the files that a start writes to /etc, nor what the caller mounts around it."""
    outer = world.folder("outer")
    (outer / "sub").mkdir()
    (outer / "sub/private").write_text("x")

    assert world.shell("ls /etc", "-v", "etc:/etc") == ""
    assert world.shell("ls /v/sub", "-v", f"{outer}:/v", "-v", "sub:/v/sub") == ""


def test_a_half_filled_volume_is_filled_anew(world: World) -> None:
    """Whoever was killed over it left a word."""
    world.shell("true", "-v", "v:/data:nocopy")
    volumes = world.store / "volumes"
    (volumes / "v/half").mkdir()
    (volumes / "v/half/file").write_text("x")
    (volumes / ".v").write_text("filling")
    for path in (volumes / "v/half", volumes / "v/half/file"):
        if world.user and os.geteuid() == 0:
            world.user.give(path)

    assert world.shell("ls /data", "-v", "v:/data") == "deep\nlink\npipe\n"
    assert (volumes / ".v").read_text() == ""


def test_many_fill_a_volume_at_once(world: World) -> None:
    """One does; each sees it whole."""
    running = [world.start("-v", "v:/data", "box", "cat", "/data/deep/er/file") for _ in range(10)]

    assert [process.communicate()[0] for process in running] == [b"of the image"] * 10


def test_explain_makes_no_volume(world: World) -> None:
    """It only tells."""
    steps = world("--explain", "-v", "v:/data:ro", "box", "true").splitlines()

    assert "fill the volume `v`, if empty, with the image's `/data`" in steps
    assert "show the volume `v` as `/data`, read-only" in steps
    assert not (world.store / "volumes").exists()


def test_mount_is_volume_and_tmpfs_in_other_words(world: World) -> None:
    """With docker's keys, their short forms, and a comma in quotes."""
    folder = world.folder("a,b")
    (folder / "file").write_text("text")
    flags = [
        "--mount", f'type=bind,"source={folder}",target=/v,readonly',
        "--mount", "type=tmpfs,dst=/t,tmpfs-size=64K,tmpfs-mode=1770",
        "--mount", "type=volume,destination=/anon",
    ]  # fmt: skip

    seen = world.shell("cat /v/file; touch /v/x || echo; stat -c %a /t; grep -c ' /t .*size=64k' /proc/mounts; ls /anon", *flags)

    assert seen == "text\n1770\n1\n"


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=volume,source=../../etc,target=/x", "no name for a volume"),
        ("type=volume,source=/etc,target=/x", "no name for a volume"),
        ("source=.hidden,target=/x", "no name for a volume"),
        ("source=v,target=/proc/x", "belongs to the kernel"),
        ("source=v,target=x", "no absolute path"),
        ("source=v", "has no target"),
        ("type=bind,source=/absent,target=/x", "there is no `/absent`"),
        ("type=bind,target=/x", "there is no"),
        ("type=bind,source=/tmp,target=/x,bind-propagation=shared", "never comes in or out"),
        ("type=bind,source=/tmp,target=/x,tmpfs-size=1", "unknown key `tmpfs-size`"),
        ("type=tmpfs,source=/tmp,target=/x", "unknown key `source`"),
        ("type=tmpfs,target=/x,tmpfs-size=-1", "no size"),
        ("type=tmpfs,target=/x,tmpfs-mode=9", "no mode"),
        ("type=image,source=x,target=/x", "unknown type `image`"),
        ("type=volume,source=v,target=/x,volume-opt=type=nfs", "unknown key `volume-opt`"),
        ("source=v,src=w,target=/x", "says `source` twice"),
        ("source=v,target=/x,ro=maybe", "not true or false"),
        ("target=/x,readonly", "has no source"),
        ("", "has no target"),
        ('"type=volume,source=v', "is no line of fields"),
        ("a\nb", "is no line of fields"),
        ("type=", "needs a value"),
    ],
)
def test_mounts_that_are_refused(world: World, mount: str, message: str) -> None:
    """Before anything is started or made."""
    done = world.call("--mount", mount, "box", "true")

    assert (done.returncode, message in done.stderr) == (125, True), done.stderr
    assert not (world.store / "volumes").exists()


# `jettison volume`


def volume(world: World, *words: str) -> str:
    """`jettison volume …`: its stdout."""
    return world.jettison("volume", *words)


def test_volumes_are_made_listed_and_removed(world: World) -> None:
    """In docker's words; twice made is made, and a clean-up of the store leaves them."""
    assert volume(world, "ls", "-q") == ""
    assert volume(world, "create", "one", "two", "one") == "one\ntwo\none\n"
    world.shell("echo x > /v/file", "-v", "three:/v")
    world.jettison("prune")

    assert volume(world, "ls", "-q") == "one\nthree\ntwo\n"
    assert f"three        {world.store}/volumes/three\n" in volume(world, "ls")
    assert [each["name"] for each in json.loads(volume(world, "ls", "--json"))["volumes"]] == ["one", "three", "two"]
    assert json.loads(volume(world, "inspect", "one"))[0]["Mountpoint"] == f"{world.store}/volumes/one"
    assert volume(world, "rm", "one", "three") == "one\nthree\n"
    assert volume(world, "rm", "-f", "one") == ""
    assert volume(world, "prune", "--force").startswith("Deleted: two\n")
    assert list((world.store / "volumes").iterdir()) == list((world.store / "tmp").iterdir()) == []


def test_a_volume_in_use_is_not_removed(world: World) -> None:
    """As long as a container has it."""
    process = world.start("-v", "used:/data", "box", "sh", "-c", "echo ready; sleep 20")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    done = world.jettison.call("volume", "rm", "used")
    assert (done.returncode, "is used by a container" in done.stderr) == (2, True), done.stderr
    assert "Deleted" not in volume(world, "prune", "--force")
    process.kill()
    process.communicate()

    assert volume(world, "rm", "used") == "used\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs a verb"),
        (["mount"], "needs a verb"),
        (["ls", "x"], "takes no argument"),
        (["rm"], "needs the name"),
        (["rm", "absent"], "no volume `absent`"),
        (["rm", "../tmp"], "no volume `../tmp`"),
        (["inspect", ".."], "no volume `..`"),
        (["create", "../x"], "no name for a volume"),
        (["create", ""], "no name for a volume"),
        (["prune"], "nobody can bring back"),
    ],
)
def test_calls_that_are_refused(world: World, words: list[str], message: str) -> None:
    """With the next move."""
    done = world.jettison.call("volume", *words)

    assert (done.returncode in (1, 2), message in done.stderr, "hint: " in done.stderr) == (True, True, True), done.stderr
