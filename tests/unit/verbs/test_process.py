"""What `jettison.run()` makes of its keywords."""

from pathlib import Path

import pytest

import jettison
from jettison.cli.run import COMMAND
from jettison.errors import UsageError
from jettison.verbs.process import Flags, _laid_out, _require_no_nul

# What is said otherwise, or has no meaning where nobody sits at a terminal, and for what is never detached.
NO_KEYWORDS = {
    "interactive", "tty", "rm", "explain", "quiet", "verbose", "help", "detach", "log_driver", "log_opt", "attach", "sig_proxy",
    "pull",
}  # fmt: skip


def words(**flags: object) -> list[str]:
    return _laid_out(flags)[1]


def test_each_flag_is_a_keyword() -> None:
    """A new flag of `run` is one of Python's too."""
    flags = {flag.name.replace("-", "_") for flag in COMMAND.flags}

    assert set(Flags.__annotations__) == flags - NO_KEYWORDS


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("env", {"A": "b c", "B": ""}, ["--env=A=b c", "--env=B="]),
        ("volume", ["data:/data", "/a:/b:ro"], ["--volume=data:/data", "--volume=/a:/b:ro"]),
        ("env_file", [Path("/a/b")], ["--env-file=/a/b"]),
        ("read_only", True, ["--read-only=true"]),
        ("init", False, ["--init=false"]),
        ("user", 1000, ["--user=1000"]),
        ("cpus", 0.5, ["--cpus=0.5"]),
        ("memory", None, []),
        ("entrypoint", "", ["--entrypoint="]),
        ("ulimit", {"nofile": 10}, ["--ulimit=nofile=10"]),
        ("secret", {"db": "/run/db"}, ["--secret=id=db,src=/run/db"]),
    ],
)
def test_a_keywords_words(keyword: str, value: object, expected: list[str]) -> None:
    """As the command line has them."""
    assert words(**{keyword: value}) == expected


def test_bytes_of_a_secret_are_no_word() -> None:
    """They go their own way."""
    assert _laid_out({"secret": {"db": b"s"}}) == ({"db": b"s"}, [])


def test_what_is_no_keyword() -> None:
    """A name that nobody knows, a type that no flag has, a name that would be a value, a NUL."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'tty'"):
        words(tty=True)
    with pytest.raises(TypeError, match="`memory` cannot be of the type bytes"):
        words(memory=b"1g")
    with pytest.raises(TypeError, match="`env` cannot be of the type NoneType"):
        words(env={"A": None})
    with pytest.raises(UsageError, match="`A=b`"):
        words(env={"A=b": "c"})
    with pytest.raises(UsageError, match="NUL"):
        _require_no_nul(["a\0b"])


def test_the_package_has_these_names_alone() -> None:
    """Those of its list, each when it is asked for."""
    assert all(getattr(jettison, name) for name in jettison.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'walk'"):
        jettison.walk  # noqa: B018
