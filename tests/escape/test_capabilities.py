"""Capabilities in a world: who has which, what they are good for, and what they are not."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import peers
from peers import Docker
from programs import build
from worlds import World, fill_busybox

# Bits of linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID.
USUAL = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7
NET_RAW, SYS_CHROOT = 1 << 13, 1 << 18
EVERY = (1 << 41) - 1


def sets(world: World, *flags: str, **options: object) -> dict[str, int]:
    """The program's capability sets, and those of its init."""
    process = world.start(*flags, "box", "grep", "-h", "^Cap", "/proc/self/status", "/proc/1/status", **options)
    lines = process.communicate()[0].decode().split()
    assert process.returncode == 0
    assert lines[:10] == lines[10:]
    return {name[3:-1]: int(value, 16) for name, value in zip(lines[:10:2], lines[1:10:2], strict=True)}


def only(capabilities: int, is_root: bool = True) -> dict[str, int]:
    """What the sets have to be: nothing is inherited, whoever is not root has none."""
    own = capabilities if is_root else 0
    return {"Inh": 0, "Prm": own, "Eff": own, "Bnd": capabilities, "Amb": 0}


@pytest.mark.parametrize(
    ("flags", "capabilities"),
    [
        ([], USUAL),
        (["--cap-drop", "ALL"], 0),
        (["--cap-drop=all", "--cap-add=net_raw"], NET_RAW),
        (["--cap-add", "CAP_NET_RAW", "--cap-add", "Sys_Chroot", "--cap-drop", "cap_chown"], USUAL & ~1 | NET_RAW | SYS_CHROOT),
        (["--cap-add", "ALL"], EVERY),
        (["--cap-add", "ALL", "--cap-drop", "NET_RAW"], EVERY & ~NET_RAW),
        (["--cap-add", "NET_RAW", "--cap-drop", "NET_RAW"], USUAL | NET_RAW),
    ],
)
def test_the_sets_are_exact(world: World, flags: list[str], capabilities: int) -> None:
    """Permitted, effective and bounding for root, bounding alone for everybody else, as docker has it."""
    assert sets(world, *flags) == only(capabilities)
    assert sets(world, "-u", "1000", *flags) == only(capabilities, is_root=False)


def hand_on_capabilities() -> None:
    """Before jettison starts: all that may be is inheritable and ambient."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    data[2], data[5] = data[1], data[4]
    libc.capset(header, data)
    for capability in range(41):
        libc.prctl(47, 2, capability, 0, 0)  # PR_CAP_AMBIENT_RAISE


@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_callers_capabilities_do_not_leak(world: World, user: str) -> None:
    """Those that it hands on to its children (CVE-2022-24769, CVE-2022-29162)."""
    assert sets(world, "-u", user, preexec_fn=hand_on_capabilities) == only(USUAL, user == "0")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cap-add", "NET_ROW"], "no capability `NET_ROW`"),
        (["--cap-drop", "CAP_"], "no capability `CAP_`"),
        (["--cap-add", ""], "no capability ``"),
        (["--cap-add", "ALL", "--cap-drop", "all"], "contradict each other"),
        (["--privileged"], "`--privileged`: it cannot be had"),
    ],
)
def test_words_that_are_refused(world: World, flags: list[str], message: str) -> None:
    """Nothing is started, and the word is named."""
    done = world.call(*flags, "box", "echo", "started")

    assert (done.returncode, message in done.stderr, "started" in done.stdout) == (125, True, False), done.stderr


def test_privileged_names_what_to_say_instead(world: World) -> None:
    """Each of its parts can be asked for."""
    said = world.call("--privileged", "box", "true").stderr

    assert "--cap-add" in said and "--device" in said and "--security-opt" in said


def test_the_step_is_told(world: World) -> None:
    """By name, before it is taken."""
    assert "become user 0 of group 0 with CHOWN KILL alone\n" in world(
        "--cap-drop", "ALL", "--cap-add", "chown", "--cap-add", "kill", "--explain", "box", "true"
    )
    assert "become user 7 of group 0 without any privilege\n" in world("-u", "7", "--explain", "box", "true")


# What an image's start as root needs


@pytest.mark.parametrize("world", ["root"], indirect=True)
def test_root_prepares_and_becomes_somebody_else(world: World) -> None:
    """As the entry points of databases do; signals still arrive, and no way leads back."""
    script = (
        "mkdir /data && chown 999:998 /data && chmod 2700 /data && touch /data/mine && stat -c '%u %g %a' /data && "
        f"exec {peers.require('setpriv')} --reuid 999 --regid 998 --clear-groups "
        "sh -c 'id -u; id -G; touch /data/own; cat /proc/self/status'"
    )
    world.image(lambda root: (root / "usr").mkdir())

    said = world.shell(script, "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro")

    assert said.startswith("999 998 2700\n999\n998\n")
    assert f"CapEff:\t{0:016x}\nCapBnd:\t{USUAL:016x}\n" in said


@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize(("flags", "status"), [([], 7), (["--cap-drop", "KILL"], 9)])
def test_a_signal_for_somebody_else(world: World, flags: list[str], status: int) -> None:
    """The init passes it on; without CAP_KILL it cannot, and lives."""
    script = "trap 'exit 7' TERM; echo ready; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; exit 9"
    setpriv = [peers.require("setpriv"), "--reuid", "999", "--clear-groups"]
    world.image(lambda root: (root / "usr").mkdir())
    files = ["-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"]
    process = world.start(*flags, *files, "box", *setpriv, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.terminate()

    assert process.wait(30) == status
    process.stdout.close()


# What no capability gives

ATTACKS = [
    "umount /proc/interrupts",
    "umount -l /proc/keys",
    "umount -l /proc/sys",
    "umount -l /proc",
    "umount -l /sys",
    "mount -o remount,rw,bind /proc/sys",
    "mount -o remount,rw /sys",
    "mount -t proc x /tmp",
    "unshare -p -f mount -t proc x /tmp",
    "unshare -m umount /proc/sys",
    "unshare -n mount -t sysfs x /tmp",
    "mount -o bind /proc /tmp",
    "unshare -U true",
    "echo x > /proc/sys/kernel/core_pattern",
    "echo x > /proc/sysrq-trigger",
    "mkdir /m && mount -o rbind /proc /m && echo x > /m/sys/kernel/core_pattern",
]
# Whoever is root in the world, the kernel asks for these of the machine's root.
ALWAYS = [
    "mknod /x b 8 0",
    "mknod /x c 1 1",
    "! busybox date -s 2001-01-01 2>&1 | grep 'not permitted'",
    "head -c 1 /proc/kcore | grep -q .",
    "cat /proc/1/environ | grep -q .",
    "ls /proc/1/root/",
    "ls /proc/1/cwd/",
    "cat /proc/1/mem",
    "true > /proc/1/exe",
    "dd if=/proc/1/exe count=1 | grep -q .",
    "ls /proc/1/map_files/* | grep -q .",
]


def fill_for_mounts(root: Path) -> None:
    """A place to mount on, and busybox's table of mounts."""
    (root / "tmp").mkdir()
    (root / "etc").mkdir()
    (root / "etc/mtab").symlink_to("/proc/mounts")


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize("network", ["host", "none"])
def test_the_machines_root_stays_covered(world: World, network: str, attack: str) -> None:
    """With every capability it may mount, but uncover nothing: the settings of the kernel are files of its own."""
    world.image(fill_for_mounts)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()

    done = world.call("--cap-add", "ALL", "--network", network, "box", "sh", "-c", attack)

    assert done.returncode != 0 and "not found" not in done.stderr
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


@pytest.mark.parametrize("attack", ALWAYS)
def test_what_every_capability_does_not_give(world: World, attack: str) -> None:
    """Devices, the clock, the machine's memory, and the interpreter behind the init (CVE-2019-5736)."""
    world.image(fill_for_mounts)

    done = world.call("--cap-add", "ALL", "box", "sh", "-c", attack)

    assert done.returncode != 0 and "not found" not in done.stderr


@pytest.mark.parametrize("world", ["ordinary"], indirect=True)
def test_an_ordinary_user_finds_nothing_behind_the_covers(world: World) -> None:
    """They may be removed by whoever may mount; what is behind them belongs to the machine's root."""
    world.image(fill_for_mounts)
    for setting in ("kernel/core_pattern", "kernel/modprobe", "fs/protected_symlinks"):
        script = f"umount /proc/interrupts && umount /proc/sys || exit 9; echo x > /proc/sys/{setting}"
        assert world.call("--cap-add", "SYS_ADMIN", "box", "sh", "-c", script).returncode == 1, setting


def test_the_calls_that_a_capability_opens(world: World) -> None:
    """They work with it, and are shut without."""
    world.image(fill_for_mounts)
    for capability, command in (
        ("SYS_CHROOT", "chroot / true"),
        ("SYS_ADMIN", "mount -t tmpfs x /tmp"),
        ("SYS_ADMIN", "unshare -m true"),
        ("SYS_ADMIN", "hostname other"),
    ):
        assert world.call("box", "sh", "-c", command).returncode != 0
        assert world.call("--cap-add", capability, "box", "sh", "-c", command).returncode == 0, command
        assert world.call("--cap-add", capability, "-u", "1000", "box", "sh", "-c", command).returncode != 0


# Docker as the judge

# Prints a word for each thing that it is able to do.
POWERS = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
static int chowns(void) { return chown("/mine", 7, 7); }
static int reads(void) { return open("/locked", O_RDONLY) < 0; }
static int chmods(void) { return chmod("/locked", 0); }
static int opens_raw(void) { return socket(AF_INET, SOCK_RAW, 1) < 0; }
static int opens_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0) < 0; }
static int binds(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    return bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&address, sizeof address);
}
static int chroots(void) { return chroot("/"); }
static int mounts(void) { return mount("x", "/folder", "tmpfs", 0, 0); }
static int names(void) { return sethostname("x", 1); }
static int groups(void) { gid_t group = 7; return setgroups(1, &group); }
static int becomes(void) { return setuid(7); }
static int becomes_group(void) { return setgid(7); }
static int kills(void) {
    int child = fork();
    if (!child) {
        setuid(7);
        pause();
    }
    usleep(100000);
    struct stat status;
    char path[32];
    sprintf(path, "/proc/%d", child);
    int is_ours = stat(path, &status) || status.st_uid != 7;
    return is_ours || kill(child, SIGKILL);
}
static int keeps_setgid(void) {
    struct stat status;
    return chmod("/group", 02755) || stat("/group", &status) || !(status.st_mode & S_ISGID);
}
static int makes_devices(void) { return mknod("/device", S_IFCHR | 0600, makedev(1, 3)); }
#define POWER(name) {#name, name}
int main(void) {
    struct { const char *name; int (*is_refused)(void); } powers[] = {
        POWER(chowns), POWER(reads), POWER(chmods), POWER(opens_raw), POWER(opens_packet), POWER(binds), POWER(chroots),
        POWER(mounts), POWER(names), POWER(groups), POWER(becomes), POWER(becomes_group), POWER(kills), POWER(keeps_setgid),
        POWER(makes_devices),
    };
    for (unsigned i = 0; i < sizeof powers / sizeof *powers; i++) {
        int status;
        if (!fork()) _exit(powers[i].is_refused() ? 1 : 0);
        wait(&status);
        if (!status) printf("%s ", powers[i].name);
        fflush(stdout);
    }
}
"""
ASKED = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETUID", "SETGID", "SETUID KILL", "NET_RAW", "NET_BIND_SERVICE", "SYS_CHROOT",
    "SYS_ADMIN", "SYS_ADMIN NET_RAW", "MKNOD",
)  # fmt: skip


@pytest.mark.peer
@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize("user", ["0", "1000"])
def test_docker_gives_the_same_powers(world: World, docker: Docker, tmp_path: Path, user: str) -> None:
    """One capability at a time, or two. Ours make no device, as the kernel wants the machine's root for it; and whoever may
    mount is in a second user namespace, where the own network belongs to the first."""
    program = build(tmp_path, "powers", POWERS, "-static")

    def fill(root: Path) -> None:
        shutil.copy(program, root / "powers")
        (root / "folder").mkdir()
        for name, owner, group, mode in (("mine", 0, 0, 0o644), ("locked", 7, 7, 0), ("group", 0, 7, 0o644)):
            (root / name).touch()
            os.chown(root / name, owner, group)
            (root / name).chmod(mode)

    (tmp_path / "root").mkdir()
    fill(tmp_path / "root")
    fill_busybox(tmp_path / "root")
    subprocess.run(["tar", "-cf", tmp_path / "powers.tar", "-C", tmp_path / "root", "."], check=True)
    docker("import", str(tmp_path / "powers.tar"), "powers:1")
    world.image(fill)
    unlike = {"SYS_ADMIN NET_RAW": {"opens_raw", "opens_packet"}, "MKNOD": {"makes_devices"}}

    for asked in ASKED:
        flags = ["-u", user, "--network", "none", "--cap-drop", "ALL", *(f"--cap-add={name}" for name in asked.split())]
        their_flags = ["run", "--rm", "--security-opt", "no-new-privileges", *flags, "powers:1"]
        theirs = docker(*their_flags, "/powers").split()
        ours = world(*flags, "box", "/powers").split()
        status = "/bin/grep", "^Cap", "/proc/self/status"
        assert world(*flags, "box", *status) == docker(*their_flags, *status)
        assert set(ours) == set(theirs) - unlike.get(asked, set()), asked


# A further program


def test_a_further_program_has_the_same(world: World) -> None:
    """What was chosen for the container, by its own user."""
    world("-d", "--name", "one", "--cap-add", "NET_RAW", "--cap-drop", "CHOWN", "box", "sleep", "100")
    try:
        for user, is_root in (("0", True), ("1000", False)):
            if user == "1000" and world.user:
                continue  # who has one user
            lines = world.jettison("exec", "-u", user, "one", "grep", "^Cap", "/proc/self/status").split()
            found = {name[3:-1]: int(value, 16) for name, value in zip(lines[::2], lines[1::2], strict=True)}
            assert found == only(USUAL & ~1 | NET_RAW, is_root)
    finally:
        world.jettison("rm", "-f", "one")


@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize("network", ["host", "none"])
def test_a_further_program_is_as_covered(world: World, network: str) -> None:
    """It enters the mounts that are locked, and sees those that the first program made."""
    world.image(fill_for_mounts)
    script = "mkdir /mine && mount -t tmpfs x /mine && hostname mine && sleep 100"
    world("-d", "--name", "one", "--network", network, "--cap-add", "ALL", "box", "sh", "-c", script)
    try:
        look = "sleep 1; ls -d /mine; hostname; grep -c ' /mine ' /proc/mounts"
        assert world.jettison("exec", "one", "sh", "-c", look) == "/mine\nmine\n1\n"
        for attack in (*ATTACKS, *ALWAYS):
            done = world.jettison.call("exec", "one", "sh", "-c", attack)
            assert done.returncode != 0 and "not found" not in done.stderr, attack
    finally:
        world.jettison("rm", "-f", "one")
