"""Slimming somebody's image: whatever is in it, the end comes soon, in little memory, with a result or a clear error."""

import gzip
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import peers
from making import Item, archive, dirs, tar
from peers import Jettison

MEMORY_BYTES = 2 << 30
TIME_S = 100

Layer = list[Item]


def slim(jettison: Jettison, image: Path, *flags: str) -> tuple[int, str]:
    """The status and what is said on stderr, within limits of memory and time."""
    limits = [peers.require("prlimit"), f"--as={MEMORY_BYTES}", "timeout", str(TIME_S)]
    environment = {"JETTISON_HOME": str(jettison.store), "PATH": "/usr/bin:/bin"}
    done = peers.call([*limits, *jettison.command, "slim", str(image), "-t", "thin:1", *flags], env=environment)
    return done.returncode, done.stderr


PROGRAM = Path("/usr/bin/true")


def file(name: str, text: str | bytes = "x", mode: int = 0o644) -> Item:
    return Item("file", name, text, mode)


def script(name: str, text: str) -> Item:
    return file(name, text, 0o755)


def needing_much() -> bytes:
    """An ELF file whose tables count more than there is."""
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 0xFFFE, 64, 0xFFFE, 0)
    dynamic = struct.pack("<IIQQQQQQ", 2, 4, 64, 64, 64, 1 << 40, 1 << 40, 8)
    return header + dynamic * 1000


class Hostile(NamedTuple):
    """An image, and a word of the error; empty where slimming it may as well succeed."""

    layer: Callable[[], Layer]
    config: Mapping[str, Any]
    error: str = ""


BASE = [script("app", "#!/sh\n"), file("sh", b"", 0o755)]
CASES = {
    "the command is a ring of links": Hostile(
        lambda: [Item("symlink", "a", "/b"), Item("symlink", "b", "/a")], {"Cmd": ["/a"]}, "error"
    ),
    "a ring of folders": Hostile(lambda: [*dirs("d"), Item("symlink", "d/up", ".."), *BASE], {"Cmd": ["/d/up/" * 30 + "app"]}),
    "no command": Hostile(lambda: BASE, {}, "--entry"),
    "the command is a pipe": Hostile(lambda: [Item("fifo", "app")], {"Cmd": ["/app"]}, "error"),
    "the command is a device": Hostile(lambda: [Item("char", "app", device=(1, 3))], {"Cmd": ["/app"]}, "error"),
    "the command is a folder": Hostile(lambda: dirs("app"), {"Cmd": ["/app"]}, "error"),
    "a script is its own interpreter": Hostile(lambda: [script("app", "#!/app\n")], {"Cmd": ["/app"]}),
    "two scripts are each other's": Hostile(lambda: [script("a", "#!/b\n"), script("b", "#!/a\n")], {"Cmd": ["/a"]}),
    "passwd is a pipe": Hostile(lambda: [*BASE, Item("fifo", "etc/passwd")], {"Cmd": ["/app"], "User": "app"}, "no user"),
    "passwd is a device": Hostile(
        lambda: [*BASE, Item("char", "etc/passwd", device=(1, 5))], {"Cmd": ["/app"], "User": "app"}, "no user"
    ),
    "passwd is a folder": Hostile(lambda: [*BASE, *dirs("etc", "etc/passwd")], {"Cmd": ["/app"], "User": "1"}),
    "passwd is a ring": Hostile(lambda: [*BASE, Item("symlink", "etc/passwd", "passwd")], {"Cmd": ["/app"], "User": "1"}),
    "passwd without an end": Hostile(lambda: [*BASE, file("etc/passwd", b"a" * (64 << 20))], {"Cmd": ["/app"], "User": "1"}),
    "ld.so.cache is a pipe": Hostile(
        lambda: [file("app", PROGRAM.read_bytes(), 0o755), Item("fifo", "etc/ld.so.cache")], {"Cmd": ["/app"]}, "libc.so.6"
    ),
    "ld.so.cache without an end": Hostile(
        lambda: [file("app", PROGRAM.read_bytes(), 0o755), file("etc/ld.so.cache", b"ld.so-1.7.0\0" + b"\xff" * (32 << 20))],
        {"Cmd": ["/app"]},
        "error",
    ),
    "an ELF file that counts too much": Hostile(lambda: [file("app", needing_much(), 0o755)], {"Cmd": ["/app"]}, "error"),
    "a million packages": Hostile(
        lambda: [
            *BASE,
            file(
                "var/lib/dpkg/status",
                "".join(f"Package: p{n}\nStatus: install ok installed\nVersion: 1\n\n" for n in range(1_000_000)),
            ),
        ],
        {"Cmd": ["/app"]},
        "packages",
    ),
    "a database of one line": Hostile(lambda: [*BASE, file("var/lib/dpkg/status", b"P" * (200 << 20))], {"Cmd": ["/app"]}),
    "a database of empty lines": Hostile(lambda: [*BASE, file("var/lib/dpkg/status", b"\n" * (60 << 20))], {"Cmd": ["/app"]}),
    "a list of files without an end": Hostile(
        lambda: [
            *BASE,
            file("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"),
            file("var/lib/dpkg/info/a.list", b"/a\n" * (20 << 20)),
        ],
        {"Cmd": ["/app"]},
    ),
    "packages that need each other": Hostile(
        lambda: [
            *BASE,
            file(
                "var/lib/dpkg/status",
                "".join(
                    f"Package: p{n}\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nDepends: p{1 - n}\n\n"
                    for n in range(2)
                ),
            ),
            file("var/lib/dpkg/info/p0.list", "/app\n"),
            file("var/lib/dpkg/info/p1.list", "/sh\n"),
        ],
        {"Cmd": ["/app"]},
    ),
    "an apk database without an end": Hostile(
        lambda: [*BASE, file("lib/apk/db/installed", b"R:" * (64 << 20))], {"Cmd": ["/app"]}
    ),
    "a database that is a pipe": Hostile(lambda: [*BASE, Item("fifo", "var/lib/dpkg/status")], {"Cmd": ["/app"]}),
    "a folder of a hundred thousand files": Hostile(
        lambda: [*BASE, *(file(f"srv/{n}", "") for n in range(100_000))], {"Cmd": ["/app"], "WorkingDir": "/srv"}
    ),
    "words of a megabyte": Hostile(lambda: BASE, {"Cmd": ["/app", "x" * (1 << 20), *("y" for _ in range(5000))]}),
    "too many words": Hostile(lambda: BASE, {"Cmd": ["/app", *("y" for _ in range(20_000))]}, "words"),
    "a shell's text of a megabyte": Hostile(lambda: BASE, {"Cmd": ["/sh", "-c", "(" * (1 << 20)]}),
    "a search path of ten thousand folders": Hostile(
        lambda: BASE, {"Cmd": ["app", *map(str, range(100))], "Env": ["PATH=" + ":".join(f"/d{n}" for n in range(10_000)) + ":/"]}
    ),
    "a shell script that nests": Hostile(
        lambda: [script("app", "#!/sh\n" + "$(" * 200_000), file("sh", b"", 0o755)], {"Cmd": ["/app"]}
    ),
    "a script that sources itself": Hostile(
        lambda: [script("app", "#!/bin/sh\n. /app\n/app\n"), script("bin/sh", "")], {"Cmd": ["/app"]}
    ),
    "folders two hundred deep": Hostile(
        lambda: [*BASE, file("d/" * 200 + "x")], {"Cmd": ["/app"], "WorkingDir": "/" + "d/" * 200}
    ),
    "a volume that is everything": Hostile(lambda: BASE, {"Cmd": ["/app"], "Volumes": {"/": {}, "/../..": {}, "/proc": {}}}),
    "a health check of another kind": Hostile(lambda: BASE, {"Cmd": ["/app"], "Healthcheck": {"Test": [1, {}]}}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_image_ends(case: str, jettison: Jettison, tmp_path: Path) -> None:
    """In time and memory; an error says what is wrong, and is never our own."""
    hostile = CASES[case]
    image = archive(tmp_path / "fat.tar", [tar(*hostile.layer())], hostile.config)

    status, said = slim(jettison, image)

    assert status in ((1, 2) if hostile.error else (0, 1, 2)), said
    assert hostile.error in said
    assert "internal error" not in said
    assert status == 0 or said.startswith("error: ")


def test_a_sparse_gibibyte_is_no_database(jettison: Jettison, tmp_path: Path) -> None:
    """A file that takes no room in the archive takes none in memory."""
    layer = tar(*BASE, Item("file", "var/lib/dpkg/status", b"", pax={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 30)}))
    image = archive(tmp_path / "fat.tar", [layer], {"Cmd": ["/app"]})

    status, said = slim(jettison, image)

    assert (status, "internal" in said) == (0, False), said


def test_a_folder_of_a_million_files(jettison: Jettison, tmp_path: Path) -> None:
    """It is refused, or slimmed."""
    entries = b"".join(_entry(f"d/{number}") for number in range(1_000_000))
    image = archive(tmp_path / "fat.tar", [entries + tar(*BASE)], {"Cmd": ["/app"]})

    status, said = slim(jettison, image)

    assert status in (0, 1), said
    assert "internal" not in said
    assert "Memory" not in said


def test_many_layers_that_hide_each_other(jettison: Jettison, tmp_path: Path) -> None:
    """A hundred layers of whiteouts and links: what is left is what the last one says."""
    layers = [tar(*BASE)]
    layers += [
        gzip.compress(tar(*dirs("d"), file(f"d/{number}"), file(f"d/.wh.{number - 1}"), file("d/.wh..wh..opq")))
        for number in range(100)
    ]
    image = archive(tmp_path / "fat.tar", layers, {"Cmd": ["/app"], "WorkingDir": "/d"})

    status, said = slim(jettison, image)

    assert status == 0, said
    assert jettison("why", "thin:1", "/d/99")
    assert jettison.call("why", "thin:1", "/d/98").returncode == 1


def test_nothing_is_left_behind(jettison: Jettison, tmp_path: Path) -> None:
    """Neither of an image that was refused, nor of the fat one that was slimmed."""
    fat = [*BASE, file("big", b"\1" * (1 << 20))]
    image = archive(tmp_path / "fat.tar", [gzip.compress(tar(*fat))], {"Cmd": ["/app"]})
    broken = tmp_path / "broken.tar"
    broken.write_bytes(image.read_bytes()[:-2000])

    slim(jettison, broken)
    slim(jettison, image)

    assert not list((jettison.store / "tmp").iterdir())
    assert not list((jettison.store / "layers").iterdir())
    assert sum(path.stat().st_size for path in (jettison.store / "blobs/sha256").iterdir()) < 100_000


def _entry(name: str) -> bytes:
    """An empty file's header, quicker than tarfile makes one."""
    header = bytearray(512)
    header[: len(name)] = name.encode()
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = header[136:148] = b"00000000000\0"
    header[156] = ord("0")
    header[257:265] = b"ustar\0" + b"00"
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
