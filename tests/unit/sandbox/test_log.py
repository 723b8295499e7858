"""The log of a detached container: Kubernetes' format, whole lines, files of a size."""

import os
import re
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.sandbox.log import Log, stamp

# https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
LINE = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([PF]) ([^\n]*)\n")


def streams(*files: Path) -> dict[bytes, bytes]:
    """What the log says that each stream printed."""
    printed = {b"stdout": b"", b"stderr": b""}
    for file in files:
        content = file.read_bytes()
        assert LINE.sub(b"", content) == b""
        for _, stream, tag, text in LINE.findall(content):
            printed[stream] += text + (b"\n" if tag == b"F" else b"")
    return printed


def files_of(folder: Path) -> list[Path]:
    """From the oldest to the newest."""
    numbers = sorted((int(path.suffix[1:]) for path in folder.glob("log.*")), reverse=True)
    return [*(folder / f"log.{number}" for number in numbers), folder / "log"]


CHUNKS = st.lists(st.tuples(st.sampled_from([b"stdout", b"stderr"]), st.binary(min_size=1) | st.just(b"\n") | st.just(b"a\n\nb")))


@given(CHUNKS)
def test_what_is_printed_comes_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[bytes, bytes]]) -> None:
    """Every byte, each stream for itself."""
    folder = tmp_path_factory.mktemp("log")
    log = Log(str(folder))
    for stream, printed in chunks:
        log.write(stream, printed)
    log.close()

    expected = {name: b"".join(printed for stream, printed in chunks if stream == name) for name in (b"stdout", b"stderr")}
    assert streams(folder / "log") == expected


@given(CHUNKS, st.integers(1, 400), st.integers(1, 5))
def test_files_have_their_size(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[tuple[bytes, bytes]], file_bytes: int, files: int
) -> None:
    """None is larger than it may be, unless it is one line; no more files than asked for; what is left is the end."""
    folder = tmp_path_factory.mktemp("log")
    log = Log(str(folder), file_bytes, files)
    for stream, printed in chunks:
        log.write(stream, printed)
    log.close()

    found = files_of(folder)
    assert len(found) <= files
    for file in found:
        assert file.stat().st_size <= file_bytes or file.read_bytes().count(b"\n") == 1
    kept = streams(*found)
    for name in kept:
        assert b"".join(printed for stream, printed in chunks if stream == name).endswith(kept[name])


def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    """What was written whole stays, and the log goes on where there is room again."""
    log = Log(str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            log.write(b"stdout", b"one\ntwo\nthree\nfour\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write(b"stdout", b"five\n")
    log.close()

    assert streams(tmp_path / "log")[b"stdout"] == b"one\ntwo\nfive\n"


def test_a_log_is_continued(tmp_path: Path) -> None:
    """A new writer knows how large the file is."""
    for text in (b"one\n", b"two\n"):
        log = Log(str(tmp_path), 60)
        log.write(b"stdout", text)
        log.close()

    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]


def test_stamps_are_ordered() -> None:
    """As texts, too."""
    stamps = [stamp() for _ in range(1000)]
    assert stamps == sorted(stamps)
