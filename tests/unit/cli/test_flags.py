"""Flags are read as docker reads them."""

import pytest

from jettison.cli.flags import Command, Flag, help_text, parse
from jettison.errors import UsageError

COMMAND = Command(
    "run",
    "[FLAGS] IMAGE [ARG...]",
    "Run an image.",
    "jettison run app",
    (
        Flag("env", "a variable", "NAME=VALUE", short="e", repeats=True),
        Flag("interactive", "keep stdin", short="i"),
        Flag("tty", "a terminal", short="t"),
        Flag("init", "a reaper"),
        Flag("user", "the user", "USER", short="u"),
    ),
    passes_on=True,
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--user", "app"], "app"),
        (["--user=app"], "app"),
        (["-u", "app"], "app"),
        (["-uapp"], "app"),
        (["-u=app"], "app"),
        (["-u", "one", "-u", "app"], "app"),
        (["--user", "-1"], "-1"),
    ],
)
def test_a_value_is_given_in_every_way_docker_takes(words: list[str], expected: str) -> None:
    """Long and short, apart and together; the last one counts."""
    values, rest = parse(COMMAND, [*words, "image"])

    assert (values.text("user"), rest) == (expected, ["image"])


def test_switches_may_be_joined_and_turned_off() -> None:
    """`-it` is `-i -t`; `--init=false` is off."""
    values, _ = parse(COMMAND, ["-it", "--init=false", "image"])

    assert (values.on("interactive"), values.on("tty"), values.on("init", default=True)) == (True, True, False)


def test_a_joined_switch_may_end_in_a_flag_with_a_value() -> None:
    """`-ite A=1` sets both switches and the variable."""
    values, _ = parse(COMMAND, ["-ite", "A=1", "image"])

    assert (values.on("interactive"), values.on("tty"), values.texts("env")) == (True, True, ["A=1"])


def test_what_follows_the_image_belongs_to_the_program() -> None:
    """Flags after the first argument are not ours."""
    values, rest = parse(COMMAND, ["-e", "A=1", "image", "-e", "B=2", "--", "x"])

    assert (values.texts("env"), rest) == (["A=1"], ["image", "-e", "B=2", "--", "x"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--usr", "app"], "no flag `--usr`"),
        (["-x"], "no flag `-x`"),
        (["--user"], "needs a value"),
        (["--init=maybe"], "not true or false"),
    ],
)
def test_a_wrong_flag_is_named(words: list[str], message: str) -> None:
    """The error says which flag, and what was expected."""
    with pytest.raises(UsageError, match=message):
        parse(COMMAND, words)


def test_help_shows_an_example_first_and_every_flag() -> None:
    """A reader sees how it is used before what it can do."""
    text = help_text(COMMAND)

    assert text.index("Example:") < text.index("Usage:") < text.index("Flags:")
    assert all(f"--{flag.name}" in text for flag in COMMAND.flags)


def test_a_flag_has_dockers_other_name_too() -> None:
    """Scripts say `--net` and `--dns-opt`."""
    flag = Flag("network", "which", "NAME", also="net")

    values, rest = parse(Command("run", "IMAGE", "Run.", "x", (flag,)), ["--net=host", "app"])

    assert (values.text("network"), rest) == ("host", ["app"])


def test_a_flag_of_dockers_that_is_declined_says_why() -> None:
    """And what to do instead."""
    with pytest.raises(UsageError, match="cannot be had") as error:
        parse(Command("run", "IMAGE", "Run.", "x"), ["--privileged", "app"])

    assert "--cap-add" in error.value.hint
