"""Attacks on the machine from inside of a world, or by its image: each of them fails.

The identifiers are those of the vulnerabilities in other runners that each test repeats.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

import worlds
from worlds import World

# Descriptors and working directories (CVE-2024-21626, CVE-2016-9962)


def test_no_descriptor_of_the_caller_is_open(world: World) -> None:
    """However many the caller left open, of folders of the machine (R2, P2)."""
    folders = [os.open("/", os.O_RDONLY) for _ in range(20)]
    for folder in folders:
        os.set_inheritable(folder, True)
    process = world.start("box", "sh", "-c", "for fd in /proc/self/fd/*; do echo ${fd##*/}; done", close_fds=False)

    seen = process.communicate()[0].split()

    # The shell itself has one open to list them.
    assert set(seen) <= {b"0", b"1", b"2", b"3"}
    for folder in folders:
        os.close(folder)


def test_closed_streams_stay_so(world: World) -> None:
    """Where the caller closed stdin, stdout and stderr, no file of the runner's takes their place (R2)."""
    folder = world.folder("seen")
    script = "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done > /v/links; ls /proc/self/fd > /v/fds"

    process = world.start("-i", "-v", f"{folder}:/v", "box", "sh", "-c", script, preexec_fn=lambda: os.closerange(0, 3))

    assert process.communicate()[0] == b""
    links = (folder / "links").read_text().split()
    assert [links[0], links[2]] == ["/dev/null"] * 2
    assert (folder / "fds").read_text().split() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("number", [*range(3, 12), 20, 60])
@pytest.mark.parametrize("pattern", ["/proc/self/fd/{}", "/proc/1/fd/{}", "/link{}", "/proc/self/fd/{}/../../.."])
def test_a_working_directory_is_inside(world: World, pattern: str, number: int) -> None:
    """A descriptor's link in /proc, also through a link of the image, leads nowhere (R2)."""

    def fill(folder: Path) -> None:
        (folder / f"link{number}").symlink_to(f"/proc/self/fd/{number}")
        (folder / "here").write_text("inside")

    world.image(fill)

    done = world.call("-w", pattern.format(number), "box", "sh", "-c", "cat ../../../../../here")

    assert done.returncode == 125 or done.stdout == "inside"


def test_no_process_of_the_machine_can_be_looked_into(world: World) -> None:
    """The init is jettison's interpreter: neither its file nor its memory, descriptors and root can be opened (R1)."""
    script = (
        "for f in exe root cwd fd/0 mem map_files environ; do test -r /proc/1/$f && cat /proc/1/$f >/dev/null && echo $f; done"
    )

    assert world.call("box", "sh", "-c", f"{script} 2>/dev/null; ls /proc/1/fd/* /proc/1/root/").stdout == ""


def test_the_callers_command_line_is_not_seen(world: World) -> None:
    """It names folders of the machine, and values of variables that the program may pass on to nobody."""
    folder = world.folder("private")

    seen = world.shell("cat /proc/*/cmdline | tr '\\0' ' '", "-v", f"{folder}:/v", "-e", "SECRET=value")

    assert seen.startswith("init ")
    assert "SECRET" not in seen and "private" not in seen and "jettison" not in seen


@pytest.mark.parametrize("entrypoint", ["/proc/self/exe", "/exe", "/script", "/nested", "/unreadable", "/proc/1/exe"])
def test_the_interpreter_cannot_be_executed(world: World, entrypoint: str) -> None:
    """An image whose program is a link to the runner itself, or a script of such an interpreter, is refused (CVE-2019-5736)
    (R1)."""

    def fill(folder: Path) -> None:
        (folder / "exe").symlink_to("/proc/self/exe")
        for name, line, mode in (
            ("script", "#!/proc/self/exe\n", 0o755),
            ("nested", "#! \t/script -x\n", 0o755),
            ("unreadable", "#!/exe\n", 0o111),
        ):
            (folder / name).write_text(line)
            (folder / name).chmod(mode)

    world.image(fill, entrypoint=[entrypoint])
    before = sha256(Path(sys.executable).read_bytes()).digest()

    done = world.call("box")

    assert (done.returncode, "refusing" in done.stderr or "cannot execute" in done.stderr) == (126, True), done.stderr
    assert before == sha256(Path(sys.executable).read_bytes()).digest()


# Images that are not what they seem (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2026-41579)


def make_link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


TRAPS: dict[str, Callable[[Path], object]] = {
    "absolute link": make_link("/tmp"),
    "relative link": make_link("../../tmp"),
    "dangling link": make_link("/nowhere"),
    "link to itself": make_link("self"),
    "file": lambda path: path.write_text("x"),
    "fifo": os.mkfifo,
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("place", ["proc", "sys", "dev"])
def test_a_trap_in_place_of_a_mount_point(world: World, place: str, trap: str) -> None:
    """It fails cleanly, and nothing of the machine is touched (R5)."""
    world.image(lambda folder: TRAPS[trap](folder / place))
    before = (set(os.listdir("/tmp")), worlds.own_mounts(world))

    done = world.call("box", "true")

    assert (done.returncode, f"its /{place} is no folder" in done.stderr) == (125, True), done.stderr
    assert worlds.own_mounts(world) == before[1]
    assert {name for name in set(os.listdir("/tmp")) - before[0] if name in ("null", "fd", "pts", "shm")} == set()


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_below_dev(world: World, trap: str) -> None:
    """What the image has in /dev is covered: /dev/null of a world is the machine's (CVE-2025-31133, CVE-2025-52565) (R6, R7)."""

    def fill(folder: Path) -> None:
        (folder / "dev").mkdir()
        for name in ("null", "console", "pts", "shm", "ptmx", "fd"):
            TRAPS[trap](folder / "dev" / name)

    world.image(fill)

    assert world.shell("stat -c '%t %T' /dev/null; stat -c %a /dev/shm; readlink /dev/ptmx") == "1 3\n1777\npts/ptmx\n"


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("name", ["hosts", "hostname", "resolv.conf"])
def test_a_trap_in_place_of_a_file_of_ours(world: World, name: str, trap: str) -> None:
    """It is replaced inside; nothing is written through it (R5)."""

    def fill(folder: Path) -> None:
        (folder / "etc").mkdir()
        TRAPS[trap](folder / "etc" / name)

    world.image(fill)

    assert world.shell(f"test -f /etc/{name} && test ! -L /etc/{name} && echo ok") == "ok\n"


def test_etc_as_a_link_out(world: World) -> None:
    """A folder's link is followed inside (CVE-2026-55686) (R5)."""
    folder = world.folder("outside")
    world.image(lambda root: (root / "etc").symlink_to(folder))

    assert world.shell(f"cat {folder}/hostname; cat /etc/hostname") == f"{os.uname().nodename}\n" * 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("link", ["/", "..", "../../../..", "/proc/self/root", "/proc/1/root", "{outside}", "loop"])
def test_volumes_stay_inside(world: World, link: str) -> None:
    """A target's parent is a link of the image (CVE-2021-30465, CVE-2024-45310, CVE-2024-9341) (R4, R10)."""
    outside, source = world.folder("outside"), world.folder("source")
    (source / "file").write_text("x")
    world.image(lambda root: (root / "loop").symlink_to(link.format(outside=outside)))
    before = worlds.own_mounts(world)

    done = world.call("-v", f"{source}:/loop/new/place", "--tmpfs", "/loop/memory", "box", "true")

    assert done.returncode in (0, 125)
    assert list(outside.iterdir()) == []
    assert worlds.own_mounts(world) == before
    assert not os.path.exists("/new") and not os.path.exists("/memory")


@pytest.mark.parametrize("link", ["/", "..", "/proc/self/root", "/proc/1/root", "{outside}", "loop"])
@pytest.mark.parametrize("place", ["run", "run/secrets"])
def test_secrets_stay_inside(world: World, place: str, link: str) -> None:
    """Where the image has a link in their place, nothing is written outside (CVE-2024-9341) (R20)."""
    outside = world.folder("outside")

    def fill(root: Path) -> None:
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).symlink_to(link.format(outside=outside))

    world.image(fill)
    before = (worlds.own_mounts(world), set(os.listdir("/")))

    done = world.call("--secret", "id=db,env=HOME", "box", "cat", "/run/secrets/db")

    assert done.returncode in (0, 125)
    assert list(outside.iterdir()) == []
    assert (worlds.own_mounts(world), set(os.listdir("/"))) == before


def test_a_secret_is_nowhere_else(world: World) -> None:
    """In no file of the store, and in no process's environment or command line."""
    secret = f"secret-{os.urandom(8).hex()}"
    path = world.folder("private") / "file"
    path.write_text(secret)
    if world.user and os.geteuid() == 0:
        world.user.give(path)
    script = "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; echo ready; sleep 100"
    process = world.start("--secret", f"id=db,src={path}", "box", "sh", "-c", script)
    assert process.stdout is not None
    seen = process.stdout.readline()
    while not seen.endswith(b"ready\n"):
        seen += process.stdout.readline()

    holders = [each for each in said_of_processes() if secret.encode() in each]

    process.kill()
    process.wait()
    process.stdout.close()
    assert (secret.encode() in seen, holders) == (False, [])
    files = [each for each in world.store.rglob("*") if each.is_file() and not each.is_symlink()]
    assert [each for each in files if secret.encode() in each.read_bytes()] == []


def said_of_processes() -> list[bytes]:
    """The environments and command lines of all processes of the machine."""
    found = []
    for path in (path for name in ("environ", "cmdline") for path in Path("/proc").glob(f"[0-9]*/{name}")):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return found


@pytest.mark.parametrize("link", ["/", "..", "/proc/self/root", "/proc/1/root", "/proc/self/cwd", "{outside}", "loop"])
@pytest.mark.parametrize("place", ["loop", "loop/below"])
def test_named_volumes_stay_inside(world: World, place: str, link: str) -> None:
    """Where the image has a link in a volume's place, nothing of the machine is copied into the volume, or written
    (CVE-2022-23648, CVE-2024-9341) (R20)."""
    outside = world.folder("outside")
    for folder in (outside, outside / "below"):
        folder.mkdir(exist_ok=True)
        (folder / "private").write_text("of the machine")
    world.image(lambda root: (root / "loop").symlink_to(link.format(outside=outside)))
    before = worlds.own_mounts(world)

    done = world.call("-v", f"v:/{place}", "box", "touch", f"/{place}/new")

    assert done.returncode in (0, 125)
    assert sorted(each.name for each in outside.rglob("*")) == ["below", "private", "private"]
    assert not list((world.store / "volumes/v").rglob("private")) and not os.path.exists("/new")
    assert (done.returncode == 0) == (world.store / "volumes/v/new").exists()
    assert worlds.own_mounts(world) == before


def test_what_is_copied_into_a_volume_is_the_images(world: World) -> None:
    """Links in what is copied are copied, not followed; devices of a volume cannot be used."""
    outside = world.folder("outside")
    (outside / "private").write_text("of the machine")

    def fill(root: Path) -> None:
        (root / "data/deep").mkdir(parents=True)
        for name, target in (("out", outside), ("deep/out", outside / "private"), ("deep/up", "../../../../etc/passwd")):
            (root / "data" / name).symlink_to(target)

    world.image(fill)

    world.shell("true", "-v", "v:/data")

    copied = world.store / "volumes/v"
    assert sorted(str(path.relative_to(copied)) for path in copied.rglob("*")) == ["deep", "deep/out", "deep/up", "out"]
    assert all((copied / name).is_symlink() for name in ("out", "deep/out", "deep/up"))


@pytest.mark.parametrize("name", ["../../etc", "..", ".", ".hidden", "a/../../b", "/etc", "a/b", "é", "x" * 129, "a\nb"])
def test_a_volumes_name_is_never_a_way_out(world: World, name: str) -> None:
    """It is one file name of the store's own folder (R44)."""
    done = world.call("--mount", f"type=volume,source={name},target=/v", "box", "true")

    assert done.returncode == 125
    assert not (world.store / "volumes").exists()


def test_a_race_for_a_volumes_place(world: World) -> None:
    """Somebody who shares a volume swaps a folder in it for a link, while something is mounted there (CVE-2021-30465)
    (R4, R10)."""
    shared, outside, source = world.folder("shared"), world.folder("outside"), world.folder("source")
    (shared / "place/deep").mkdir(parents=True)
    (shared / "link").symlink_to(outside)
    is_over = threading.Event()
    swapper = threading.Thread(target=swap, args=(shared, is_over))
    before = worlds.own_mounts(world)
    deeper = ("-v", f"{source}:/v/place/deep/er", "--tmpfs", "/v/place/memory")
    swapper.start()

    done = [world.call("-v", f"{shared}:/v", *deeper, "box", "true") for _ in range(100)]

    is_over.set()
    swapper.join()
    assert {each.returncode for each in done} <= {0, 125}
    assert list(outside.iterdir()) == []
    assert worlds.own_mounts(world) == before


def swap(folder: Path, is_over: threading.Event) -> None:
    """Let `place` be a folder and a link in turn."""
    exchange = ctypes.CDLL(None).renameat2
    while not is_over.is_set():
        exchange(-100, bytes(folder / "place"), -100, bytes(folder / "link"), 2)  # AT_FDCWD, RENAME_EXCHANGE


def test_volumes_cannot_uncover_proc(world: World) -> None:
    """Also not through a link of the image (R5, R27)."""
    source = world.folder("source")
    world.image(lambda root: (root / "link").symlink_to("/proc"))

    for place in ("/link", "/link/sys", "/link/self"):
        done = world.call("-v", f"{source}:{place}", "box", "true")

        assert done.returncode == 125, place


def test_image_volumes_stay_inside(world: World) -> None:
    """An image's VOLUME that is a link out (CVE-2022-23648) (R20)."""
    world.image(lambda root: (root / "v").symlink_to("/etc"), volume=["/v", "/proc/x", "/../up"])

    assert world.shell("ls /v/passwd; ls -d /up", "--read-only") == "/up\n"


# What a program may do


def test_no_privilege_is_left(world: World) -> None:
    """Every capability set is empty where all are dropped, also where the caller's were not (CVE-2022-24769); setuid programs
    give none back (R14)."""
    status = world.shell("cat /proc/self/status", "--cap-drop", "ALL")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert {facts[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    "attack",
    [
        "unshare -U true",
        "unshare -m true",
        "mount -t tmpfs x /tmp",
        "mount -t cgroup x /tmp",
        "mount -t proc x /tmp",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "umount /proc/kcore",
        "umount /",
        "chroot / true",
        "mknod /x b 8 0",
        "mknod /x c 1 1",
        "hostname other",
        "echo 1 > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo b > /proc/sysrq-trigger",
        "echo 0 > /proc/irq/default_smp_affinity",
        "echo x > /sys/kernel/uevent_helper",
        "head -c 1 /proc/kcore | grep -q .",
        "echo 10 > /proc/sys/user/max_user_namespaces",
        "echo x > /sys/fs/cgroup/cgroup.procs",
        "ls /proc/1/root/",
        "ls /sys/firmware/* /sys/kernel/debug/* /sys/kernel/security/*",
    ],
)
@pytest.mark.parametrize("network", ["host", "none"])
def test_attacks_that_fail(world: World, attack: str, network: str) -> None:
    """As the most privileged user that a world has (R12, R22)."""
    world.image(lambda root: (root / "tmp").mkdir())

    assert world.call("--network", network, "box", "sh", "-c", attack).returncode != 0


def test_what_can_be_written(world: World) -> None:
    """Of all mounts only these; nothing in /sys (CVE-2023-25809, CVE-2022-0492) (R13)."""
    lines = [line.split() for line in world.shell("cat /proc/self/mountinfo").splitlines()]
    writable = {line[4] for line in lines if "rw" in line[5].split(",")}
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    masks = {"/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats"}

    assert writable - devices - masks == {"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"}
    assert world.call("box", "sh", "-c", "find /sys -writable -type f | grep -q .").returncode != 0


def test_every_mount_has_its_flags(world: World) -> None:
    """No mount gives privileges or devices, but for the devices themselves; what hides something is what it should be
    (R36, R37)."""
    lines = [line.split() for line in world.shell("cat /proc/self/mountinfo").splitlines()]
    flags = {line[4]: set(line[5].split(",")) for line in lines}
    kinds = {line[4]: line[line.index("-") + 1] for line in lines}
    files = {place for place, kind in kinds.items() if kind == "devtmpfs"}

    assert {place for place, words in flags.items() if "nosuid" not in words} - files == set()
    assert {place for place, words in flags.items() if "nodev" not in words} - files == {"/dev", "/dev/pts"}
    assert {place for place, words in flags.items() if "noexec" not in words} - files == {"/"}
    for hidden in ("/proc/keys", "/proc/interrupts"):
        assert world.shell(f"cat {hidden}; stat -c '%t %T' {hidden}") == "1 3\n"


@pytest.mark.parametrize("world", ["root"], indirect=True)  # who may mount something to begin with
def test_a_read_only_volume_is_so_all_the_way_down(world: World) -> None:
    """Mounts below a volume's source too (R38)."""
    source = world.folder("source")
    (source / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "x", source / "below"], check=True)
    try:
        done = world.call("-v", f"{source}:/v:ro", "box", "sh", "-c", "echo x > /v/below/file")
    finally:
        subprocess.run(["umount", source / "below"], check=True)

    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize(
    ("user", "uid"),
    [
        ("0", "0"),
        ("1", "1"),
        ("1000", "1000"),
        ("1000:1000", "1000"),
        ("01", "1"),
        *((text, "") for text in ("4294967295", "4294967296", "99999999999999999999", "-1", "+5", " 1", "1e3", "٣", "absent")),
    ],
)
def test_a_number_is_never_a_name(world: World, user: str, uid: str) -> None:
    """An image cannot call root `1000`; what is no number and no name is an error, and never root (CVE-2016-3697) (R15)."""
    names = ("0", "1", "01", "1000", "4294967295", "4294967296", "2147483648", "-1", "+5", " 1", "1e3", "٣", "9" * 20)

    def fill(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc/passwd").write_text("".join(f"{name}:x:0:0::/:/bin/sh\n" for name in names if name != "0"))

    world.image(fill)

    done = world.call("-u", user, "box", "id", "-u")

    assert (done.stdout.strip(), done.returncode) == (uid, 0 if uid else 125), done.stderr


def test_nothing_of_the_callers_environment_comes_in(world: World) -> None:
    """No LC_CTYPE of Python's own making, no proxies, no loader's variables (CVE-2020-14370) (R25)."""
    extra = {"SECRET": "x", "HTTP_PROXY": "http://x", "LC_ALL": "C", "LD_LIBRARY_PATH": "/x", "PYTHONSTARTUP": "/x"}
    done = world.jettison.call("run", "box", "cat", "/proc/self/environ", env=extra)

    assert {text.partition("=")[0] for text in done.stdout.split("\0")} == {"", "PATH", "HOME", "HOSTNAME"}


def odd_parent() -> None:
    """Before jettison starts: signals ignored and blocked, a strict umask, capabilities to hand on."""
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 3):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGALRM})
    os.umask(0o077)
    ctypes.CDLL(None).prctl(47, 2, 0, 0, 0)  # PR_CAP_AMBIENT_RAISE of CAP_CHOWN, where it may


def test_nothing_of_an_odd_parent_comes_in(world: World) -> None:
    """Signals are all default and unblocked, the umask is 022 (bubblewrap 0.11.1) (R34, R35)."""
    process = world.start(
        "box", "sh", "-c", "umask; exec grep -E '^(Sig(Blk|Ign|Cgt)|CapAmb)' /proc/self/status", preexec_fn=odd_parent
    )

    lines = process.communicate()[0].decode().split()

    assert process.returncode == 0
    assert lines[0] == "0022"
    found = {name: int(value, 16) for name, value in zip(lines[1::2], lines[2::2], strict=True)}
    assert found.pop("CapAmb:") == 0
    # Signals 32 and 33 are the C library's own: its posix_spawn, which make uses, leaves them ignored.
    assert {value & ~(0b11 << 31) for value in found.values()} == {0}


def test_a_broken_pipe_ends_the_program(world: World) -> None:
    """Python ignores SIGPIPE; a program must not inherit it (R34)."""
    assert world.shell("(yes; echo $? >&2) 2>/code | head -1; cat /code") == "y\n141\n"


def test_a_killed_runner_takes_all_with_it(world: World) -> None:
    """Also processes that left the program's session; and nothing is left mounted or written (R42)."""
    marker = f"{os.getpid()}.{time.monotonic_ns() % 100000}"
    script = f"(sleep 98{marker} &) ; echo ready; sleep 99{marker}"
    process = world.start("box", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert wait_for_processes(marker, 2)

    process.kill()
    process.wait()

    assert wait_for_processes(marker, 0)
    assert list((world.store / "tmp").iterdir()) == []
    assert not [line for line in worlds.own_mounts(world) if str(world.store) in line]
    process.stdout.close()


def wait_for_processes(marker: str, count: int) -> bool:
    """Whether there are so many of them within a few seconds."""
    until_s = time.monotonic() + 5
    while len(find_processes(marker)) != count and time.monotonic() < until_s:
        time.sleep(0.02)
    return len(find_processes(marker)) == count


def find_processes(marker: str) -> list[str]:
    """Processes of the machine with a text among their arguments, the tests' own left out."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"sleep" and any(marker.encode() in word for word in words):
            found.append(name)
    return found


def test_limits_are_the_callers(world: World) -> None:
    """What the caller may not have, its world may not have either (R35)."""
    soft = 77

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))

    process = world.start("box", "sh", "-c", "ulimit -n", preexec_fn=limit)

    assert process.communicate()[0] == f"{soft}\n".encode()


def test_no_key_can_be_pushed_into_the_callers_terminal(world: World) -> None:
    """Without `-t` a program has no controlling terminal (CVE-2017-5226) (R24)."""
    assert world.call("box", "sh", "-c", "exec 3</dev/tty").returncode != 0
    assert world.shell("cut -d' ' -f6,7 /proc/self/stat; cut -d' ' -f7 /proc/1/stat").splitlines()[1] == "0"


def test_a_world_has_its_own_processes_ipc_and_cgroup(world: World) -> None:
    """Of all namespaces but the network's."""
    own = world.shell("cd /proc/self/ns; for name in user mnt pid ipc uts cgroup net; do readlink $name; done").split()
    machines = [os.readlink(f"/proc/self/ns/{name}") for name in ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")]

    assert [own[index] == machines[index] for index in range(7)] == [False] * 6 + [True]
