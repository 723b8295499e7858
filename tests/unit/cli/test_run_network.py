"""`--publish` is read as docker reads it, but for the address: 127.0.0.1 where none is given."""

import pytest

from jettison.cli.run_network import publications
from jettison.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080:80", [("127.0.0.1", [8080], 80, "tcp")]),
        ("80", [("127.0.0.1", [0], 80, "tcp")]),
        ("53/udp", [("127.0.0.1", [0], 53, "udp")]),
        ("0.0.0.0:8080:80/tcp", [("0.0.0.0", [8080], 80, "tcp")]),
        ("192.0.2.1::80", [("192.0.2.1", [0], 80, "tcp")]),
        ("[::1]:8080:80", [("::1", [8080], 80, "tcp")]),
        ("[::]::80/udp", [("::", [0], 80, "udp")]),
        ("8000-8001:9000-9001", [("127.0.0.1", [8000], 9000, "tcp"), ("127.0.0.1", [8001], 9001, "tcp")]),
        ("8000-8002:80", [("127.0.0.1", [8000, 8001, 8002], 80, "tcp")]),
        ("80-81", [("127.0.0.1", [0], 80, "tcp"), ("127.0.0.1", [0], 81, "tcp")]),
    ],
)
def test_publications(text: str, expected: list[tuple[str, list[int], int, str]]) -> None:
    """Address, ports of the machine, port of the world, protocol."""
    found = [(each.host_ip, list(each.host_ports), each.container_port, each.protocol) for each in publications(text)]

    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "x", "0", "65536", "-1", "80:", "80/", "80/icmp", "80/TCP", "٨٠", "8080:80:", "localhost:8080:80", "1:2:3:4",
        "127.1:8080:80", "::1:8080:80", "[::1]", "[::1]:80", "[::1:8080:80", "[127.0.0.1]:8080:80", "81-80", "80-",
        "1-2:3-5", " 80", "1-3:4-5",
    ],
)  # fmt: skip
def test_nothing_else_is_a_port(text: str) -> None:
    """The error names what was given."""
    with pytest.raises(UsageError, match="--publish") as caught:
        publications(text)

    assert text in caught.value.message
