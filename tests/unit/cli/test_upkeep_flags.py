"""Durations, labels and logs as the flags of `run` say them."""

from pathlib import Path

import pytest

from jettison.cli import run
from jettison.cli.flags import parse
from jettison.cli.upkeep_flags import seconds, upkeep, whole
from jettison.errors import UsageError
from jettison.sandbox.upkeep import Upkeep


def upkeep_of(*words: str) -> Upkeep:
    values, _ = parse(run.COMMAND, [*words, "image"])
    return upkeep(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("1us", 1e-6), ("1µs", 1e-6), ("2h1m1s1ms", 7261.001)],
)
def test_durations(text: str, expected: float) -> None:
    """Go's."""
    assert seconds("x", text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1..5s", ".s", "5d", "s5", "٣s", "1e3s", "5sx"])
def test_no_durations(text: str) -> None:
    """The flag is named."""
    with pytest.raises(UsageError, match=r"`--x .*is no duration"):
        seconds("x", text)


@pytest.mark.parametrize(("text", "least"), [("", 0), ("-1", 0), ("1.0", 0), ("٣", 0), ("9" * 12, 0), ("0", 1), ("--1", -5)])
def test_no_whole_numbers(text: str, least: int) -> None:
    """The least one is told."""
    with pytest.raises(UsageError, match=f"at least {least}"):
        whole("x", text, least)


def test_logs() -> None:
    """Where they are, and what they may take."""
    assert upkeep_of("-d").log_files == 2
    flags = upkeep_of("-d", "--log-opt", "max-size=10k", "--log-opt", "max-file=5")
    assert (flags.log_bytes, flags.log_files) == (10 << 10, 5)
    assert upkeep_of("-d", "--log-driver", "none").log_files == 0


def test_labels(tmp_path: Path) -> None:
    """Of files first, then of flags; a name alone has an empty value."""
    file = tmp_path / "labels"
    file.write_text("# no label\n\n a=1 \nb\n")

    assert upkeep_of("--label", "c=x=y", "-l", "d", "--label-file", str(file)).labels == ("a=1", "b=", "c=x=y", "d=")


@pytest.mark.parametrize(
    ("words", "is_kept"), [(["-d"], True), (["-d", "--rm"], False), (["--rm"], False), (["--label", "x"], False)]
)
def test_what_is_kept(words: list[str], is_kept: bool) -> None:
    """The state of what is detached, without `--rm`."""
    assert upkeep_of(*words).is_kept is is_kept
