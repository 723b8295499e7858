"""Reading tar archives, of friends and of enemies."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import HostileData, InvalidData, JettisonError
from jettison.tree.untar import Entry, read_tar
from making import Item, tar


def read(data: bytes, limit: int = 1000) -> list[tuple[Entry, bytes]]:
    """All entries with their whole bytes."""
    found = []
    for entry in read_tar(io.BytesIO(data), "the archive", limit):
        content = bytearray(entry.size if entry.kind == "file" else 0)
        for offset, chunk in entry.data:
            content[offset : offset + len(chunk)] = chunk
        found.append((entry, bytes(content)))
    return found


def header(**fields: bytes) -> bytes:
    """A ustar header with some fields set to raw bytes, and a right checksum."""
    places = {"name": 0, "mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "type": 156, "link": 157, "magic": 257}
    places |= {"major": 329, "minor": 337, "prefix": 345}
    block = bytearray(512)
    defaults = {"name": b"x", "mode": b"0000644", "uid": b"0", "gid": b"0", "size": b"0", "mtime": b"0", "type": b"0"}
    for field, value in {**defaults, "magic": b"ustar\x0000", **fields}.items():
        block[places[field] : places[field] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*records: tuple[bytes, bytes]) -> bytes:
    """An extended header."""
    data = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        data += b"%d %b=%b\n" % (length, key, value)
    return header(type=b"x", size=b"%o" % len(data)) + data + bytes(-len(data) % 512)


END = bytes(1024)

GNU_OPTIONS = {
    "gnu": ["--format=gnu"],
    "gnu sparse": ["--format=gnu", "--sparse"],
    "pax": ["--format=pax", "--xattrs", "--xattrs-include=*"],
    "pax sparse 0.0": ["--format=pax", "--sparse", "--sparse-version=0.0"],
    "pax sparse 0.1": ["--format=pax", "--sparse", "--sparse-version=0.1"],
    "pax sparse 1.0": ["--format=pax", "--sparse", "--sparse-version=1.0"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that an ordinary user can make and that tar has a word for."""
    folder = tmp_path_factory.mktemp("untar") / "tree"
    (folder / "dir" / ("d" * 200)).mkdir(parents=True)
    (folder / "dir" / ("d" * 200) / ("f" * 200)).write_text("long")
    (folder / "plain").write_text("hello\n")
    os.link(folder / "plain", folder / "hard")
    (folder / "link").symlink_to("plain")
    (folder / "longlink").symlink_to("t/" * 150)
    os.mkfifo(folder / "fifo")
    Path(os.fsdecode(bytes(folder) + b"/bytes\xff\xfe")).write_text("not UTF-8")
    with open(folder / "sparse", "wb") as stream:
        for number in range(60):  # more extents than fit into a header
            stream.seek(number * 100_000)
            stream.write(b"x" * 4096)
        stream.truncate(7_000_000)
    with open(folder / "hole", "wb") as stream:
        stream.truncate(1 << 20)
    os.utime(folder / "plain", (1.5, 1.5))
    os.utime(folder / "dir", (-5.5, -5.5))
    (folder / "dir").chmod(0o2751)
    return folder


@pytest.mark.parametrize("dialect", GNU_OPTIONS)
def test_every_dialect_of_gnu_tar(dialect: str, folder: Path, require: Callable[[str], str]) -> None:
    """What GNU tar writes is read as it lies on the disk: kinds, modes, owners, times, targets, holes and bytes."""
    data = subprocess.run(
        [require("tar"), *GNU_OPTIONS[dialect], "-cf", "-", "-C", str(folder), "."], check=True, capture_output=True
    ).stdout

    found = {entry.name: (entry, content) for entry, content in read(data)}

    names = {
        f"./{path.relative_to(folder)}{'/' if not path.is_symlink() and path.is_dir() else ''}" for path in folder.rglob("*")
    }
    assert names | {"./"} == set(found)
    for name, (entry, content) in found.items():
        info = os.lstat(os.fsencode(f"{folder}/{name}"))
        assert (entry.mode, entry.uid, entry.gid) == (info.st_mode & 0o7777, info.st_uid, info.st_gid), name
        assert entry.mtime == info.st_mtime // 1, name
        if entry.kind == "file":
            assert content == Path(folder / name).read_bytes(), name
        if entry.kind == "symlink":
            assert entry.target == os.readlink(folder / name)


def test_attributes_and_large_numbers() -> None:
    """Extended attributes, and numbers that octal digits cannot hold, in pax words and in base 256."""
    wide = (3_000_000_000).to_bytes(8, "big")
    data = (
        pax((b"SCHILY.xattr.user.a", b"x=\0\n"), (b"uid", b"4000000000"), (b"mtime", b"-1.25"))
        + header(gid=b"\x80" + wide[1:], mode=b"0104755")
        + END
    )

    [(entry, _)] = read(data)

    assert entry.xattrs == (("user.a", b"x=\0\n"),)
    assert (entry.uid, entry.gid, entry.mode, entry.mtime) == (4_000_000_000, 3_000_000_000, 0o4755, -2)


def test_old_folders_and_prefixes() -> None:
    """A name that ends in a slash was a folder before POSIX; the prefix belongs to the name."""
    data = header(name=b"old/", type=b"\0") + header(name=b"f", prefix=b"a/b") + END

    assert [(entry.name, entry.kind) for entry, _ in read(data)] == [("old/", "dir"), ("a/b/f", "file")]


def test_the_end_may_be_missing_or_followed_by_anything() -> None:
    """go's reader takes an archive without its end, and nobody looks behind the end."""
    data = header(name=b"a") + header(name=b"b")

    assert 2 == len(read(data)) == len(read(data + END + b"garbage" * 100)) == len(read(data + bytes(512)))


def test_a_global_header_is_passed_over() -> None:
    """As in docker, podman and containerd: git writes one with a comment."""
    data = pax((b"path", b"evil"))
    data = data[:156] + b"g" + data[157:]
    data = data[:148] + b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512])) + data[156:]

    assert [entry.name for entry, _ in read(data + header() + END)] == ["x"]


def test_entries_that_are_not_read_are_skipped() -> None:
    """Whoever does not want a file's bytes gets the next entry all the same."""
    data = tar(Item("file", "a", "x" * 5000), Item("file", "b", "y"))

    assert [entry.name for entry in read_tar(io.BytesIO(data), "the archive")] == ["a", "b"]


LONG = b"7777777777777777"
BAD = {
    "no tar": b"hello, I am no tar archive" * 100,
    "checksum": header()[:150] + b"9" + header()[151:] + END,
    "truncated header": header()[:300],
    "truncated data": header(size=b"2000") + b"x" * 100,
    "data after half an end": header() + bytes(512) + header(name=b"y") + END,
    "unknown type": header(type=b"Z") + END,
    "size not a number": header(size=b"hello") + END,
    "size negative": header(size=b"\xff" * 12) + END,
    "size absurd": header(size=b"\x80" + b"\x7f" * 11) + END,
    "size in pax negative": pax((b"size", b"-1")) + header() + END,
    "size in pax a word": pax((b"size", "٣".encode())) + header() + END,
    "size in pax endless": pax((b"size", b"9" * 5000)) + header() + END,
    "uid negative": header(uid=b"\xff" * 8) + END,
    "uid means unchanged": pax((b"uid", b"4294967295")) + header() + END,
    "gid too large": pax((b"gid", b"4294967296")) + header() + END,
    "mtime nan": pax((b"mtime", b"nan")) + header() + END,
    "mtime infinite": pax((b"mtime", b"inf")) + header() + END,
    "mtime absurd": pax((b"mtime", b"9223372036854775808")) + header() + END,
    "mtime exponent": pax((b"mtime", b"1e400")) + header() + END,
    "name too long": pax((b"path", b"a/" * 2049)) + header() + END,
    "component too long": pax((b"path", b"a" * 256)) + header() + END,
    "name with NUL": pax((b"path", b"a\0b")) + header() + END,
    "target too long": pax((b"linkpath", b"a/" * 2049)) + header(type=b"2") + END,
    "pax too large": header(type=b"x", size=b"%o" % ((1 << 20) + 1)) + END,
    "pax without length": header(type=b"x", size=b"12") + b"path=evil\n".ljust(512, b"\0") + header() + END,
    "pax length lies": header(type=b"x", size=b"12") + b"99 path=a\n".ljust(512, b"\0") + header() + END,
    "pax length zero": header(type=b"x", size=b"12") + b"0 path=ab\n".ljust(512, b"\0") + header() + END,
    "pax at the end": pax((b"path", b"a")) + END,
    "attribute too large": pax((b"SCHILY.xattr.user.a", b"x" * 65537)) + header() + END,
    "attribute without a name": pax((b"SCHILY.xattr.", b"x")) + header() + END,
    "device absurd": header(type=b"3", major=b"7777777") + END,
    "sparse beyond its size": pax((b"GNU.sparse.map", b"0,10,5,10"), (b"GNU.sparse.size", b"20")) + header(size=b"24") + END,
    "sparse odd": pax((b"GNU.sparse.map", b"0,10,5"), (b"GNU.sparse.size", b"20")) + header(size=b"12") + END,
    "sparse overflow": pax((b"GNU.sparse.map", b"18446744073709551615,1"), (b"GNU.sparse.size", b"20")) + header(size=b"1") + END,
    "sparse of eight exbibytes": pax((b"GNU.sparse.map", b"0,0"), (b"GNU.sparse.size", b"9223372036854775807")) + header() + END,
    "sparse map endless": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"1"))
    + header(size=b"1000")
    + b"99999\n".ljust(512, b"1")
    + END,
    "sparse map not a number": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"1"))
    + header(size=b"1000")
    + b"x\n".ljust(512, b"\0")
    + END,
}


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused(case: str) -> None:
    """Every broken or hostile shape is an error that names the archive, never a traceback and never a wrong result."""
    with pytest.raises(InvalidData) as caught:
        read(BAD[case])

    assert "the archive" in caught.value.message


def test_too_many_entries_are_refused() -> None:
    """A limit holds however small the entries are; headers that only describe count too."""
    with pytest.raises(HostileData):
        read(header() * 11 + END, limit=10)
    with pytest.raises(HostileData):
        read(pax((b"path", b"a")) * 11 + header() + END, limit=10)


@given(st.data())
def test_damaged_archives_end_in_an_error_or_a_result(data: st.DataObject) -> None:
    """Whatever byte is changed, nothing but our own errors comes out."""
    good = bytearray(
        tar(
            Item("dir", "d"),
            Item("file", "d/f", "x" * 700, pax={"SCHILY.xattr.user.a": "b"}, mtime=1.5),
            Item("symlink", "l", "d"),
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))

    try:
        read(bytes(good))
    except JettisonError:
        pass


@given(st.lists(st.tuples(st.text("ab/é\udcff", min_size=1, max_size=300), st.binary(max_size=2000)), max_size=8))
def test_tarfile_is_understood(files: list[tuple[str, bytes]]) -> None:
    """What Python's tarfile writes comes out as it went in."""
    files = [(name, content) for name, content in files if max(len(os.fsencode(part)) for part in name.split("/")) < 256]

    found = read(tar(*(Item("file", name, content) for name, content in files)))

    assert files == [(entry.name, content) for entry, content in found]


def test_python_agrees_about_gnu_long_names() -> None:
    """GNU's long names and targets, as tarfile writes them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo("n/" * 150 + "end")
        info.type, info.linkname = tarfile.SYMTYPE, "t/" * 150 + "end"
        archive.addfile(info)

    [(entry, _)] = read(buffer.getvalue())

    assert (info.name, info.linkname) == (entry.name, entry.target)


class Skipping(io.BytesIO):
    """A stream that counts what was read of it."""

    done = 0

    def read(self, count: int | None = -1, /) -> bytes:
        data = super().read(count)
        self.done += len(data)
        return data

    def skip(self, count: int, /) -> int:
        """Pass over bytes."""
        return -self.tell() + self.seek(min(self.tell() + count, len(self.getvalue())))


def test_a_stream_that_can_skip_is_not_read() -> None:
    """Entries are the same; where such a stream ends too soon, that is told."""
    data = tar(Item("file", "a", b"x" * 5000), Item("file", "b", b"y"))
    stream = Skipping(data)

    assert [entry.name for entry in read_tar(stream, "it")] == ["a", "b"]
    assert stream.done <= len(data) - 5000
    with pytest.raises(InvalidData, match="ends inside `a`"):
        list(read_tar(Skipping(data[:2000]), "it"))
