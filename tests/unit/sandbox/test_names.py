"""/etc/hosts and /etc/resolv.conf with what the caller adds."""

import pytest

from jettison.sandbox.names import Names

HOSTS = b"127.0.0.1\tlocalhost\n# a comment\n\n192.0.2.1 db DB.example other # the old one\n"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([], HOSTS),
        ([("new", "192.0.2.7")], b"192.0.2.7\tnew\n" + HOSTS),
        (
            [("db", "192.0.2.7"), ("db", "192.0.2.8")],
            b"192.0.2.7\tdb\n192.0.2.8\tdb\n" + HOSTS.replace(b"1 db DB.example other # the old one", b"1\tDB.example other"),
        ),
        (
            [("db", "::1"), ("db.EXAMPLE", "::1"), ("other", "::1")],
            b"::1\tdb\n::1\tdb.EXAMPLE\n::1\tother\n" + HOSTS[: HOSTS.index(b"192")],
        ),
    ],
)
def test_given_hosts_come_first(hosts: list[tuple[str, str]], expected: bytes) -> None:
    """And their names have no other address."""
    assert Names(hosts).hosts_file(HOSTS) == expected


RESOLVER = b"# made\nnameserver 192.0.2.1\nsearch a.example\noptions ndots:1\nsortlist 192.0.2.0"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (Names(), RESOLVER + b"\n"),
        (Names(servers=["::1"]), RESOLVER.replace(b"nameserver 192.0.2.1\n", b"") + b"\nnameserver ::1\n"),
        (Names(search=["b", "c"]), RESOLVER.replace(b"search a.example\n", b"") + b"\nsearch b c\n"),
        (Names(search=["."]), RESOLVER.replace(b"search a.example\n", b"") + b"\n"),
        (Names(options=["rotate"]), RESOLVER.replace(b"options ndots:1\n", b"") + b"\noptions rotate\n"),
    ],
)
def test_only_what_is_given_is_replaced(names: Names, expected: bytes) -> None:
    """The machine's other lines stay."""
    assert names.resolver_file(RESOLVER) == expected
