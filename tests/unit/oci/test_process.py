"""What an image's record says of its process."""

import os

import pytest

from jettison.errors import InvalidData, UsageError
from jettison.oci.process import Record, command, environment

FIELDS = (
    "config-digest", "sha256:0", "layer", "aa", "layer", "bb", "env", "A=1\n2", "env", os.fsdecode(b"B=\xff"), "entrypoint",
    "/app", "cmd", "", "user", "app", "uid", "101", "gid", "102", "group", "102", "group", "7", "home", "/home/app", "workdir",
    "/srv", "stop-signal", "SIGINT", "volume", "/data",
)  # fmt: skip


@pytest.mark.parametrize("end", ["", "\0"])
def test_a_record_is_read(end: str) -> None:
    """Whether the last field is ended or not."""
    record = Record.parse(os.fsencode("\0".join(FIELDS) + end))

    assert (record.layers, record.env) == (("aa", "bb"), ("A=1\n2", os.fsdecode(b"B=\xff")))
    assert (record.entrypoint, record.cmd, record.volumes) == (("/app",), ("",), ("/data",))
    assert (record.user.uid, record.user.gid, record.user.groups, record.user.home) == (101, 102, (102, 7), "/home/app")
    assert (record.user_name, record.workdir, record.stop_signal) == ("app", "/srv", "SIGINT")


@pytest.mark.parametrize("raw", [b"", b"uid\x001", b"\0".join(os.fsencode(field) for field in FIELDS).replace(b"101", b"x")])
def test_a_damaged_record_is_told(raw: bytes) -> None:
    """It is made anew after `prune`."""
    with pytest.raises(InvalidData, match="record is damaged"):
        Record.parse(raw)


@pytest.mark.parametrize(
    ("entrypoint", "arguments", "expected"),
    [
        (None, [], ("/e", "e1", "c")),
        (None, ["x"], ("/e", "e1", "x")),
        ("/n", [], ("/n",)),
        ("/n", ["x"], ("/n", "x")),
        ("", ["x"], ("x",)),
    ],
)
def test_the_command(entrypoint: str | None, arguments: list[str], expected: tuple[str, ...]) -> None:
    """docker's rule."""
    assert command(Record(entrypoint=["/e", "e1"], cmd=["c"]), arguments, entrypoint) == expected


def test_no_command() -> None:
    """The next move is to name one."""
    with pytest.raises(UsageError, match="names no program"):
        command(Record(cmd=["c"]), [], "")


def test_the_environment() -> None:
    """Later words win and keep the first's place; a name alone removes; defaults fill up."""
    assert environment(["A=1", "B=1", "A=2"], ["B", "C=3", "A=4"], ["C=0", "D=0"]) == ["A=4", "C=3", "D=0"]
