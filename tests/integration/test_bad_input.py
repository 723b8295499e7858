"""Bad input and full disks: a clear error or a whole result, never a traceback, never a broken store."""

import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import elves
import programs
from peers import Jettison, OrdinaryUser, call, require


def complaint(done: "subprocess.CompletedProcess[str]") -> str:
    """The error; the test fails where there is none, or where it is our own bug."""
    assert done.returncode == 1, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.stderr.startswith("error: ") or "\nerror: " in done.stderr
    return done.stderr


def is_clear(done: "subprocess.CompletedProcess[str]") -> bool:
    """Whether it is a whole result; else it must be a clear error."""
    return done.returncode == 0 or not complaint(done)


def assert_works(jettison: Jettison, program: Path) -> None:
    """Nothing is broken in the store, and the next program is packed."""
    jettison("fsck")
    assert jettison("pack", "-q", "-t", "next", str(program)) == "next:latest\n"
    jettison("fsck")


# Programs


@pytest.mark.parametrize("length", [0, 3, 4, 15, 16, 17, 40, 63, 64, 65, 119, 120, 400, 1000, 5000, -4000, -1])
@pytest.mark.parametrize("program", [programs.static_hello, programs.dynamic_hello], ids=lambda program: program.__name__)
def test_a_truncated_program(jettison: Jettison, tmp_path: Path, program: Callable[[Path], Path], length: int) -> None:
    """Cut at any place."""
    whole = program(tmp_path / "whole")
    cut = executable(tmp_path / "cut", whole.read_bytes()[:length])

    is_clear(jettison.call("pack", str(cut)))

    assert_works(jettison, whole)


ABSURD_FIELDS = {  # name → (offset in a 64-bit file header, format, value)
    "program headers beyond the end": (32, "<Q", 1 << 62),
    "program headers at -1": (32, "<Q", (1 << 64) - 1),
    "program headers of no size": (54, "<H", 0),
    "program headers of 65535 bytes": (54, "<H", 65535),
    "65535 program headers": (56, "<H", 65535),
    "no program headers": (56, "<H", 0),
    "an unknown class": (4, "<B", 7),
    "an unknown byte order": (5, "<B", 9),
    "the other byte order": (5, "<B", 2),
    "an unknown machine": (18, "<H", 0xFEED),
    "a core dump": (16, "<H", 4),
}


@pytest.mark.parametrize("absurdity", ABSURD_FIELDS)
def test_a_program_with_an_absurd_header(jettison: Jettison, tmp_path: Path, absurdity: str) -> None:
    """Whatever its header says."""
    offset, form, value = ABSURD_FIELDS[absurdity]
    whole = programs.dynamic_hello(tmp_path / "whole")
    data = bytearray(whole.read_bytes())
    struct.pack_into(form, data, offset, value)

    is_clear(jettison.call("pack", str(executable(tmp_path / "absurd", bytes(data)))))

    assert_works(jettison, whole)


ABSURD_FILES = {
    "needs a thousand libraries": elves.make_elf(needed=[f"lib{number}.so" for number in range(1000)]),
    "needs a library without a name": elves.make_elf(needed=[""]),
    "needs a library with a very long name": elves.make_elf(needed=["x" * 70000]),
    "needs a path out of the root": elves.make_elf(needed=["../../../../etc/passwd"]),
    "needs a folder": elves.make_elf(needed=["/etc"]),
    "needs a device": elves.make_elf(needed=["/dev/zero"]),
    "needs itself": elves.make_elf(needed=["/proc/self/exe"]),
    "needs a name that clears the screen": elves.make_elf(needed=["a\x1b[2J"]),
    "searches a very long path": elves.make_elf(needed=["libx.so"], runpath="$ORIGIN/.." * 10000),
    "searches ten thousand folders": elves.make_elf(needed=["libx.so"], rpath=":".join(f"/{number}" for number in range(10000))),
    "has no such interpreter": elves.make_elf(interpreter="/no/where/ld.so"),
    "has a relative interpreter": elves.make_elf(interpreter="ld.so"),
    "has a folder as interpreter": elves.make_elf(interpreter="/etc"),
    "has itself as interpreter": elves.make_elf(interpreter="/proc/self/exe"),
}


@pytest.mark.parametrize("absurdity", ABSURD_FILES)
def test_a_program_that_asks_for_the_absurd(jettison: Jettison, tmp_path: Path, absurdity: str) -> None:
    """Whatever it needs and wherever it searches; what it says never reaches the terminal as it is."""
    done = jettison.call("pack", str(executable(tmp_path / "absurd", ABSURD_FILES[absurdity])))

    is_clear(done)
    assert "\x1b" not in done.stderr
    assert_works(jettison, programs.static_hello(tmp_path))


def test_a_script_whose_interpreter_is_itself(jettison: Jettison, tmp_path: Path) -> None:
    """The kernel gives up after a few rounds, and so do we."""
    loop = tmp_path / "loop"
    executable(loop, f"#!{loop}\n".encode())

    is_clear(jettison.call("pack", str(loop)))

    assert_works(jettison, programs.static_hello(tmp_path))


def test_a_program_behind_links_in_a_circle(jettison: Jettison, tmp_path: Path) -> None:
    """It leads nowhere, as for everybody else."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert f"`{tmp_path}/a` leads through more than 40 symbolic links" in complaint(jettison.call("pack", str(tmp_path / "a")))


def test_links_in_a_circle_are_included_as_they_are(jettison: Jettison, tmp_path: Path) -> None:
    """A folder may hold what leads nowhere, or to itself."""
    program, folder = programs.static_hello(tmp_path), tmp_path / "data"
    folder.mkdir()
    for name, target in {"a": "b", "b": "a", "self": ".", "up": "..", "nowhere": "/no/where"}.items():
        (folder / name).symlink_to(target)

    jettison("pack", "-t", "circle", "--include", str(folder), str(program))

    assert jettison("run", "circle") == "hello\n"


def test_a_folder_is_no_program(jettison: Jettison, tmp_path: Path) -> None:
    """The call is what is wrong."""
    done = jettison.call("pack", str(tmp_path))

    assert done.returncode == 2
    assert f"error: `{tmp_path}` is a folder, expected a program\nhint: " in done.stderr


def test_a_program_that_is_not_there(jettison: Jettison, tmp_path: Path) -> None:
    """By name and by path."""
    assert "no program `no-such-program` on PATH" in complaint(jettison.call("pack", "no-such-program"))
    assert f"no program `{tmp_path}/x`" in complaint(jettison.call("pack", str(tmp_path / "x")))


def test_a_program_that_may_not_be_read(ordinary_user: OrdinaryUser, readable_packages: Path) -> None:
    """It may be run, but not looked into; the error names it."""
    jettison = ordinary_user.jettison(readable_packages)
    whole = programs.static_hello(ordinary_user.home)
    secret = executable(ordinary_user.home / "secret", whole.read_bytes())
    ordinary_user.give(secret)
    secret.chmod(0o111)

    assert str(secret) in complaint(jettison.call("pack", str(secret)))

    assert_works(jettison, whole)


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_included_file_that_may_not_be_read(ordinary_user: OrdinaryUser, readable_packages: Path, is_folder: bool) -> None:
    """A file or a folder; an image without it would be a lie."""
    jettison = ordinary_user.jettison(readable_packages)
    whole = programs.static_hello(ordinary_user.home)
    data = ordinary_user.home / "data"
    data.mkdir()
    secret = data / "secret"
    if is_folder:
        secret.mkdir()
    else:
        secret.write_text("secret")
    ordinary_user.give(data)
    secret.chmod(0)

    assert str(secret) in complaint(jettison.call("pack", "--include", str(data), str(whole)))

    assert_works(jettison, whole)


# Libraries


def test_a_library_that_is_not_there(jettison: Jettison, tmp_path: Path) -> None:
    """The error says which, who wants it, and where it was looked for."""
    program = programs.with_private_library(tmp_path)
    shutil.rmtree(tmp_path / "lib")

    said = complaint(jettison.call("pack", str(program)))

    assert f"`{program}` needs `libgreeting.so.1`" in said
    assert "looked in" in said
    assert f"{tmp_path}/bin/../lib" in said
    assert_works(jettison, programs.static_hello(tmp_path))


def test_a_library_without_the_version_that_is_needed(jettison: Jettison, tmp_path: Path) -> None:
    """The loader would refuse it, so it is told beforehand: which version of what, and who wants it."""
    (tmp_path / "versions").write_text("GREET_2 { global: greeting; local: *; };\n")
    versions = f"-Wl,--version-script={tmp_path}/versions"
    shared = ("-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1")
    library = programs.build(tmp_path, "lib/libgreeting.so.1", programs.GREET, *shared, versions)
    program = programs.build(tmp_path, "bin/greet", programs.CALLER, str(library), "-Wl,-rpath,$ORIGIN/../lib")
    (tmp_path / "versions").write_text("GREET_1 { global: greeting; local: *; };\n")
    programs.build(tmp_path, "lib/libgreeting.so.1", programs.GREET, *shared, versions)
    assert "version `GREET_2' not found" in call([str(program)]).stderr

    said = complaint(jettison.call("pack", str(program)))

    assert "GREET_2" in said
    assert "libgreeting.so.1" in said
    assert str(program) in said


LOOPS = {
    "itself": {"ld.so.conf": "include /etc/ld.so.conf\n/opt/lib\n"},
    "a pattern that matches itself": {"ld.so.conf": "include *\n/opt/lib\n"},
    "one another": {
        "ld.so.conf": "include ld.so.conf.d/*.conf\n",
        "ld.so.conf.d/a.conf": "include b.conf\n",
        "ld.so.conf.d/b.conf": "include a.conf\ninclude /etc/ld.so.conf\n/opt/lib\n",
    },
    "all of a hundred": {
        "ld.so.conf": "include ld.so.conf.d/*.conf\n",
        **{f"ld.so.conf.d/{number:03}.conf": "include *.conf\n/opt/lib\n" for number in range(100)},
    },
}


@pytest.mark.parametrize("loop", LOOPS)
def test_a_linker_configuration_that_includes_itself(jettison: Jettison, tmp_path: Path, loop: str) -> None:
    """Every file counts once, and what stands after the loop counts too."""
    root = tmp_path / "root"
    for name, text in LOOPS[loop].items():
        write(root / "etc" / name, text.encode())
    write(root / "opt/lib/libx.so", elves.make_elf(soname="libx.so"))
    executable(root / "bin/app", elves.make_elf(needed=["libx.so"], interpreter="/lib64/ld-linux-x86-64.so.2"))
    executable(root / "lib64/ld-linux-x86-64.so.2", elves.make_elf(soname="ld-linux-x86-64.so.2"))

    said = jettison("pack", "--root", str(root), "--explain", "/bin/app")

    assert "/opt/lib/libx.so\n" in said


@pytest.mark.parametrize("target", ["ld.so.conf", "/dev/zero", "/", "../../../../../etc/passwd"])
def test_a_linker_configuration_that_leads_elsewhere(jettison: Jettison, tmp_path: Path, target: str) -> None:
    """A link in a circle, a file without an end, a folder: the root stays a root."""
    root = tmp_path / "root"
    executable(root / "bin/app", elves.make_elf())
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf").symlink_to(target)
    (root / "etc/ld.so.cache").symlink_to(target)

    jettison("pack", "--root", str(root), "/bin/app")


# Disks


@pytest.fixture
def small_disk(tmp_path: Path, root: None) -> Iterator[Callable[[str], Path]]:
    """`small_disk(options)`: a folder in memory with so much room."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = call([require("mount"), "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])
        assert done.returncode == 0, done.stderr
        return folder

    yield mount
    call([require("umount"), str(folder)])


TOO_SMALL_FOR_A_STORE = ["size=4k", "nr_inodes=3", "nr_inodes=8", "nr_inodes=12"]
TOO_SMALL_FOR_THE_IMAGE = ["size=64k", "size=256k", "size=1m", "nr_inodes=15"]


@pytest.mark.parametrize("room", [*TOO_SMALL_FOR_A_STORE, *TOO_SMALL_FOR_THE_IMAGE])
@pytest.mark.parametrize("verb", ["pack", "load"])
def test_a_full_disk(tmp_path: Path, small_disk: Callable[[str], Path], verb: str, room: str) -> None:
    """The error says so; what was there stays whole; with room again, all is well."""
    disk, whole = small_disk(room), programs.static_hello(tmp_path)
    elsewhere, jettison = Jettison(tmp_path / "elsewhere"), Jettison(disk / "store")
    pack = ["pack", "-t", "large", "bash", "--include", "/usr/bin/env"]
    elsewhere(*pack)
    elsewhere("save", "large", "-o", str(tmp_path / "large.tar"))
    arguments = pack if verb == "pack" else ["load", "-i", str(tmp_path / "large.tar")]

    said = complaint(jettison.call(*arguments))

    assert "No space left on device" in said
    assert jettison("images", "-q") == ""
    if room in TOO_SMALL_FOR_THE_IMAGE:
        jettison("prune")
    call([require("mount"), "-o", "remount,size=100m,nr_inodes=1000", str(disk)])
    assert_works(jettison, whole)
    jettison(*arguments)
    assert jettison("run", "large", "-c", "echo $((6 * 7))") == "42\n"


def write(path: Path, data: bytes) -> Path:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def executable(path: Path, data: bytes) -> Path:
    """A file that may be executed."""
    write(path, data).chmod(0o755)
    return path
