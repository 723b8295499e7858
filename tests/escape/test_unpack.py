"""Layers that attack who unpacks them: nothing outside their folder changes, and what is accepted is what other tools make of it.

The ids are those of the list of attacks in docs/reference/attacks.md: U is the unpacker, S the store.
"""

import gzip
import hashlib
import json
import os
import random
import shutil
import stat
import struct
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import zstandard

import peers
from jettison.image.merged import MergedLayers
from jettison.image.rootfs import prepare, unpack
from jettison.image.store import LocalStore
from jettison.verbs.load import load
from making import Item, archive, dirs, tar
from peers import Jettison, OrdinaryUser, Peer

SECRET = "the secret outside"
Layers = Sequence[Sequence[Item]]
Tree = dict[str, tuple[str, str]]


class Victim:
    """Somebody who runs an image for the first time, in a folder that attacks aim at."""

    def __init__(self, jettison: Jettison, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.outside = folder / "outside"
        self.store = jettison.store
        self._archive = folder / "fat.tar"
        self._jettison = Jettison(jettison.store, [*prefix, "env", "-C", str(self.outside)], jettison.command[len(prefix) :])
        self.outside.mkdir()
        (self.outside / "secret.txt").write_text(SECRET)
        (self.outside / "secret.txt").chmod(0o600)
        (self.outside / "folder").mkdir()

    def __call__(self, *blobs: bytes, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Load an image of these archives and start it: status 127 says that it was unpacked, and has no such program."""
        archive(self._archive, blobs, {})
        self._archive.chmod(0o644)
        loaded = self._jettison.call("load", "-q", "-i", str(self._archive), env=env)
        return loaded if loaded.returncode else self._jettison.call("run", "fat:1", "/nothing", env=env)

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self._jettison.call("run", *words)

    def tree(self) -> Tree:
        """What the image has: path → kind and content."""
        store = LocalStore(str(self.store))
        return tree_of(MergedLayers(unpack(store, store.image(store.resolve("fat:1")[1]))))

    def layers(self) -> list[Path]:
        store = LocalStore(str(self.store))
        return [Path(folder) for folder in unpack(store, store.image(store.resolve("fat:1")[1]))]

    def facts(self) -> list[object]:
        """All that an attack could change outside, but the time when a folder was read."""
        found: list[object] = []
        for path in [self.outside, *sorted(self.outside.rglob("*"))]:
            info = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found.append((str(path), info.st_ino, info.st_mode, info.st_uid, info.st_nlink, info.st_mtime_ns, content))
        return found

    def leftovers(self) -> list[str]:
        return [name for part in ("layers", "tmp", "run") for name in os.listdir(self.store / part)]


def tree_of(root: MergedLayers, folder: str = "") -> Tree:
    found: Tree = {}
    for name in root.listdir(folder or "/"):
        path = f"{folder}/{name}"
        node = root.lstat(path)
        assert node is not None
        content = node.target
        if node.kind == "file":
            with root.open(path) as stream:
                content = stream.read().decode("latin-1")
        found[path] = (node.kind, content)
        found |= tree_of(root, path) if node.kind == "dir" else {}
    return found


def tree_of_folder(folder: Path) -> Tree:
    return tree_of(MergedLayers([str(folder)]))


@pytest.fixture(params=["root", "ordinary"])
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Victim:
    """As root, and as an ordinary user."""
    if request.param == "root":
        peers.require_root()
        return Victim(request.getfixturevalue("jettison"), tmp_path)
    user: OrdinaryUser = request.getfixturevalue("ordinary_user")
    made = Victim(request.getfixturevalue("rootless"), user.home, user.prefix)
    if os.geteuid() == 0:
        user.give(user.home)
    return made


def file(name: str, text: str | bytes = "x", mode: int = 0o644) -> Item:
    return Item("file", name, text, mode)


def link(name: str, target: str) -> Item:
    return Item("symlink", name, target)


def hard(name: str, target: str, mode: int = 0o644) -> Item:
    return Item("hardlink", name, target, mode)


UP = "../" * 40

# Names that lead out by themselves, and what replaces the root. `OUT` stands for the folder outside, without its first slash.
NAMES: dict[str, Layers] = {
    "up": [[file("../secret.txt")]],
    "absolute": [[file("/OUT/secret.txt")]],
    "down and up": [[file("a/../../secret.txt")]],
    "here and up": [[file("./././../secret.txt")]],
    "far up": [[file(f"{UP}OUT/secret.txt")]],
    "no name": [[link("", "/OUT")]],
    "a component of 256 bytes": [[file("a" * 256)]],
    "a name of 5000 bytes": [[file("a/" * 2500 + "x")]],
    "three hundred folders": [[file("d/" * 300 + "x")]],
    **{f"the root `{name}` as a {kind}": [[Item(kind, name, "/OUT")], [file("secret.txt")]]
       for name in (".", "/.", "./", "..", "/") for kind in ("file", "symlink", "hardlink", "fifo")},
}  # fmt: skip

# A link first, then what goes through it.
LINKS: dict[str, Layers] = {
    "absolute": [[link("l", "/OUT"), file("l/secret.txt")]],
    "relative": [[link("l", f"{UP}OUT"), file("l/secret.txt")]],
    "chained": [[link("a", "/OUT"), link("b", "a"), link("c", "/b"), file("c/secret.txt")]],
    "chained and relative": [[*dirs("d"), link("d/a", f"{UP}OUT"), link("b", "d/a"), file("b/secret.txt")]],
    "in a circle": [[link("a", "b"), link("b", "a"), file("a/secret.txt")]],
    "to itself": [[link("a", "a/a"), file("a/secret.txt")]],
    "forty-one": [[*(link(f"l{n}", f"l{n + 1}") for n in range(41)), link("l41", "/OUT"), file("l0/secret.txt")]],
    "nowhere": [[link("l", "/OUT/missing/deeper"), file("l/x")]],
    "a parent that is a file": [[file("a"), file("a/b/c")]],
    "of a lower layer": [[link("l", "/OUT")], [file("l/secret.txt")]],
    "of a lower layer, deep": [[*dirs("a"), link("a/l", f"{UP}OUT")], [*dirs("a"), file("a/l/secret.txt")]],
    "with a slash at the end": [[link("l/", "/OUT"), file("l/secret.txt")]],
    "over a link": [[link("secret.txt", "/OUT/secret.txt"), file("secret.txt")]],
    "over a link, as a folder": [[link("l", "/OUT"), *dirs("l"), file("l/secret.txt")]],
    "over a folder": [[*dirs("l"), file("l/a"), link("l", "/OUT"), file("l/secret.txt")]],
    "over a folder of a lower layer": [[*dirs("l")], [link("l", "/OUT"), file("l/secret.txt")]],
    "a folder's mode": [[link("l", "/OUT"), Item("dir", "l/folder", mode=0o777)]],
    "a folder's mode by its own name": [[link("l", "/OUT/folder"), Item("dir", "l", mode=0o777)]],
    "climbing out of a folder": [[*dirs("d"), link("d/up", ".."), file("d/up/../secret.txt")]],
    "a link by the name ..": [[link("..", "/OUT"), file("./../secret.txt")]],
}
HARD: dict[str, Layers] = {
    "of the current folder": [[hard("h", "secret.txt"), file("h")]],
    "absolute": [[hard("h", "/OUT/secret.txt"), file("h")]],
    "up": [[hard("h", f"{UP}OUT/secret.txt"), file("h")]],
    "through an absolute link": [[link("l", "/OUT"), hard("h", "l/secret.txt"), file("h")]],
    "through a relative link": [[link("l", f"{UP}OUT"), hard("h", "l/secret.txt"), file("h")]],
    "through a link of a lower layer": [[link("l", "/OUT")], [hard("h", "l/secret.txt"), file("h")]],
    "down and out": [[*dirs("d"), hard("d/h", f"d/{UP}OUT/secret.txt")]],
    "into a folder behind a link": [[link("l", "/OUT"), file("f"), hard("l/h", "f")]],
    "of a link, with another mode": [[link("l", "/OUT/secret.txt"), hard("h", "l", 0o777)]],
    "of a link, written to": [[link("l", "/OUT/secret.txt"), hard("h", "l"), file("h")]],
    "before its target": [[hard("h", "f"), file("f")]],
    "of a folder": [[*dirs("d"), hard("h", "d")]],
    "of a whiteout": [[file(".wh.f"), hard("h", ".wh.f")]],
    "of nothing": [[hard("h", "")]],
    "of a lower layer's file": [[file("f", "low")], [hard("h", "f")]],
    "of a lower layer's link": [[link("l", "/OUT/secret.txt")], [hard("h", "l")]],
    "and a folder over the link": [[link("l", "/OUT"), hard("h", "l"), *dirs("l"), file("l/secret.txt")]],
}
WHITEOUTS: dict[str, Layers] = {
    "of nothing": [[*dirs("d")], [file(".wh.")]],
    "of this folder": [[*dirs("d")], [file("d/.wh..")]],
    "of the folder above": [[*dirs("d")], [file("d/.wh...")]],
    "of the root's parent": [[*dirs("d")], [file(".wh...")]],
    "through a link": [[link("l", "/OUT")], [file("l/.wh.secret.txt")]],
    "through a dead link": [[link("l", "/OUT/missing")], [file("l/.wh.secret.txt")]],
    "of a link": [[link("l", "/OUT")], [file(".wh.l")]],
    "by a relative path": [[*dirs("d")], [file("d/../../.wh.secret.txt")]],
    "opaque through a link": [[link("l", "/OUT")], [file("l/.wh..wh..opq")]],
    "below a whiteout": [[*dirs("d")], [file(".wh.d/.wh.x")]],
    "with a payload": [[file("f")], [file(".wh.f", "payload")]],
    "as a folder": [[file("f")], [*dirs(".wh.f")]],
    "as a hard link": [[file("f"), file("g")], [hard(".wh.f", "g")]],
    "as a link": [[file("f")], [link(".wh.f", "/OUT")]],
    "of aufs": [[file("f")], [*dirs(".wh..wh.plnk"), file(".wh..wh.aufs")]],
}
SHAPES = {
    f"{id_} {topic} {name}": layers
    for id_, topic, shapes in (
        ("(U1)", "a name:", NAMES),
        ("(U2)", "a link:", LINKS),
        ("(U3)", "a hard link:", HARD),
        ("(U6)", "a whiteout:", WHITEOUTS),
    )
    for name, layers in shapes.items()
}

# Where other tools accept a shape and make something else of it, and why that is not followed.
UMOCI_DIFFERS = {
    "(U6) a whiteout: of nothing": "umoci takes it for an opaque folder, the specification has no such name",
}


def aimed(layers: Layers, outside: Path) -> list[bytes]:
    """The archives, with `OUT` as the folder outside."""
    place = str(outside).lstrip("/")

    def at(text: str | bytes) -> str | bytes:
        return text.replace("OUT", place) if isinstance(text, str) else text

    return [tar(*(item._replace(name=str(at(item.name)), text=at(item.text)) for item in items)) for items in layers]


@pytest.mark.parametrize("case", SHAPES)
def test_nothing_outside_changes(case: str, victim: Victim) -> None:
    """Whatever names, links and whiteouts say (U1, U2, U3, U4, U6): it is refused and leaves nothing, or stays inside."""
    before = victim.facts()

    done = victim(*aimed(SHAPES[case], victim.outside))

    assert victim.facts() == before
    assert done.returncode in (1, 125, 127), done.stderr
    assert "internal" not in done.stderr
    if done.returncode != 127:
        assert victim.leftovers() == []
    else:
        assert SECRET not in str(victim.tree())


@pytest.mark.parametrize("case", [case for case in SHAPES if case not in UMOCI_DIFFERS])
def test_what_is_accepted_is_what_umoci_makes_of_it(
    case: str, root: None, jettison: Jettison, umoci: Peer, tmp_path: Path
) -> None:
    """Where both accept a shape, both show the same files (U4)."""
    victim = Victim(jettison, tmp_path)
    if victim(*aimed(SHAPES[case], victim.outside)).returncode != 127:
        return
    jettison("save", "-q", "fat:1", "--format", "oci-dir", "-o", str(tmp_path / "layout"))

    done = umoci.call("unpack", "--image", f"{tmp_path}/layout:1", str(tmp_path / "bundle"))

    if done.returncode == 0:
        assert victim.tree() == tree_of_folder(tmp_path / "bundle" / "rootfs")


def test_a_race_in_the_staging_folder(victim: Victim) -> None:
    """Folders are swapped for links meanwhile, which only their own user can do: nothing is written there (U5)."""
    before = victim.facts()
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            for staging in (victim.store / "tmp").glob("*"):
                for number in range(8):
                    folder = staging / f"d{number}"
                    try:
                        folder.rename(staging / f"moved{number}-{time.monotonic_ns()}")
                        folder.symlink_to(victim.outside)
                    except OSError:
                        pass

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for attempt in range(3):
            items = [Item("dir", f"d{n}") for n in range(8)]
            items += [file(f"d{n % 8}/{n}-{attempt}", "planted") for n in range(1500)]
            done = victim(tar(*items), tar(file("d0/secret.txt", f"planted {attempt}")))
            assert done.returncode in (125, 127)
    finally:
        is_over.set()
        thread.join()

    assert victim.facts() == before
    assert stat.S_IMODE((victim.store / "tmp").stat().st_mode) == stat.S_IMODE(victim.store.stat().st_mode) == 0o700


def test_overlay_attributes_and_raw_whiteouts_are_not_smuggled(victim: Victim) -> None:
    """What overlayfs would obey is left out; so an image that podman made from an overlay still unpacks (U7)."""
    names = ["opaque", "redirect", "metacopy", "origin", "impure", "nlink", "upper", "whiteout"]
    pax = {f"SCHILY.xattr.{kind}.overlay.{name}": "y" for kind in ("trusted", "user") for name in names}
    hostile = [Item("dir", "d", pax=pax), Item("file", "d/b", "2", pax=pax), Item("char", "d/a", device=(0, 0))]

    done = victim(tar(*dirs("d"), file("d/a", "1")), tar(*hostile))

    assert done.returncode == 127, done.stderr
    assert victim.tree() == {"/d": ("dir", ""), "/d/a": ("file", "1"), "/d/b": ("file", "2")}
    upper = victim.layers()[1]
    assert [os.listxattr(upper / name) for name in ("", "d", "d/b")] == [[], [], []]
    assert not (upper / "d/a").exists()


def test_other_attributes(victim: Victim, request: pytest.FixtureRequest) -> None:
    """The maker's policy is left out; capabilities of files are root's to keep, and one warning for others (U8)."""
    capability = struct.pack("<IIIII", 0x02000000, 1 << 10, 0, 0, 0).decode("latin-1")
    pax = {f"SCHILY.xattr.security.{name}": "x" for name in ("selinux", "ima", "evm")}
    pax |= {"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.colour": "blue"}

    done = victim(tar(*(Item("file", name, "x", pax=pax) for name in "abc")))

    assert done.returncode == 127, done.stderr
    kept = set(os.listxattr(victim.layers()[0] / "a"))
    is_root = request.node.callspec.params["victim"] == "root"
    assert kept == {"user.colour"} | ({"security.capability"} if is_root else set())
    assert done.stderr.count("security.capability") == (0 if is_root else 1)


@pytest.mark.parametrize("size", [1, 4, 65_536])
def test_attributes_that_the_kernel_refuses(size: int, victim: Victim) -> None:
    """Access lists that are none, and more than a filesystem keeps: a clear error, and no layer (U8)."""
    pax = {f"SCHILY.xattr.user.{number}": "x" * size for number in range(8 if size > 4 else 0)}
    pax |= {"SCHILY.xattr.system.posix_acl_access": "x" * size}

    done = victim(tar(Item("file", "a", "x", pax=pax)))

    assert done.returncode in (125, 127), done.stderr
    assert done.returncode == 127 or ("attribute" in done.stderr and victim.leftovers() == [])


def test_devices_and_pipes(victim: Victim, require: Callable[[str], str]) -> None:
    """A layer's disk or memory cannot be opened inside; a pipe in the way is replaced and never waited for (U9)."""
    busybox = Item("file", "bin/busybox", Path(require("busybox")).read_bytes(), 0o755)
    devices = [Item("block", "sda", mode=0o666, device=(8, 0)), Item("char", "mem", mode=0o666, device=(1, 1))]
    layer = tar(busybox, *devices, Item("fifo", "p"), file("p", "1"), Item("fifo", "q"), hard("sdb", "sda"), file("q", "2"))

    done = victim(layer, tar(Item("fifo", "p"), file("p", "3")))
    opened = [victim.run("fat:1", "/bin/busybox", "dd", f"if=/{name}", "count=1") for name in ("sda", "sdb", "mem")]

    assert done.returncode == 127, done.stderr
    assert all(each.returncode == 1 and each.stdout == "" for each in opened)
    assert [victim.tree()[f"/{name}"] for name in "pq"] == [("file", "3"), ("file", "2")]


def test_setuid_programs_are_nobody_elses(
    root: None, jettison: Jettison, ordinary_user: OrdinaryUser, shared_folder: Path
) -> None:
    """An image's setuid program keeps its bit, and no other user of the machine can reach it (U10)."""
    jettison.store = shared_folder / "store"
    victim = Victim(jettison, shared_folder)

    victim(tar(Item("file", "bin/id", Path("/usr/bin/id").read_bytes(), 0o4755)))

    program = victim.layers()[0] / "bin/id"
    assert stat.S_IMODE(program.stat().st_mode) == 0o4755
    assert stat.S_IMODE(victim.store.stat().st_mode) == 0o700
    assert ordinary_user.call(str(program)).returncode != 0


# Sizes: whatever a stream unpacks to, in bounded time and memory.


def bounded(jettison: Jettison, *words: str, memory_mib: int, seconds: int) -> "subprocess.CompletedProcess[str]":
    """A call that may not take more memory or time."""
    limits = [peers.require("prlimit"), f"--as={memory_mib << 20}", "timeout", str(seconds)]
    return Jettison(jettison.store, limits, jettison.command).call(*words)


def padded_image(path: Path, blob: bytes, diff_id: str) -> Path:
    """A docker archive of a layer whose diff id is told, not computed."""
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    manifest = [{"Config": "c.json", "RepoTags": ["fat:1"], "Layers": ["l.tar"]}]
    items = [file("c.json", json.dumps(config)), file("manifest.json", json.dumps(manifest)), file("l.tar", blob)]
    path.write_bytes(tar(*items))
    return path


def test_a_bomb_of_seventeen_gibibytes(jettison: Jettison, tmp_path: Path) -> None:
    """Half a megabyte that unpacks to more than the limit is refused, in little memory (U11)."""
    frame = zstandard.ZstdCompressor(level=3).compress(bytes(1 << 30))
    header = tarfile.TarInfo("bomb")
    header.size = 17 << 30
    start = zstandard.ZstdCompressor().compress(header.tobuf(tarfile.GNU_FORMAT))
    image = padded_image(tmp_path / "bomb.tar", start + frame * 17, f"sha256:{'0' * 64}")

    done = bounded(jettison, "load", "-i", str(image), memory_mib=500, seconds=120)

    assert done.returncode == 1, done.stderr
    assert "refusing" in done.stderr
    assert os.listdir(jettison.store / "blobs/sha256") == os.listdir(jettison.store / "tmp") == []


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


SIZES: dict[str, tuple[Callable[[], bytes], bool]] = {
    "a hundred thousand empty gzip members": (lambda: gzip.compress(tar(file("a"))) + gzip.compress(b"") * 100_000, True),
    "zeros after the gzip stream": (lambda: gzip.compress(tar(file("a"))) + bytes(50 << 20), True),
    "frames to skip": (lambda: (b"\x50\x2a\x4d\x18" + struct.pack("<I", 1 << 20) + bytes(1 << 20)) * 20
                       + zstandard.ZstdCompressor().compress(tar(file("a"))), True),
    "a sparse file of eight tebibytes": (
        lambda: tar(Item("file", "a", b"", pax={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(8 << 40)})), True),
    "a sparse file of eight exbibytes": (
        lambda: tar(Item("file", "a", b"", pax={"GNU.sparse.map": "0,0", "GNU.sparse.size": str((8 << 60) - 1)})), False),
    "a pax header of a gibibyte": (lambda: header("x", 1 << 30, tarfile.XHDTYPE) + bytes(1 << 20), False),
    "a long name of a gibibyte": (lambda: header("x", 1 << 30, tarfile.GNUTYPE_LONGNAME) + bytes(1 << 20), False),
    "a hundred thousand pax records": (
        lambda: tar(Item("file", "a", "x", pax={f"comment.{n}": "x" for n in range(40_000)})), True),
    "a window of two gibibytes": (lambda: b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\1\0\0", False),
    "one name two hundred thousand times": (lambda: (header("a", 1) + b"x".ljust(512, b"\0")) * 200_000, True),
    "links of links": (lambda: tar(*(link(f"{n}", f"{n + 1}") for n in range(20_000)), file("0/x")), False),
    "folders in folders, and back": (lambda: tar(*(file("d/" * (1 + n % 250) + "x") for n in range(5_000))), True),
    "truncated": (lambda: gzip.compress(tar(file("a", os.urandom(1 << 20))))[:-1000], False),
    "garbage after the gzip stream": (lambda: gzip.compress(tar(file("a"))) + b"garbage", False),
    "an xz, and no program to read it": (lambda: b"\xfd7zXZ\0\0\4" + bytes(1000), False),
}  # fmt: skip


@pytest.mark.parametrize("case", SIZES)
def test_sizes(case: str, jettison: Jettison, tmp_path: Path) -> None:
    """In little memory and time it is unpacked, or refused with nothing left behind (U11)."""
    made, is_good = SIZES[case]
    blob = made()
    image = padded_image(tmp_path / "fat.tar", blob, f"sha256:{_plain_digest(blob)}")

    loaded = bounded(jettison, "load", "-q", "-i", str(image), memory_mib=400, seconds=60)
    done = loaded if loaded.returncode else bounded(jettison, "run", "fat:1", "/nothing", memory_mib=400, seconds=60)

    assert done.returncode in ((127,) if is_good else (1, 125)), done.stderr
    assert "internal" not in done.stderr
    if not is_good:
        assert [name for part in ("layers", "tmp", "run") for name in os.listdir(jettison.store / part)] == []


def _plain_digest(blob: bytes) -> str:
    try:
        plain = gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob
        if blob[:4] in (b"\x50\x2a\x4d\x18", b"\x28\xb5\x2f\xfd"):
            plain = zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True).read()
    except (OSError, EOFError, zstandard.ZstdError):
        plain = b""
    return hashlib.sha256(plain).hexdigest()


def test_more_entries_than_are_allowed(jettison: Jettison, tmp_path: Path) -> None:
    """A million are read, in bounded memory; one more is refused (U11)."""
    blob = gzip.compress(header(".wh..wh.aufs") * 1_000_001, 1)
    image = padded_image(tmp_path / "fat.tar", blob, f"sha256:{_plain_digest(blob)}")

    jettison("load", "-q", "-i", str(image))
    done = bounded(jettison, "run", "fat:1", "/nothing", memory_mib=400, seconds=200)

    assert done.returncode == 125, done.stderr
    assert "more than 1000000 entries" in done.stderr
    assert os.listdir(jettison.store / "tmp") == []


def test_no_program_of_the_machine_is_called(victim: Victim) -> None:
    """Decompressors that lie in PATH, in the current folder or in the image are never started (U12)."""
    trap = f"#!/bin/sh\necho >> {victim.outside}/called\nexit 1\n"
    tools = ("gzip", "gunzip", "zcat", "unpigz", "pigz", "xz", "unxz", "zstd", "unzstd", "bzip2", "tar", "mount", "umoci")
    for tool in tools:
        (victim.outside / tool).write_text(trap)
        (victim.outside / tool).chmod(0o755)
    before = victim.facts()
    plain = tar(file("a"), *(file(f"bin/{tool}", trap, 0o755) for tool in tools))
    blobs = [gzip.compress(plain), tar(file("b")), gzip.compress(tar(file("c")))]

    done = victim(*blobs, env={"PATH": f"{victim.outside}:/usr/bin:/bin"})

    assert done.returncode == 127, done.stderr
    assert victim.facts() == before


def oci_image(folder: Path, blobs: Sequence[bytes], diff_ids: Sequence[str], media_type: str) -> Path:
    """An OCI folder whose configuration says these diff ids."""

    def put(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    (folder / "blobs/sha256").mkdir(parents=True)
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}}
    layers = [put(blob, media_type) for blob in blobs]
    manifest = {"schemaVersion": 2, "config": put(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
    entry = put(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "fat:1"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return folder


@pytest.mark.parametrize("lie", ["another", "swapped", "one blob, two ids", "too few", "too many"])
def test_diff_ids_that_lie(lie: str, jettison: Jettison, tmp_path: Path) -> None:
    """What a layer holds must be what its configuration says, one by one, before anybody sees it (U13)."""
    plain = [tar(file("a", "1")), tar(file("b", "2"))]
    ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in plain]
    blobs = [gzip.compress(data) for data in plain]
    told = {
        "another": [ids[0], f"sha256:{'1' * 64}"],
        "swapped": ids[::-1],
        "one blob, two ids": [ids[0], ids[1]],
        "too few": ids[:1],
        "too many": [*ids, ids[0]],
    }[lie]
    if lie == "one blob, two ids":
        blobs[1] = blobs[0]

    done = jettison.call("load", "-i", str(oci_image(tmp_path / "layout", blobs, told, "layer.v1.tar+gzip")))

    assert done.returncode == 1
    assert os.listdir(jettison.store / "blobs/sha256") == os.listdir(jettison.store / "tags") == []


def test_the_bytes_count_not_the_media_type(jettison: Jettison, tmp_path: Path) -> None:
    """A layer is kept by what it holds: an archive said to be compressed, or the other way, comes out the same (U13)."""
    plain = tar(file("a", "1"))
    diff_id = f"sha256:{hashlib.sha256(plain).hexdigest()}"
    for number, (blob, media_type) in enumerate([(plain, "layer.v1.tar+gzip"), (gzip.compress(plain), "layer.v1.tar")]):
        jettison("load", "-q", "-i", str(oci_image(tmp_path / str(number), [blob], [diff_id], media_type)))
        assert jettison.call("run", "fat:1", "/nothing").returncode == 127

    assert os.listdir(jettison.store / "layers") == [diff_id.removeprefix("sha256:")]


def test_names_of_any_bytes(victim: Victim) -> None:
    """No UTF-8, other case, an accent written in another way, control bytes: each is a file of its own (U14)."""
    names = ["\udcff\udcfe", "a", "A", "\u00e9", "e\u0301", "new\nline", "\x1b[31m", " ", "-rf", "\\", "*"]

    done = victim(tar(*(file(name, str(number)) for number, name in enumerate(names))))

    assert done.returncode == 127, done.stderr
    assert victim.tree() == {f"/{name}": ("file", str(number)) for number, name in enumerate(names)}


@pytest.mark.parametrize(
    ("record", "value", "is_good"),
    [
        ("mtime", "-1.5", True), ("mtime", "-62135596800", True), ("mtime", "nan", False), ("mtime", "inf", False),
        ("mtime", "9223372036854775808", False), ("mtime", "1e400", False), ("uid", "4294967295", False),
        ("uid", "4294967294", True), ("uid", "-1", False),
        ("gid", "root", False), ("uname", "root", True), ("gname", "\x1b", True),
    ],
)  # fmt: skip
def test_times_and_owners(record: str, value: str, is_good: bool, victim: Victim) -> None:
    """Numbers that no file has are an error; names of owners mean nothing (U15)."""
    done = victim(tar(Item("file", "a", "x", owner=(7, 7), pax={record: value})))

    assert done.returncode == (127 if is_good else 125), done.stderr
    if is_good and record.endswith("name") and victim.store.stat().st_uid == 0:
        assert (victim.layers()[0] / "a").stat().st_uid == 7


def some_layers(seed: int) -> list[bytes]:
    """Layers that lean on each other in every way."""
    numbers = random.Random(seed)
    names = ["a", "b", "c", "lib", "usr"]

    def name() -> str:
        return "/".join(numbers.choices(names, k=numbers.randint(1, 3)))

    def item() -> Item:
        kinds: list[Callable[[], Item]] = [
            lambda: file(name(), f"{numbers.random()}" * numbers.choice([1, 5000]), numbers.choice([0o644, 0o600, 0o755])),
            lambda: Item("dir", name(), mode=numbers.choice([0o755, 0o700, 0o1777])),
            lambda: link(name(), numbers.choice(["", "/"]) + name()),
            lambda: file(f"{name()}/.wh.{numbers.choice(names)}"),
            lambda: file(f"{name()}/.wh..wh..opq"),
            lambda: hard(f"h{numbers.randint(0, 9)}", f"f{numbers.randint(0, 3)}"),
        ]
        return numbers.choice(kinds)()

    first = [file(f"f{number}", f"{number}") for number in range(4)]
    return [tar(*first), *(gzip.compress(tar(*(item() for _ in range(6)))) for _ in range(7))]


def stored(store: Path) -> list[object]:
    """All of the unpacked layers: names, kinds, modes, owners, times, links, attributes, bytes."""
    found: list[object] = []
    for path in sorted((store / "layers").rglob("*")):
        info = path.lstat()
        mtime = 0.0 if stat.S_ISCHR(info.st_mode) else info.st_mtime  # a whiteout is made now
        facts = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, mtime)
        attributes = [(name, os.getxattr(path, name)) for name in os.listxattr(path)] if stat.S_ISDIR(info.st_mode) else []
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found.append((str(path.relative_to(store)), facts, attributes, content))
    return found


def test_side_by_side_is_one_after_the_other(root: None, jettison: Jettison, tmp_path: Path) -> None:
    """Layers that need each other come out the same from many processes and from one, and so do their errors (U16)."""
    unpacked = refused = 0
    for seed in range(25):
        image = archive(tmp_path / "fat.tar", some_layers(seed), {})
        one = LocalStore(str(tmp_path / "one"))
        [loaded] = load(one, str(image))
        jettison("load", "-q", "-i", str(image))

        done = jettison.call("run", "fat:1", "/nothing")
        error = in_one_process(one, loaded.image.digest)

        assert (done.returncode == 127) == (error == ""), done.stderr
        assert error in done.stderr
        assert stored(Path(one.path)) == stored(jettison.store)
        unpacked += not error
        refused += bool(error)
        shutil.rmtree(one.path)
        shutil.rmtree(jettison.store)
    assert min(unpacked, refused) > 3


def in_one_process(store: LocalStore, digest: object) -> str:
    """Unpack beside a thread, which lets no process be made; the error, if there is one."""
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait)
    thread.start()
    try:
        prepare(store, digest)  # type: ignore[arg-type]
    except Exception as error:
        return str(error)
    finally:
        is_over.set()
        thread.join()
    return ""


def test_a_process_that_is_killed_is_done_again(
    root: None, jettison: Jettison, tmp_path: Path, require: Callable[[str], str]
) -> None:
    """When the kernel ends one of those who unpack, the image comes out whole all the same (S1)."""
    image = archive(tmp_path / "fat.tar", [tar(file("a/b", "1")), tar(file("a/c", "2")), tar(file("a/.wh.b"))], {})
    for number in range(1, 12):
        jettison("load", "-q", "-i", str(image))
        inject = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-e", f"inject=fchmod:signal=KILL:when={number}"]
        traced = Jettison(jettison.store, [require("strace"), *inject], jettison.command)

        traced.call("run", "fat:1", "/nothing")

        assert jettison.call("run", "fat:1", "/nothing").returncode == 127
        assert jettison.call("fsck").returncode == 0
        shutil.rmtree(jettison.store)


@pytest.mark.parametrize("name", ["with space", "a:b,c\\d", "\u00fcn\u00ef", "link"])
def test_stores_of_any_name(name: str, root: None, tmp_path: Path, require: Callable[[str], str]) -> None:
    """What overlayfs takes for separators in a store's path, and a path through a link (S5)."""
    (tmp_path / "real").mkdir()
    if name == "link":
        (tmp_path / name).symlink_to("real")
    store = tmp_path / name / "store"
    jettison = Jettison(store)
    busybox = Item("file", "busybox", Path(require("busybox")).read_bytes(), 0o755)
    image = archive(tmp_path / "fat.tar", [tar(busybox), tar(file("a", "below")), tar(file("a", "above"))], {})

    jettison("load", "-q", "-i", str(image))

    assert jettison("run", "fat:1", "/busybox", "cat", "/a") == "above"


def test_temporary_files_are_made_in_the_store_alone(root: None, jettison: Jettison, tmp_path: Path) -> None:
    """Links that somebody left in /tmp under names that can be guessed, or a hostile TMPDIR, meet nobody (S6)."""
    victim = Victim(jettison, tmp_path)
    before = victim.facts()

    done = victim(gzip.compress(tar(file("a"))), env={"TMPDIR": str(victim.outside), "TMP": str(victim.outside)})

    assert done.returncode == 127, done.stderr
    assert victim.facts() == before


def test_an_archive_takes_no_name_silently(root: None, jettison: Jettison, tmp_path: Path) -> None:
    """A name that meant another image is told when an archive takes it over (S7)."""
    for text in ("mine", "evil"):
        done = jettison.call("load", "-i", str(archive(tmp_path / "fat.tar", [tar(file("a", text))], {})))

    assert "`fat:1` meant" in done.stderr


@pytest.mark.parametrize("count", [0, 1, 127, 128, 200, 400])
def test_any_number_of_layers(count: int, root: None, jettison: Jettison, tmp_path: Path, require: Callable[[str], str]) -> None:
    """None, one, more than a page of mount options names; the same one several times, as overlayfs refuses it (S8)."""
    busybox = Item("file", "busybox", Path(require("busybox")).read_bytes(), 0o755)
    layers = [tar(busybox)] * bool(count) + [tar(file(f"d/{number % 100}", str(number % 100))) for number in range(count - 1)]

    jettison("load", "-q", "-i", str(archive(tmp_path / "fat.tar", layers, {})))
    done = jettison.call("run", "fat:1", "/busybox", "ls", "/d")

    if count > 1:
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.split()) == min(count - 1, 100)
    else:
        assert done.returncode in (1, 127), done.stderr
