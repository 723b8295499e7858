"""What a program sees of `jettison run`, as root and as an ordinary user."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import worlds
from screens import Screen
from worlds import World

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


# Streams and status


@pytest.mark.parametrize("status", [0, 1, 7, 125, 126, 255])
def test_the_status_is_the_programs(world: World, status: int) -> None:
    """Whatever the program ends with, `run` ends with."""
    assert status == world.call("box", "sh", "-c", f"exit {status}").returncode


@pytest.mark.parametrize("flag", ["--init", "--init=false"])
def test_a_signals_status_is_128_and_its_number(world: World, flag: str) -> None:
    """As a shell gives it. Without an init the program is PID 1, which only others can kill."""
    script = "kill -KILL $$" if flag == "--init" else "exit 137"

    assert world.call(flag, "box", "sh", "-c", script).returncode == 137


@pytest.mark.parametrize(
    ("program", "status", "message"),
    [
        ("absent", 127, "no program `absent` in $PATH"),
        ("/bin/absent", 127, "no program `/bin/absent` in the image"),
        ("", 127, "no program ``"),
        ("/etc", 126, "it is no executable file"),
        ("/data", 126, "it is no executable file"),
        ("/text", 126, "not a program of this machine"),
        ("/script", 127, "its interpreter `/bin/bash` is not there"),
        ("/foreign", 127, "its interpreter is not in the image"),
    ],
)
def test_a_program_that_cannot_be_started(world: World, program: str, status: int, message: str) -> None:
    """docker's statuses: 127 where something is not there, 126 where it is no program; and the reason."""

    def fill(folder: Path) -> None:
        (folder / "etc").mkdir()
        (folder / "data").write_text("x")
        for name, text in (("text", "hello"), ("script", "#!/bin/bash\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        program = Path("/bin/ls").read_bytes()
        (folder / "foreign").write_bytes(program)
        (folder / "foreign").chmod(0o755)

    world.image(fill)

    done = world.call("box", program)

    assert (done.returncode, message in done.stderr) == (status, True), done.stderr


def test_an_image_that_is_not_there_is_125(world: World) -> None:
    """jettison's own failures are told from the program's."""
    done = world.call("absent")

    assert done.returncode == 125
    assert "no image `absent`" in done.stderr


def test_arguments_arrive_to_the_letter(world: World) -> None:
    """Empty ones, spaces, line ends, bytes that are no UTF-8, and what looks like a flag (P6)."""
    arguments = ["", "a b", "two\nlines", os.fsdecode(b"\xff\xfe"), "--rm", "-v", "é"]

    seen = world("box", "sh", "-c", 'cat /proc/self/cmdline; printf "%s\\0" "$@"', *arguments)

    # `sh -c script` takes the first argument as its own name.
    assert seen.endswith("\0".join([*arguments[1:], ""]))


def test_stdin_is_passed_on_with_i_alone(world: World) -> None:
    """As in docker: without `-i` it is /dev/null."""
    assert world("box", "cat", stdin="secret") == ""
    assert world("-i", "box", "cat", stdin="text") == "text"


def test_much_output_is_passed_on_whole(world: World) -> None:
    """stdout is the caller's own, not a copy of it."""
    assert len(world("box", "sh", "-c", "yes | head -c 5000000")) == 5_000_000


@pytest.mark.parametrize("user", ["0", "101"])
def test_stdout_can_be_opened_again(world: World, user: str) -> None:
    """Many programs log to /dev/stdout by its name, whoever they run as."""
    prefix = world.user.prefix if world.user else ["env", f"JETTISON_HOME={world.store}"]
    own_pipe = [*prefix, "sh", "-c", 'env "$@" | cat', "sh", *world.command]
    script = "echo a > /dev/stdout; echo b > /dev/fd/1; echo c > /proc/self/fd/1"

    done = subprocess.run([*own_pipe, "run", "-u", user, "box", "sh", "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "a\nb\nc\n"


# Environment


def test_the_environment_is_exact(world: World) -> None:
    """The image's variables and docker's defaults; nothing of the caller's."""
    world.image(env=["FOO=bar", "TWO=line 1\nline 2", "EMPTY=", os.fsdecode(b"RAW=\xff")])

    seen = world("--hostname", "me", "box", "cat", "/proc/self/environ").split("\0")

    assert sorted(seen) == sorted(
        ["", "FOO=bar", "TWO=line 1\nline 2", "EMPTY=", os.fsdecode(b"RAW=\xff"), DEFAULT_PATH, "HOSTNAME=me", "HOME=/root"]
    )


def test_flags_win_over_the_image(world: World) -> None:
    """`-e` replaces, also PATH and HOME; a name alone takes the caller's value, or removes the variable."""
    world.image(env=["A=image", "B=image", "PATH=/bin"])

    call = world.jettison.call("run", "-e", "A=x=y", "-e", "B", "-e", "HOME=/h", "--env=C=", "box", "cat", "/proc/self/environ")

    assert {"A=x=y", "HOME=/h", "C=", "PATH=/bin"} <= set(call.stdout.split("\0"))
    assert "B=" not in call.stdout


def test_an_env_file_is_read_as_docker_reads_it(world: World) -> None:
    """Comments, blanks before a name, quotes that are part of the value, and flags that win."""
    folder = world.folder("files")
    (folder / "env").write_bytes(b"\xef\xbb\xbfA=1\r\n# no\n\n  B='quoted' \nABSENT_EVERYWHERE\nC=file\n")

    seen = world("--env-file", f"{folder}/env", "-e", "C=flag", "box", "cat", "/proc/self/environ").split("\0")

    assert {"A=1", "B='quoted' ", "C=flag"} <= set(seen)
    assert not [text for text in seen if text.startswith("ABSENT")]


def test_an_env_file_that_is_wrong_names_the_line(world: World) -> None:
    """And nothing is started."""
    folder = world.folder("files")
    (folder / "env").write_text("A=1\nB C=2\n")

    done = world.call("--env-file", f"{folder}/env", "box", "true")

    assert done.returncode == 125
    assert "line 2" in done.stderr


# What is executed


def test_entrypoint_and_command_follow_dockers_rule(world: World) -> None:
    """Arguments replace the command; a given entrypoint drops both."""
    world.image(entrypoint=["/bin/echo", "entry"], cmd=["command"])

    assert world("box") == "entry command\n"
    assert world("box", "argument") == "entry argument\n"
    assert world("--entrypoint", "/bin/pwd", "box") == "/\n"
    assert world("--entrypoint", "", "box", "/bin/echo", "x") == "x\n"


def test_an_image_without_a_program_needs_one(world: World) -> None:
    """It is a usage error with a hint."""
    done = world.call("box")

    assert done.returncode == 125
    assert "names no program" in done.stderr


def test_the_working_directory_is_made(world: World) -> None:
    """The image's or the flag's; through links inside, also to where nothing is yet."""

    def fill(folder: Path) -> None:
        (folder / "link").symlink_to("/somewhere/else")
        (folder / "up").symlink_to("../../../../etc")

    world.image(fill, workdir=["/made/by/image"])

    assert world("box", "pwd") == "/made/by/image\n"
    assert world("-w", "/a/b/c", "box", "pwd") == "/a/b/c\n"
    assert world("-w", "/link/sub", "box", "sh", "-c", "pwd -P") == "/somewhere/else/sub\n"
    assert world("-w", "/up", "box", "sh", "-c", "pwd -P") == "/etc\n"
    assert "absolute path" in world.call("-w", "rel", "box", "pwd").stderr


@pytest.mark.parametrize("network", ["host", "none"])
def test_users_are_those_of_the_image(world: World, network: str) -> None:
    """By name or number, with the groups of the image's own tables."""

    def fill(folder: Path) -> None:
        (folder / "etc").mkdir()
        (folder / "etc/passwd").write_text("app:x:101:102::/home/app:/bin/sh\n")
        (folder / "etc/group").write_text("app:x:102:\nmore:x:200:app\n")

    world.image(fill)
    seen = world.shell("id -u; id -g; echo $HOME", "--network", network, "-u", "app")

    assert seen == "101\n102\n/home/app\n"
    assert world.shell("id -u; id -g", "--user", "4711:4712") == "4711\n4712\n"


def test_supplementary_groups_include_the_primary(world: World) -> None:
    """And none of the caller's is left; an ordinary user's cannot be taken away, and have no name here (R16)."""
    world.image(uid=["101"], gid=["102"], group=["102", "200"])

    groups = world.shell("grep ^Groups: /proc/self/status").split()[1:]

    assert groups == (["102", "200"] if world.user is None else groups[:0])


# Files


def test_nothing_is_kept(world: World) -> None:
    """What a program writes is gone with it, and its image is as it was."""
    world.shell("echo x > /new; rm /bin/yes; mkdir -p /d/e; rm -r /d; mkdir /d")

    assert world.shell("ls /new /d 2>/dev/null; ls /bin/yes") == "/bin/yes\n"


def test_folders_can_be_removed_and_made_again(world: World) -> None:
    """Also those of the image: the throw-away layer hides what was in them."""
    world.image(lambda folder: (folder / "dir/sub").mkdir(parents=True))

    assert world.shell("rm -r /dir && mkdir /dir && ls /dir") == ""


def test_the_root_folder_looks_like_the_images(world: World) -> None:
    """Its mode and owner are the topmost layer's, though a throw-away layer lies on it."""
    world.image(lambda folder: folder.chmod(0o751))

    assert world.shell("stat -c '%a %u' /") == "751 0\n"


def test_volumes_show_folders_and_files(world: World) -> None:
    """Writable, or read-only with all that lies below; the place is made where it is missing."""
    folder = world.folder("data")
    (folder / "file").write_text("text")

    assert world.shell("cat /in/deep/file; echo new > /in/deep/out", "-v", f"{folder}:/in/deep") == "text"
    assert (folder / "out").read_text() == "new\n"
    assert world.shell("cat /one", "-v", f"{folder}/file:/one") == "text"
    done = world.call("-v", f"{folder}:/in:ro", "box", "sh", "-c", "echo x > /in/file")
    assert "Read-only file system" in done.stderr
    assert (folder / "file").read_text() == "text"


def test_a_volumes_missing_source_is_made(world: World) -> None:
    """As docker does."""
    folder = world.folder("data")

    world.shell("echo x > /v/file", "-v", f"{folder}/new/er:/v")

    assert (folder / "new/er/file").read_text() == "x\n"


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ("a/b:/x", "`a/b` is no name for a volume"),
        (":/x", "`` is no name for a volume"),
        ("../../etc", "no absolute path"),
        ("/tmp:rel", "no absolute path"),
        ("/tmp:/", "no absolute path below"),
        ("/tmp:/x:wrong", "unknown option `wrong`"),
        ("/tmp:/proc/x", "belongs to the kernel"),
        ("/tmp:/x/../proc", "belongs to the kernel"),
    ],
)
def test_volumes_that_are_refused(world: World, volume: str, message: str) -> None:
    """Before anything is started."""
    done = world.call("-v", volume, "box", "true")

    assert (done.returncode, message in done.stderr) == (125, True), done.stderr


def test_a_volume_in_a_volume(world: World) -> None:
    """The outer is mounted first, in whatever order they are given."""
    outer, inner = world.folder("outer"), world.folder("inner")
    (inner / "file").write_text("inner")

    assert world.shell("cat /v/w/file", "-v", f"{inner}:/v/w", "-v", f"{outer}:/v") == "inner"


def test_read_only(world: World) -> None:
    """Only volumes, the image's own too, and memory can be written."""
    world.image(lambda folder: (folder / "data").mkdir(), volume=["/data"])
    script = "for f in /x /data/x /dev/shm/x /t/x /anon/x; do echo > $f && echo $f; done 2>/dev/null; true"

    assert world.shell(script, "--read-only", "--tmpfs", "/t", "-v", "/anon") == "/data/x\n/dev/shm/x\n/t/x\n/anon/x\n"


def test_tmpfs(world: World) -> None:
    """docker's options and defaults: nothing in it is executed unless asked, the folder's own mode is kept."""
    world.image(lambda folder: (folder / "t").mkdir(mode=0o700))

    mounts = world.shell("grep ' /t ' /proc/mounts; stat -c %a /t /new", "--tmpfs", "/t:size=64k,exec", "--tmpfs", "/new")

    assert "rw,nosuid,nodev,relatime,size=64k" in mounts
    assert mounts.endswith("\n700\n1777\n")
    assert "unknown option `foo=1`" in world.call("--tmpfs", "/t:foo=1", "box", "true").stderr


def test_names_of_machines(world: World) -> None:
    """With the machine's network its files; without, this world alone."""
    host = world.shell("hostname; cat /etc/hostname /etc/hosts")
    none = world.shell("hostname; cat /etc/hosts /etc/resolv.conf; echo $HOSTNAME", "--network", "none", "--hostname", "me")

    assert host == f"{os.uname().nodename}\n" * 2 + Path("/etc/hosts").read_text()
    assert none == "me\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tme\nme\n"


def test_a_network_of_its_own(world: World) -> None:
    """Loopback is up, every port may be opened, and nothing else is there."""
    world.image(uid=["1000"])
    # busybox's nc hangs up when its own stdin has ended, sometimes before it is told anything.
    server = "until [ -s /got ]; do nc -l -p 80 > /got; done &"
    script = f"ls /sys/class/net; {server} until [ -s /got ]; do echo hi | nc 127.0.0.1 80; sleep 0.1; done; cat /got"

    assert world.shell(script, "--network", "none", "-u", "0") == "lo\nhi\n"
    assert world.shell("ls /sys/class/net") == "".join(f"{name}\n" for name in sorted(os.listdir("/sys/class/net")))


# Layers


def test_many_layers(world: World) -> None:
    """128 layers, each of which hides the one below."""

    def fill(number: int) -> Callable[[Path], object]:
        return lambda folder: (folder / "number").write_text(str(number))

    base = world.layer(worlds.fill_busybox)
    world.compose([base, *(world.layer(fill(number)) for number in range(127))])

    assert world("box", "cat", "/number") == "126"


def test_no_layer_and_one_twice(world: World) -> None:
    """An image without layers has no program; one that has a layer twice is as good as with it once."""
    world.compose([], cmd=["/bin/true"])
    assert world.call("box").returncode == 127

    base, other = world.layer(worlds.fill_busybox), world.layer(lambda folder: (folder / "x").write_text("x"))
    world.compose([base, other, base])
    assert world("box", "cat", "/x") == "x"


def test_a_missing_layer_is_told(world: World) -> None:
    """The store that lost it cannot unpack it either."""
    world.compose(["0" * 64], cmd=["/bin/true"])

    done = world.call("box")

    assert done.returncode == 125
    assert done.stderr.startswith("error: ")


# Processes


def test_the_dead_are_buried(world: World) -> None:
    """Processes that lost their parents leave no zombies; the end of the program ends all."""
    script = "for i in 1 2 3 4 5 6 7 8; do (sleep 0 &); done; sleep 0.3; ps -o stat,comm | grep -c ^Z; (sleep 100 &); exit 3"
    started_s = time.monotonic()

    done = world.call("box", "sh", "-c", script)

    assert (done.returncode, done.stdout) == (3, "0\n")
    assert time.monotonic() - started_s < 10


def test_init_or_not(world: World) -> None:
    """The program is a child of our init, or PID 1 itself."""
    assert world.shell("echo $$") == "2\n"
    assert world.shell("echo $$", "--init=false") == "1\n"


@pytest.fixture
def started(world: World) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start a program; whatever happens, it ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: object) -> "subprocess.Popen[bytes]":
        running.append(world.start(*arguments, **options))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said(process: "subprocess.Popen[bytes]", wait_s: float = 10) -> bytes:
    """The next line of a process."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], wait_s)
    return process.stdout.readline() if ready else b""


@pytest.mark.parametrize("init", ["--init", "--init=false"])
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM"])
def test_signals_arrive(started: Callable[..., "subprocess.Popen[bytes]"], init: str, name: str) -> None:
    """A signal to jettison is one to the program, under the init and without."""
    script = f"trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    process = started(init, "box", "sh", "-c", script)
    assert said(process) == b"ready\n"

    process.send_signal(signal.Signals[f"SIG{name}"])

    assert said(process) == b"got\n"
    assert process.wait(10) == 9


def test_a_signal_that_kills_gives_its_status(started: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    """143 for TERM, as a shell says it; the init makes default actions work."""
    process = started("box", "sh", "-c", "echo ready; sleep 100")
    assert said(process) == b"ready\n"

    process.terminate()

    assert process.wait(10) == 143


def test_a_stop_stops_both(started: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    """Ctrl-Z stops the program and jettison, as a bare process; `fg` goes on."""
    process = started("box", "sh", "-c", "while :; do echo tick; sleep 0.05; done")
    assert said(process) == b"tick\n"

    process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    while said(process, 0.5):
        pass
    process.send_signal(signal.SIGCONT)

    assert said(process) == b"tick\n"


def test_names_are_unique_among_what_runs(world: World, started: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    """A name is free again when its container has ended, however it ended."""
    process = started("--name", "one", "box", "sh", "-c", "echo ready; sleep 100")
    assert said(process) == b"ready\n"

    assert "the name `one` is taken" in world.call("--name", "one", "box", "true").stderr
    process.kill()
    process.wait()
    assert world.call("--name", "one", "box", "true").returncode == 0


@pytest.mark.parametrize("name", ["../x", "a/b", "-x", ".", "a b", "x" * 129, "é"])
def test_names_that_are_refused(world: World, name: str) -> None:
    """A name is never a way out of the store (R39)."""
    done = world.call(f"--name={name}", "box", "true")

    assert (done.returncode, "is no name" in done.stderr) == (125, True)


def test_twenty_at_once(world: World) -> None:
    """They do not hinder each other."""
    running = [world.start("box", "sh", "-c", f"echo {number} > /file; sleep 0.2; cat /file") for number in range(20)]

    said_by_each = [process.communicate()[0] for process in running]

    assert said_by_each == [f"{number}\n".encode() for number in range(20)]


def test_explain_starts_nothing(world: World) -> None:
    """It prints the plan: the operations in their order."""
    steps = world("--explain", "--read-only", "-v", "/tmp:/t:ro", "box", "touch", "/t/x").splitlines()

    assert steps[0] == "close every descriptor but stdin, stdout and stderr"
    assert "show `/tmp` as `/t`, read-only" in steps
    assert steps[-1] == "execute `touch /t/x` below an init"


# Terminals


def test_a_terminal(world: World) -> None:
    """A program under `-it` has a terminal of the right size, Ctrl-C interrupts it, and the caller's is as it was."""
    screen = Screen(world, "run", "-it", "-e", "PS1=> ", "box", "sh")
    screen.wait_for("> ")
    screen.resize(33, 101)
    screen.type("stty size; tty=$(readlink /proc/self/fd/0); echo $tty $TERM\r")
    screen.wait_for("33 101\r\n/dev/pts/0 xterm\r\n")
    screen.type("sh -c \"trap 'echo got' WINCH; echo o''k; while :; do sleep 0.1; done\"\r")
    screen.wait_for("ok\r\n")
    screen.resize(44, 55)
    screen.wait_for("got\r\n")
    screen.type("\x03")
    screen.type("stty size\r")
    screen.wait_for("44 55\r\n")
    screen.type("exit 6\r")

    assert screen.end() == 6


def test_a_terminal_is_as_it_was_after_a_signal(world: World) -> None:
    """Whatever ends the program, the caller can go on typing."""
    screen = Screen(world, "run", "-it", "box", "sh", "-c", "echo ready; sleep 100")
    screen.wait_for("ready")

    os.kill(screen.process, signal.SIGTERM)

    assert screen.end() == 143


def test_a_terminal_without_input(world: World) -> None:
    """`-t` alone: the program prints to a terminal, what is typed stays with the caller."""
    screen = Screen(world, "run", "-t", "box", "sh", "-c", "test -t 1 && echo yes")
    screen.wait_for("yes\r")

    assert screen.end() == 0


def test_it_wants_a_terminal(world: World) -> None:
    """docker's words."""
    done = world.call("-it", "box", "true")

    assert (done.returncode, "the input device is not a TTY" in done.stderr) == (125, True)
