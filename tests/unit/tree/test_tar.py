"""The tar writer, judged by GNU tar and by Python's tarfile."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import HostError
from jettison.tree.node import HostFile, Node, made_dir, made_file, made_symlink
from jettison.tree.root import node_of, parents
from jettison.tree.tar import stream

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 250
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def tar(nodes: Iterable[tuple[str, Node]]) -> bytes:
    """The whole stream."""
    return b"".join(stream(nodes))


@given(st.dictionaries(PATHS, st.binary(max_size=2000), max_size=12))
def test_tarfile_reads_what_was_written(files: dict[str, bytes]) -> None:
    """Whatever the names and the bytes, tarfile finds the same names with the same bytes."""
    nodes = {path: made_file(data) for path, data in files.items()}

    with tarfile.open(fileobj=io.BytesIO(tar(nodes.items()))) as archive:
        found = {"/" + member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]

    assert files == found


def test_order_of_the_nodes_does_not_matter() -> None:
    """The stream is sorted by path."""
    nodes = {"/b": made_file(b"2"), "/a": made_dir(), "/a/x": made_file(b"1")}

    assert tar(nodes.items()) == tar(reversed(nodes.items()))


def test_gnu_tar_extracts_names_links_modes_and_times(tmp_path: Path) -> None:
    """GNU tar restores long paths, names that are not UTF-8, links, modes and times."""
    long = "/" + "/".join(["d" * 90] * 4)
    binary = os.fsdecode(b"/caf\xe9-" + b"\xff" * 110)
    nodes = {folder: made_dir() for folder in parents(long)[1:]}
    nodes |= {
        long: made_file(b"deep", 0o640)._replace(mtime=1234567890),
        binary: made_file(b"bytes"),
        "/first": made_file(b"same")._replace(inode=(1, 2)),
        "/second": made_file(b"same")._replace(inode=(1, 2)),
        "/link": made_symlink("x" * 150),
        "/tmp": made_dir(0o1777),
    }
    (tmp_path / "t.tar").write_bytes(tar(nodes.items()))
    (tmp_path / "out").mkdir()

    subprocess.run(["tar", "-xpf", "t.tar", "-C", "out"], cwd=tmp_path, check=True)

    out = os.fsencode(tmp_path / "out")
    info = os.stat(out + long.encode())
    assert (info.st_mode & 0o7777, int(info.st_mtime), info.st_size) == (0o640, 1234567890, 4)
    assert Path(os.fsdecode(out) + binary).read_bytes() == b"bytes"
    assert os.stat(out + b"/first").st_ino == os.stat(out + b"/second").st_ino
    assert os.readlink(out + b"/link") == b"x" * 150
    assert os.stat(out + b"/tmp").st_mode & 0o7777 == 0o1777


def test_attributes_and_large_numbers_are_in_pax_headers() -> None:
    """File capabilities, and numbers that ustar cannot hold, come through."""
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    node = made_file(b"x")._replace(uid=3_000_000, gid=4_000_000_000, mtime=-5, xattrs=(("security.capability", capability),))

    with tarfile.open(fileobj=io.BytesIO(tar([("/ping", node)]))) as archive:
        member = archive.getmembers()[0]

    assert (member.uid, member.gid, member.mtime) == (3_000_000, 4_000_000_000, -5)
    assert member.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == capability


def test_the_overhead_of_one_small_file_is_at_most_four_blocks() -> None:
    """A header, the padding and the end: nothing else."""
    assert len(tar([("/hello", made_file(b"x" * 512))])) == 4 * 512


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """A file that is shorter than its node says is named, and nothing wrong is written."""
    (tmp_path / "log").write_bytes(b"short")

    with pytest.raises(HostError, match="became shorter"):
        tar([("/log", Node("file", 0o644, size=1000, content=HostFile(str(tmp_path / "log"))))])


def test_a_fifo_that_took_a_files_place_does_not_block(tmp_path: Path) -> None:
    """Opening it does not wait for a writer."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    node = node_of(str(path))
    path.unlink()
    os.mkfifo(path)

    assert node is not None
    with pytest.raises(HostError):
        tar([("/f", node)])
