"""Images that are laid out to deceive whoever makes a world of them: the machine is as it was."""

import os
import random
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import peers
import worlds
from making import Item, archive, dirs, tar
from programs import build
from screens import Screen
from worlds import World

Fill = Callable[[Path], object]


def listing(folder: Path) -> list[tuple[str, int, int, bytes]]:
    """Everything below a folder: names, modes, owners, contents."""
    found = []
    for path in sorted([folder, *folder.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found.append((str(path), status.st_mode, status.st_uid, content))
    return found


def folder_of(path: Path) -> Path:
    """The path, whose folder is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def outside(world: World) -> Path:
    """A folder of the machine that attacks are aimed at."""
    folder = world.folder("outside")
    (folder / "file").write_text("of the machine")
    (folder / "below").mkdir()
    return folder


# Mount points (R5, R6, R7, R8, R9)


@pytest.mark.parametrize("place", ["dev", "proc", "sys"])
@pytest.mark.parametrize("flags", [(), ("-t",), ("--network", "none"), ("--read-only",)])
def test_a_mount_point_that_leads_to_a_folder_of_the_machine(
    world: World, place: str, flags: tuple[str, ...], outside: Path
) -> None:
    """No device, link or folder is made there (R5, R9)."""
    world.image(lambda root: (root / place).symlink_to(outside))
    before = listing(outside), worlds.own_mounts(world)

    done = world.call(*flags, "box", "true")

    assert (done.returncode, f"its /{place} is no folder" in done.stderr) == (125, True), done.stderr
    assert (listing(outside), worlds.own_mounts(world)) == before


DEEP: dict[str, tuple[str, Fill]] = {
    "the null device is a setting": ("dev/null", lambda path: path.symlink_to("/proc/sys/kernel/core_pattern")),
    "the null device is a file": ("dev/null", lambda path: path.write_text("x")),
    "the console is a setting": ("dev/console", lambda path: path.symlink_to("/proc/sys/kernel/core_pattern")),
    "the first terminal is a setting": ("dev/pts/0", lambda path: path.symlink_to("/proc/sysrq-trigger")),
    "ptmx is the machine's": ("dev/pts/ptmx", lambda path: path.symlink_to("/dev/ptmx")),
    "shared memory is /": ("dev/shm", lambda path: path.symlink_to("/")),
    "descriptors are elsewhere": ("dev/fd", lambda path: path.symlink_to("/etc")),
    "settings are files": ("proc/sys/user/max_user_namespaces", lambda path: path.write_text("x")),
    "the label is a setting": ("proc/self/attr/exec", lambda path: path.symlink_to("/proc/sys/kernel/core_pattern")),
    "a map is a file": ("proc/self/uid_map", lambda path: path.write_text("x")),
    "a hidden folder is a link": ("sys/firmware", lambda path: path.symlink_to("/etc")),
    "the control group is a link": ("sys/fs/cgroup", lambda path: path.symlink_to("/etc")),
}


@pytest.mark.parametrize("shape", DEEP)
@pytest.mark.parametrize("has_terminal", [False, True])
def test_what_lies_below_a_mount_point_is_covered(world: World, shape: str, has_terminal: bool) -> None:
    """Devices, terminals and settings are the kernel's; what the image has in their places is never written (R6, R7, R8)."""
    name, trap = DEEP[shape]
    layer = world.layer(lambda root: trap(folder_of(root / name)))
    world.compose([world.layer(worlds.fill_busybox), layer])
    before = listing(world.store / "layers" / layer), core_pattern()
    script = "stat -c '%t %T' /dev/null; readlink /dev/ptmx; stat -c %a /dev/shm; cat /proc/sys/user/max_user_namespaces"

    if has_terminal:
        screen = Screen(
            world, "run", "-it", "box", "sh", "-c", f"{script}; readlink /proc/self/fd/1; test -c /dev/console && echo is"
        )
        screen.wait_for("1 3\r\npts/ptmx\r\n1777\r\n0\r\n/dev/pts/0\r\nis")
        screen.end()
    else:
        assert world.shell(script) == "1 3\npts/ptmx\n1777\n0\n"

    assert (listing(world.store / "layers" / layer), core_pattern()) == before


def core_pattern() -> str:
    """What attackers like to write."""
    return Path("/proc/sys/kernel/core_pattern").read_text()


@pytest.mark.parametrize("world", ["root"], indirect=True)  # strace cannot read the memory of an ordinary user's init
def test_what_the_runner_writes_in_proc(world: World, tmp_path: Path) -> None:
    """The maps of its child; its world's setting, by a descriptor of a /proc that it has made itself. Nothing else (R8)."""
    world.image(lambda root: (root / "proc/sys/user").mkdir(parents=True))
    trace = tmp_path / "trace"
    command = [peers.require("strace"), "-f", "-o", str(trace), "-e", "trace=open,openat,openat2,creat", *world.jettison.command]

    subprocess.run([*command, "run", "box", "true"], env={**os.environ, "JETTISON_HOME": str(world.store)}, check=True)

    lines = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if "O_WRONLY" in line or "O_RDWR" in line]
    by_path = [line for line in lines if line.startswith("open") and '"/proc' in line]
    by_descriptor = [line for line in lines if line.startswith("openat2") and '"sys/' in line]
    assert sorted({line.split('"')[1].rpartition("/")[2] for line in by_path}) == ["gid_map", "uid_map"]
    assert [line.split('"')[1] for line in by_descriptor] == ["sys/user/max_user_namespaces"]
    assert all("RESOLVE_IN_ROOT" in line and "RESOLVE_NO_MAGICLINKS" in line for line in by_descriptor)


def test_what_is_hidden_is_hidden_by_the_right_things(world: World) -> None:
    """A file by the null device, device 1:3; a folder by an empty one of memory that cannot be written (R6, R43)."""
    world.image(lambda root: folder_of(root / "dev/null").symlink_to("/etc/passwd"))
    seen = world.shell("cat /proc/self/mountinfo")
    rows = [line.split() for line in seen.splitlines()]
    covers = {row[4]: (row[row.index("-") + 1], row[5].split(",")) for row in rows if row[4].startswith(("/proc/", "/sys/"))}

    for place, (kind, options) in covers.items():
        if kind == "tmpfs" and place != "/sys/fs/cgroup":
            assert "ro" in options and world.shell(f"ls -A {place}") == "", place
        elif kind == "devtmpfs":
            assert world.shell(f"stat -c '%F %t %T' {place}") == "character special file 1 3\n", place
    for hidden in ("/proc/interrupts", "/proc/keys", "/sys/firmware", "/sys/devices/virtual/powercap"):
        assert hidden in covers or not os.path.exists(hidden), hidden
    assert world.shell("ls -d /sys/devices/system/cpu/cpu*/thermal_throttle/* 2>/dev/null; true") == ""


# The working directory (R11)

WAYS = {
    "to a folder of the machine": ("{outside}", "new"),
    "up and away": ("../../../../..{outside}", "new"),
    "up": ("../../..", "new"),
    "to where nothing is": ("/nowhere/yet", "new"),
    "to a process's root": ("/proc/self/root{outside}", "new"),
    "to itself": ("link", "new"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_working_directory_behind_a_link(world: World, way: str, outside: Path) -> None:
    """It is made and entered inside, or nothing is started (R11)."""
    target, name = WAYS[way]
    world.image(lambda root: (root / "link").symlink_to(target.format(outside=outside)), workdir=[f"/link/{name}"])
    before = listing(outside)

    done = world.call("box", "sh", "-c", "pwd -P; touch here; chmod 777 .")

    assert done.returncode in (0, 125), done.stderr
    assert listing(outside) == before
    assert not os.path.lexists("/new") and not os.path.lexists("/nowhere")


# Accounts (R17)

MEMBERS = ",".join(f"u{number}" for number in range(1_000_000))


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


DATABASES: dict[str, Fill] = {
    "a fifo": lambda path: os.mkfifo(path),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "the machine's": lambda path: path.symlink_to("../../../../../../etc/passwd"),
    "the machine's secrets": lambda path: path.symlink_to("/etc/shadow"),
    "a process's view": lambda path: path.symlink_to("/proc/1/root/etc/passwd"),
    "a descriptor": lambda path: path.symlink_to("/proc/self/fd/3"),
    "a folder": lambda path: path.mkdir(),
    "itself": lambda path: path.symlink_to("passwd"),
    "a gibibyte": make_large,
    "a line without an end": lambda path: path.write_text("a" * (8 << 20)),
    "a million members": lambda path: path.write_text(f"g:x:5:{MEMBERS}\n"),
    "NUL bytes": lambda path: path.write_bytes(b"daemon\0:x:0:0::/:\n\0daemon:x:0:0::/:\n"),
    "lines without fields": lambda path: path.write_text("daemon\ndaemon:\ndaemon::\n:::::::\n" * 1000),
}


@pytest.mark.parametrize("shape", DATABASES)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_accounts_are_read_with_measure(world: World, name: str, shape: str) -> None:
    """From regular files of the image, and no more than a mebibyte of them: soon, and nobody of the machine is found (R17)."""
    world.image(lambda root: DATABASES[shape](folder_of(root / "etc" / name)))
    before = os.times()

    done = world.call(*(["-u", "daemon"] if name == "passwd" else ["-u", "0:daemon"]), "box", "id")

    after = os.times()  # of the processor, as the machine may have others to serve
    assert after.children_user + after.children_system - before.children_user - before.children_system < 2
    assert (done.returncode, "no user" in done.stderr or "no group" in done.stderr) == (125, True), done.stderr
    assert world.call("-u", "7", "box", "grep", "^Uid", "/proc/self/status").stdout.split()[1] == "7"


# Programs of the image (R18, P1)

POISON = r"""
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void leave_a_mark(void) { close(open(MARK, O_CREAT | O_WRONLY, 0666)); }
int _nss_files_getpwnam_r(void) { leave_a_mark(); return 0; }
void *PyInit_poison(void) { leave_a_mark(); return 0; }
"""
LIBRARIES = (
    "lib/libnss_files.so.2", "lib/libnss_compat.so.2", "lib/libnss_dns.so.2", "lib/libc.so.6", "lib64/ld-linux-x86-64.so.2",
    "lib/x86_64-linux-gnu/libnss_files.so.2", "lib/x86_64-linux-gnu/libc.so.6", "usr/lib/libgcc_s.so.1",
)  # fmt: skip
TOOLS = ("usr/bin/xz", "usr/bin/zstd", "usr/bin/unpigz", "usr/bin/gzip", "usr/bin/python3", "bin/mount", "usr/bin/newuidmap")
CALLS: dict[str, list[str]] = {
    "a program": ["box", "true"],
    "a user by name": ["-u", "someone", "box", "true"],
    "a group by name": ["--group-add", "some", "box", "true"],
    "a program that is not there": ["box", "/absent"],
    "a program that is none": ["box", "/etc/passwd"],
    "a working directory that is none": ["-w", "/etc/passwd", "box", "true"],
    "without a network": ["--network", "none", "--hostname", "h\u00e9", "box", "true"],
    "a profile": ["--security-opt", "seccomp=unconfined", "--ulimit", "nofile=30", "box", "true"],
    "names that are no UTF-8": ["-e", os.fsdecode(b"\xff=\xff"), "box", os.fsdecode(b"/\xff")],
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_of_the_image_is_executed_by_the_runner(world: World, call: str, tmp_path: Path) -> None:
    """Neither libraries, name services, interpreters and tools, nor Python modules in the very places of the runner's own; also
    when the start fails (R18, P1)."""
    marks = world.folder("marks")
    poison = build(tmp_path, "poison.so", POISON, "-shared", "-fPIC", f'-DMARK="{marks}/library"')
    folders = [Path(os.__file__).parent, Path("/usr/lib/python3.11"), Path("/usr/lib/python3")]

    def fill(root: Path) -> None:
        for name in LIBRARIES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(poison.read_bytes())
        for name in TOOLS:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(f"#!/bin/sh\ntouch {marks}/tool\n")
            (root / name).chmod(0o755)
        for folder in {str(folder).lstrip("/") for folder in folders}:
            poison_python(root / folder, f"open({str(marks / 'module')!r}, 'w')\n", poison)
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("someone:x:5:5::/:\n")
        (root / "etc/group").write_text("some:x:0:\n")
        (root / "etc/nsswitch.conf").write_text("passwd: files poison\nhosts: files dns poison\n")
        (root / "etc/ld.so.preload").write_text("/lib/libnss_files.so.2\n")

    world.image(fill)

    done = world.call("-v", f"{marks}:{marks}", *CALLS[call])

    assert done.returncode in (0, 125, 126, 127), done.stderr
    assert "Error:" not in done.stderr  # no class of Python's
    assert list(marks.iterdir()) == []


def poison_python(folder: Path, program: str, library: Path) -> None:
    """A module in the place of each of the standard library."""
    source = Path(os.__file__).parent
    for path in [*source.glob("*.py"), *source.glob("encodings/*.py"), *source.glob("lib-dynload/*.so")]:
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".py":
            target.write_text(program)
        else:
            target.write_bytes(library.read_bytes())


# Devices and privileges that a layer brings (R22, R36)

DEVICES = {
    "disk": (stat.S_IFBLK, 8, 0),
    "mem": (stat.S_IFCHR, 1, 1),
    "kmsg": (stat.S_IFCHR, 1, 11),
    "fuse": (stat.S_IFCHR, 10, 229),
}


@pytest.mark.parametrize("user", ["0", "1000"])
def test_devices_of_a_layer_cannot_be_opened(world: World, root: None, user: str) -> None:
    """Whatever their modes say (R22)."""

    def fill(folder: Path) -> None:
        for name, (kind, major, minor) in DEVICES.items():
            os.mknod(folder / name, kind, os.makedev(major, minor))
            (folder / name).chmod(0o666)

    world.image(fill)
    volume = world.folder("volume")
    fill(volume)

    script = (
        "for f in $(ls / /v); do for p in /$f /v/$f; do (: < $p) 2>/dev/null && test ! -d $p -a ! -f $p && echo $p; done; done"
    )
    assert world.shell(f"{script}; true", "-u", user, "-v", f"{volume}:/v") == ""
    assert "ermission denied" in world.call("-u", user, "box", "cat", "/mem").stderr


@pytest.mark.parametrize("name", DEVICES)
def test_devices_cannot_be_made(world: World, name: str) -> None:
    """Nowhere that can be written (R22)."""
    kind, major, minor = DEVICES[name]
    letter = "b" if kind == stat.S_IFBLK else "c"
    script = "; ".join(
        f"mknod {place}/x {letter} {major} {minor} 2>/dev/null && echo {place}" for place in ("", "/dev", "/dev/shm")
    )

    assert world.shell(f"{script}; true") == ""


GAIN = r"""
#include <stdio.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    printf("%d %d %d\n", geteuid(), getegid(), open("/closed", O_RDONLY) >= 0);
}
"""


def test_set_user_id_files_give_nothing(world: World, root: None, tmp_path: Path) -> None:
    """Nor do files that set the group or have capabilities, as root has none of the latter anyway (R36)."""
    gain = build(tmp_path, "gain", GAIN, "-static")

    def fill(folder: Path) -> None:
        (folder / "closed").write_text("x")
        (folder / "gain").write_bytes(gain.read_bytes())

    layer = world.layer(fill)
    folder = world.store / "layers" / layer
    for name, mode in (("closed", 0o600), ("gain", 0o6755)):
        os.chown(folder / name, *((world.user.uid, world.user.gid) if world.user else (0, 0)))
        (folder / name).chmod(mode)
    subprocess.run([peers.require("setcap"), "cap_dac_override,cap_setuid=ep", folder / "gain"], check=True)
    world.compose([world.layer(worlds.fill_busybox), layer])

    seen = world("-u", "1000:1000", "box", "/gain")

    # An ordinary user's world has one user alone, who owns the files.
    assert seen == ("1000 1000 1\n" if world.user else "1000 1000 0\n")


@pytest.mark.parametrize("world", ["root"], indirect=True)  # an ordinary user's world has one group alone
def test_a_group_that_is_shut_out_stays_so(world: World, root: None) -> None:
    """A file that everybody may read but a group: who is in the group cannot leave it, also not by a program of another (R16)."""

    def fill(folder: Path) -> None:
        (folder / "file").write_text("x")
        (folder / "busybox").write_bytes(Path(peers.require("busybox")).read_bytes())

    layer = world.layer(fill)
    folder = world.store / "layers" / layer
    os.chown(folder / "file", 0, 1234)
    (folder / "file").chmod(0o604)
    os.chown(folder / "busybox", 0, 4321)
    (folder / "busybox").chmod(0o2755)
    world.compose([world.layer(worlds.fill_busybox), layer])

    assert world.call("-u", "1:1234", "box", "cat", "/file").returncode == 1
    assert world.call("-u", "1:1234", "box", "/busybox", "cat", "/file").returncode == 1
    assert world("-u", "1:1234", "box", "id", "-G") == "1234\n"
    assert world("-u", "1:99", "box", "cat", "/file") == "x"


# The configuration (R20, R21)

PLACES = (
    "/",
    "..",
    "/proc",
    "/proc/sys",
    "/sys",
    "/dev/null",
    "../../../../{outside}",
    "/link",
    "/link/below",
    "",
    "\u202e",
    "a" * 5000,
)
WORDS = (
    "x",
    "",
    "/bin/sh",
    "\x1b[31m",
    "../../etc/passwd",
    "$(touch {outside}/x)",
    "; touch {outside}/x",
    "\n",
    "é",
    "a" * 100_000,
)
VARIABLES = (
    "LD_PRELOAD LD_LIBRARY_PATH PATH PYTHONPATH PYTHONHOME JETTISON_HOME HOME TMPDIR IFS TERM XDG_DATA_HOME http_proxy HOSTNAME"
    " GCONV_PATH"
).split()
LABELS = (
    "io.containerd.image.name org.opencontainers.image.ref.name org.jettison.closure run.oci.handler log-path"
    " io.podman.annotations.privileged run.oci.keep_original_groups disable RUN"
).split()
FIELDS: dict[str, Callable[[random.Random], Any]] = {
    "Env": lambda dice: [f"{dice.choice(VARIABLES)}={dice.choice(WORDS)}" for _ in range(5)] + dice.choice([[], ["x"], ["=x"]]),
    "Labels": lambda dice: {dice.choice(LABELS): dice.choice(WORDS) for _ in range(5)},
    "Volumes": lambda dice: {dice.choice(PLACES): {} for _ in range(3)},
    "WorkingDir": lambda dice: dice.choice(PLACES),
    "User": lambda dice: dice.choice(["", "0", "root", "-1", "4294967295", "../root", "1:x", "٣", " 0", "0:0:0"]),
    "StopSignal": lambda dice: dice.choice(["SIGKILL", "99", "-1", "x; reboot", "", "SIGRTMIN+3"]),
    "Healthcheck": lambda dice: {"Test": ["CMD-SHELL", dice.choice(WORDS)], "Interval": dice.choice([-1, 1 << 63, 0])},
    "ExposedPorts": lambda dice: {dice.choice(["80/tcp", "99999/tcp", "x", "../..", "-1/udp"]): {}},
    "OnBuild": lambda dice: [f"RUN {dice.choice(WORDS)}"],
    "Shell": lambda dice: [dice.choice(WORDS)],
    "Hostname": lambda dice: dice.choice(WORDS),
    "NetworkDisabled": lambda dice: dice.choice([True, False, "x"]),
    "Privileged": lambda dice: True,
    "Mounts": lambda dice: [{"Source": "/", "Target": "/host", "Type": "bind"}],
    "Entrypoint": lambda dice: dice.choice([["/bin/sh", "-c", "echo inside"], None, "/bin/sh", [1], ["/proc/self/exe"]]),
}  # fmt: skip


def formatted(value: Any, outside: Path) -> Any:
    """With the attacked folder in its texts."""
    if isinstance(value, str):
        return value.replace("{outside}", str(outside))
    if isinstance(value, list):
        return [formatted(each, outside) for each in value]
    if isinstance(value, dict):
        return {formatted(name, outside): formatted(each, outside) for name, each in value.items()}
    return value


@pytest.mark.parametrize("seed", range(16))
def test_a_configuration_decides_nothing_outside(world: World, seed: int, outside: Path) -> None:
    """Hostile values in all its fields, some of which we do not know: it is refused, or runs as any image (R21)."""
    dice = random.Random(seed)
    fields = dice.sample(sorted(FIELDS), 6)
    config = formatted({name: FIELDS[name](dice) for name in fields} | {"Cmd": ["/bin/sh", "-c", "echo inside"]}, outside)
    layer = tar(*dirs("bin", "v"), Item("file", "bin/sh", Path(peers.require("busybox")).read_bytes(), 0o755),
                Item("symlink", "link", str(outside)))  # fmt: skip
    path = archive(world.folder("image") / "image.tar", [layer], config)
    if world.user and os.geteuid() == 0:
        world.user.give(path)
    before = listing(outside), worlds.own_mounts(world), set(os.listdir("/")), core_pattern()

    loaded = world.jettison.call("load", "-i", str(path))
    done = world.call("fat:1")

    assert loaded.returncode in (0, 1) and "internal error" not in loaded.stderr, loaded.stderr
    assert done.returncode in (0, 1, 2, 125, 126, 127) and "internal error" not in done.stderr, done.stderr
    assert "\x1b" not in loaded.stderr + done.stderr
    assert "privileged" not in done.stdout
    assert (listing(outside), worlds.own_mounts(world), set(os.listdir("/")), core_pattern()) == before


def test_a_configuration_with_nul_bytes_is_refused(world: World) -> None:
    """They would end a text where ours begin (R21, P6)."""
    layer = tar(*dirs("bin"), Item("file", "bin/sh", Path(peers.require("busybox")).read_bytes(), 0o755))
    configs: list[dict[str, Any]] = [{"Env": ["A=x\0uid\x000"]}, {"WorkingDir": "/x\0uid\x000"}, {"Cmd": ["/bin/sh\0x"]}]
    for number, config in enumerate(configs):
        path = archive(world.folder(f"image{number}") / "image.tar", [layer], {"Cmd": ["/bin/sh"], **config})
        if world.user and os.geteuid() == 0:
            world.user.give(path)
        loaded = world.jettison.call("load", "-i", str(path))
        done = world.call("fat:1")

        assert (loaded.returncode, done.returncode) in ((0, 125), (1, 125)), (loaded.stderr, done.stderr)
        assert "internal error" not in loaded.stderr + done.stderr
