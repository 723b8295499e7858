"""Images made by hand, so that tests of the runner depend on nothing else, and a runner for each kind of user."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import peers

APPLETS = (
    "[ awk cat chmod chroot cp cut dd df echo env false find grep head hostname id ip kill ln ls mkdir mknod mount nc nproc"
    " printf ps pwd readlink rm rmdir sed sh sleep sort stat stty tail test touch tr true umount unshare wc yes"
).split()


class World:
    """`jettison run` for one kind of user, with images that tests fill by hand."""

    def __init__(self, jettison: peers.Jettison, user: peers.OrdinaryUser | None) -> None:
        self.jettison = jettison
        self.store = jettison.store
        self.user = user
        self.command = jettison.command[len(user.prefix) :] if user else jettison.command  # what comes after becoming the user
        for part in ("tags", "layers", "run", "tmp"):
            (self.store / part).mkdir(parents=True)
        self.store.chmod(0o700)
        self._give(self.store)

    def image(self, fill: Callable[[Path], object] = lambda folder: None, name: str = "box", **fields: Sequence[str]) -> None:
        """An image of busybox and what `fill` puts into its root folder. `fields`: those of the run record, `_` for `-`."""
        base = self.layer(fill_busybox)
        self.compose([base, self.layer(fill)], name, **fields)

    def layer(self, fill: Callable[[Path], object]) -> str:
        """An unpacked layer; its name."""
        name = hashlib.sha256(os.urandom(8)).hexdigest()
        folder = self.store / "layers" / name
        folder.mkdir()
        folder.chmod(0o755)
        fill(folder)
        self._give(folder)
        return name

    def compose(self, layers: Sequence[str], name: str = "box", **fields: Sequence[str]) -> None:
        """An image of these layers, the lowest first."""
        usual = {"config_digest": [""], "user": [""], "uid": ["0"], "gid": ["0"], "home": ["/root"], "workdir": [""]}
        values = {**usual, "stop_signal": [""], "layer": layers, **fields}
        words = [word for key, texts in values.items() for text in texts for word in (key.replace("_", "-"), text)]
        digest = hashlib.sha256(os.urandom(8)).hexdigest()
        record = self.store / "run" / digest
        record.write_bytes(os.fsencode("\0".join(words)))
        tag = self.store / "tags" / f"docker.io%2Flibrary%2F{name}%3Alatest"
        tag.write_text(f"sha256:{digest}\n")
        self._give(record)
        self._give(tag)

    def call(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`jettison run …`, whatever its status."""
        return self.jettison.call("run", *arguments, stdin=stdin)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """`jettison run …`: its stdout; the test fails for any other status than 0."""
        return self.jettison("run", *arguments, stdin=stdin)

    def shell(self, script: str, *flags: str, image: str = "box") -> str:
        """What a shell in the world prints."""
        return self(*flags, image, "/bin/sh", "-c", script)

    def start(self, *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
        """`jettison run …`, still running."""
        env = {**os.environ, "JETTISON_HOME": str(self.store)}
        command = [*self.jettison.command, "run", *arguments]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload, no-any-return]

    def listed(self, *flags: str) -> list[dict[str, Any]]:
        """The containers, as `jettison ps -a --json` tells them."""
        found: list[dict[str, Any]] = json.loads(self.jettison("ps", "-a", "--json", *flags))["containers"]
        return found

    def inspect(self, name: str) -> dict[str, Any]:
        """What `jettison inspect` tells of a container."""
        told: dict[str, Any] = json.loads(self.jettison("inspect", name))[0]
        return told

    def end_all(self) -> None:
        """Kill and remove every container."""
        names = [each["id"] for each in self.listed()]
        if names:
            self.jettison.call("rm", "-f", *names)

    def folder(self, name: str) -> Path:
        """A folder of the machine that belongs to the user."""
        path = (self.user.home if self.user else self.store.parent) / name
        path.mkdir()
        self._give(path)
        return path

    def _give(self, path: Path) -> None:
        if self.user and os.geteuid() == 0:
            self.user.give(path)


def world(request: pytest.FixtureRequest) -> World:
    """For the parameter "root" or "ordinary"."""
    require = request.getfixturevalue("require")
    require("busybox")
    if request.param == "root":
        peers.require_root()
        return World(request.getfixturevalue("jettison"), None)
    return World(request.getfixturevalue("rootless"), request.getfixturevalue("ordinary_user"))


def until(is_so: Callable[[], object], wait_s: float = 15) -> None:
    """Wait for something to be so; the test fails where that takes long."""
    until_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not come about"
        time.sleep(0.02)


def own_mounts(world: World) -> list[str]:
    """The machine's mounts that a world may have made: those of its folders, and those without a source."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(world.store.parent) in line or line.partition(" - ")[2].split(" ")[1:2] == ["none"]]


def fill_busybox(folder: Path) -> None:
    (folder / "bin").mkdir()
    shutil.copy(peers.require("busybox"), folder / "bin/busybox")
    for applet in APPLETS:
        (folder / "bin" / applet).symlink_to("busybox")
