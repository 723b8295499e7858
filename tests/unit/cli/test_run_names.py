"""`--add-host` and `--dns…` are read as docker reads them, and strictly."""

import pytest

from jettison.cli.run_names import names
from jettison.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db:192.0.2.7", ("db", "192.0.2.7")),
        ("db=192.0.2.7", ("db", "192.0.2.7")),
        ("db.example:2001:db8::7", ("db.example", "2001:db8::7")),
        ("db:[2001:DB8::7]", ("db", "2001:db8::7")),
        ("a_b-c.:::1", ("a_b-c.", "::1")),
    ],
)
def test_hosts(text: str, expected: tuple[str, str]) -> None:
    """A name, then an address of either kind."""
    assert names([text], [], [], []).hosts == (expected,)


@pytest.mark.parametrize(
    "given",
    [
        (["db"], [], [], []),
        (["d b:192.0.2.7"], [], [], []),
        (["#:192.0.2.7"], [], [], []),
        (["db:192.0.2.7\n192.0.2.8 x"], [], [], []),
        (["db\n:192.0.2.7"], [], [], []),
        (["db:٣.0.0.1"], [], [], []),
        (["db:host-gateway"], [], [], []),
        ([], ["dns.example"], [], []),
        ([], ["192.0.2.7 x"], [], []),
        ([], ["fe80::1%x\ny"], [], []),
        ([], [], ["a\nb"], []),
        ([], [], [""], []),
        ([], [], [], ["ndots: 2"]),
        ([], [], [], ["Rotate\n"]),
    ],
)
def test_what_would_be_another_line(given: tuple[list[str], list[str], list[str], list[str]]) -> None:
    """Or none that a resolver understands."""
    with pytest.raises(UsageError):
        names(*given)
