"""`save --format bundle`: runc starts the image as `jettison run` does; what differs is listed here, with its reason."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import making
import peers
from making import Item

APPLETS = (
    "sh",
    "cat",
    "env",
    "id",
    "ls",
    "sort",
    "unshare",
    "touch",
    "stat",
    "mount",
    "head",
    "readlink",
    "hostname",
    "grep",
    "pwd",
)

# Line of /proc/self/status: no line of these may differ.
STATUS = (
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "SigBlk", "SigIgn", "Umask",
)  # fmt: skip

# What differs, and why.
DIFFERENT_MOUNTS = {
    "/": "the bundle's folder itself, in which what is written stays; `run` lays memory on the image's layers",
    "/etc/hosts": "the machine's file, to be read; `run` gives a copy of it",
    "/etc/resolv.conf": "the same",
}
ONLY_IN_RUN = {"HOSTNAME": "it would be the name of the machine that wrote the bundle"}
ONLY_IN_RUNC = {"core": "runc's link to /proc/kcore, which is hidden, on machines that have it"}

LOOK = """echo status; cat /proc/self/status
echo mounts; cat /proc/self/mountinfo
echo env; env
echo dev; ls /dev
echo id; id
echo else; umask; readlink /proc/self/cwd; ls -d /srv/data; stat -c '%a %u' /bin/tool; cat /etc/hosts
for file in /proc/kcore /proc/keys /sys/firmware /proc/sys/kernel/hostname; do head -c 1 $file 2>&1; touch $file 2>&1; done
unshare -U true 2>/dev/null || echo no user namespace; mount -t tmpfs x /tmp 2>/dev/null || echo no mount
"""


class Runner:
    """jettison and runc as one kind of user, with the image fat:1 of several layers in the store."""

    def __init__(self, jettison: peers.Jettison, user: peers.OrdinaryUser | None, folder: Path) -> None:
        self.jettison = jettison
        self.user = user
        self.folder = folder
        self.bundle = folder / "bundle"
        self._runc = [*(user.prefix if user else []), peers.require("runc"), "--root", str(folder / "state")]

    def load(self, *layers: bytes, **config: object) -> None:
        archive = making.archive(self.folder / "fat.tar", layers, config)
        archive.chmod(0o644)
        self.jettison("load", "-i", str(archive))

    def save(self, folder: Path | None = None) -> Any:
        """The bundle's document."""
        target = folder or self.bundle
        self.jettison("save", "fat:1", "--format", "bundle", "-o", str(target))
        return json.loads((target / "config.json").read_text())

    def runc(self, *arguments: str) -> str:
        """What the bundle's program prints, with other arguments where some are given."""
        if arguments:
            path = self.bundle / "config.json"
            document = json.loads(path.read_text())
            document["process"]["args"] = arguments
            path.write_text(json.dumps(document))
        done = peers.call([*self._runc, "run", "--bundle", str(self.bundle), f"jettison-{os.urandom(4).hex()}"])
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(params=["root", "ordinary"])
def runner(request: pytest.FixtureRequest, shared_folder: Path) -> Runner:
    """For each kind of user."""
    peers.require("runc")
    peers.require("busybox")
    if request.param == "root":
        peers.require_root()
        return Runner(request.getfixturevalue("jettison"), None, shared_folder)
    user = request.getfixturevalue("ordinary_user")
    return Runner(request.getfixturevalue("rootless"), user, user.home)


def busybox() -> bytes:
    links = [Item("symlink", f"bin/{name}", "busybox") for name in APPLETS]
    content = Path(peers.require("busybox")).read_bytes()
    return making.tar(
        *making.dirs("bin", "etc", "tmp"),
        Item("file", "bin/busybox", content, 0o755),
        *links,
        Item("file", "bin/tool", "#!/bin/sh\n", 0o755),
        Item("hardlink", "bin/same", "bin/tool"),
        Item("file", "gone", "x"),
        Item("file", "etc/hosts", "of the image"),
    )


CHANGES = making.tar(Item("file", ".wh.gone"), Item("file", "new", "n"), Item("symlink", "etc/resolv.conf", "/new"))


def sections(said: str) -> dict[str, list[str]]:
    """The lines below each heading."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        if line in ("status", "mounts", "env", "dev", "id", "else"):
            lines = found.setdefault(line, [])
        else:
            lines.append(line)
    return found


def pairs(lines: Sequence[str], mark: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(mark) for line in lines)}


def mounts(lines: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By place: the filesystem's type, and how it is mounted; the last one counts. Empty folders that hide are alike."""
    found = {}
    for line in lines:
        words, _, kind = line.partition(" - ")
        place, flags = words.split()[4:6]
        hides = kind.startswith("tmpfs") and flags.startswith("ro") and place != "/sys/fs/cgroup"
        found[place] = (kind.split()[0], "hidden" if hides else ",".join(sorted(flags.split(","))))
    return found


def test_runc_starts_it_as_run_does(runner: Runner) -> None:
    """Identity, capabilities, filter, mounts, environment and devices are the same, but for what the tables list."""
    runner.load(busybox(), CHANGES, Env=["A=b"], WorkingDir="/srv/work", Volumes={"/srv/data": {}}, Cmd=["sh"])
    runner.save()

    ours = sections(runner.jettison("run", "fat:1", "sh", "-c", LOOK))
    theirs = sections(runner.runc("sh", "-c", LOOK))

    status = [pairs(said["status"], ":") for said in (ours, theirs)]
    assert {name: status[1][name] for name in STATUS} == {name: status[0][name] for name in STATUS}
    known, found = mounts(ours["mounts"]), mounts(theirs["mounts"])
    assert {place for place in known | found if known.get(place) != found.get(place)} == set(DIFFERENT_MOUNTS)
    environment = pairs(ours["env"], "=").items() - pairs(theirs["env"], "=").items()
    assert {name for name, _ in environment} == set(ONLY_IN_RUN)
    assert pairs(theirs["env"], "=").keys() <= pairs(ours["env"], "=").keys()
    assert set(theirs["dev"]) - set(ONLY_IN_RUNC) == set(ours["dev"])
    assert theirs["id"] == ours["id"]
    assert theirs["else"] == ours["else"]


def test_the_files_are_those_of_the_image(runner: Runner) -> None:
    """Layers lie on each other, hard links are kept, and nobody but the owner comes near it."""
    runner.load(busybox(), CHANGES, Cmd=["sh"])
    runner.save()
    root = runner.bundle / "rootfs"

    assert not (root / "gone").exists()
    assert (root / "new").read_text() == "n"
    assert (root / "bin/tool").stat().st_ino == (root / "bin/same").stat().st_ino
    assert runner.bundle.stat().st_mode & 0o777 == 0o700
    assert (root / "bin/busybox").stat().st_uid == (runner.user.uid if runner.user else 0)


def test_the_document_is_always_the_same(runner: Runner) -> None:
    """Byte for byte; it names the image, and is none of the image's orders to a runtime."""
    runner.load(busybox(), Labels={"org.systemd.property.X": "1"}, Cmd=["id"], StopSignal="SIGINT")
    first, second = runner.save(), runner.save(runner.folder / "again")

    assert (runner.bundle / "config.json").read_bytes() == (runner.folder / "again/config.json").read_bytes()
    assert second["annotations"] == {
        "org.opencontainers.image.ref.name": "fat:1",
        "org.jettison.image.digest": first["annotations"]["org.jettison.image.digest"],
        "org.opencontainers.image.stopSignal": "SIGINT",
    }
    assert "uid=0(root)" in runner.runc() or "uid=0" in runner.runc()


@pytest.mark.parametrize("runner", ["root"], indirect=True)
def test_a_user_of_the_image(runner: Runner) -> None:
    """The program has the image's user, and its groups."""
    accounts = making.tar(Item("file", "etc/passwd", "u:x:1000:1001::/home/u:\n"), Item("file", "etc/group", "g:x:20:u\n"))
    runner.load(busybox(), accounts, User="u", Cmd=["sh", "-c", "id; echo $HOME"])
    runner.save()

    assert runner.runc() == runner.jettison("run", "fat:1")


def test_the_document_can_be_edited(runner: Runner) -> None:
    """What the guide names in place of flags does what it says."""
    runner.load(busybox(), Cmd=["sh", "-c", "touch /x 2>&1; hostname; grep -c : /proc/net/dev; pwd"])
    document = runner.save()
    document["root"]["readonly"] = True
    document["hostname"] = "named"
    document["process"]["cwd"] = "/tmp"
    document["linux"]["namespaces"].append({"type": "network"})
    (runner.bundle / "config.json").write_text(json.dumps(document))

    assert runner.runc() == "touch: /x: Read-only file system\nnamed\n1\n/tmp\n"


@pytest.mark.parametrize("runner", ["root"], indirect=True)
def test_devices_of_the_image_are_shut(runner: Runner) -> None:
    """A device that an image brings cannot be opened."""
    runner.load(
        busybox(), making.tar(Item("char", "null", mode=0o666, device=(1, 11))), Cmd=["sh", "-c", "head -c 1 /null 2>&1; true"]
    )
    runner.save()

    assert "not permitted" in runner.runc()


@pytest.mark.parametrize("runner", ["ordinary"], indirect=True)
def test_an_ordinary_user_may_not_be_another(runner: Runner) -> None:
    """runc could not start it, so it is refused, with the way out; nothing is left."""
    runner.load(busybox(), User="1000", Cmd=["id"])

    done = runner.jettison.call("save", "fat:1", "--format", "bundle", "-o", str(runner.bundle))

    assert done.returncode == 1
    assert "user is 1000" in done.stderr and "jettison run" in done.stderr
    assert [path.name for path in runner.folder.iterdir() if path.name.startswith("bundle")] == []


def test_links_do_not_lead_out(runner: Runner) -> None:
    """An image whose /etc, working directory or /dev is a link writes nothing outside of the bundle."""
    victim = runner.folder / "victim"
    victim.mkdir(mode=0o777)
    links = making.tar(
        Item("symlink", "etc", str(victim)), Item("symlink", "srv", str(victim)), Item("symlink", "dev", str(victim))
    )

    runner.load(links, WorkingDir="/srv/work", Cmd=["x"])
    done = runner.jettison.call("save", "fat:1", "--format", "bundle", "-o", str(runner.bundle))

    assert done.returncode == 1 and "refusing the image: its /dev is no folder" in done.stderr
    assert list(victim.iterdir()) == []
    runner.load(
        making.tar(Item("symlink", "etc", str(victim)), Item("symlink", "srv", str(victim))), WorkingDir="/srv/work", Cmd=["x"]
    )
    runner.save()
    assert list(victim.iterdir()) == []
    assert (runner.bundle / f"rootfs{victim}/work").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fat:1", "-o", "full"], "`full` is there already"),
        (["fat:1", "fat:1", "-o", "new"], "a bundle is one image"),
        (["fat:1"], "cannot go to a stream"),
        (["nothing", "-o", "new"], "no image `nothing`"),
    ],
)
def test_what_is_no_bundle(
    jettison: peers.Jettison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """Each with its reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    jettison("load", "-i", str(making.archive(tmp_path / "fat.tar", [making.tar()], {"Cmd": ["x"]})))

    done = jettison.call("save", "--format", "bundle", *arguments)

    assert done.returncode in (1, 2) and message in done.stderr
    assert not (tmp_path / "new").exists()


def test_an_image_without_a_program(jettison: peers.Jettison, tmp_path: Path) -> None:
    """There is nothing to start."""
    jettison("load", "-i", str(making.archive(tmp_path / "fat.tar", [making.tar()], {})))

    done = jettison.call("save", "fat:1", "--format", "bundle", "-o", str(tmp_path / "bundle"))

    assert done.returncode == 2 and "names no program" in done.stderr
