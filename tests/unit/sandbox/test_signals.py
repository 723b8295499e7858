"""Signals by docker's names."""

import signal

import pytest

from jettison.errors import UsageError
from jettison.sandbox.signals import signal_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15), ("SIGTERM", 15), ("sigint", 2), ("9", 9), ("15", 15), ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("RTMIN", signal.SIGRTMIN), ("SIGRTMAX-14", signal.SIGRTMAX - 14), ("RTMAX", signal.SIGRTMAX), ("CHLD", 17),
    ],
)  # fmt: skip
def test_known(text: str, number: int) -> None:
    """Names with and without SIG, in any case, numbers, and the real-time ones."""
    assert signal_number(text, "x") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65",
        "-1",
        "9999999999",
        "FOO",
        "SIG",
        "_DFL",
        "SIG_DFL",
        "RTMIN+99",
        "RTMIN+",
        "RTMIN-1",
        "RTMAX+1",
        "TERM+1",
        "٩",
        "1.5",
    ],
)
def test_unknown(text: str) -> None:
    """The message says who named it."""
    with pytest.raises(UsageError, match="the stop signal: there is no signal"):
        signal_number(text, "the stop signal")
