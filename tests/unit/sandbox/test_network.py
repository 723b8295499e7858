"""What a private network says of names."""

import os

import pytest

from jettison.sandbox import network
from jettison.sandbox.network import Network


@pytest.mark.parametrize(
    ("resolv", "systemd", "expected", "notes"),
    [
        ("nameserver 192.0.2.1\nsearch example.org\n", "", "nameserver 192.0.2.1\nsearch example.org\n", 0),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", "", "nameserver 192.0.2.1\n", 0),
        ("nameserver 127.0.0.53\noptions edns0\n", "nameserver 192.0.2.2\n", "nameserver 192.0.2.2\n", 0),
        ("nameserver ::1\noptions edns0\n", "", "options edns0\n", 1),
        ("", "", "", 1),
    ],
)
def test_name_servers(resolv: str, systemd: str, expected: str, notes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that can be reached; of systemd-resolved those that it asks itself; a note where there are none."""
    contents = {"/etc/resolv.conf": resolv, "/run/systemd/resolve/resolv.conf": systemd}
    monkeypatch.setattr(network, "machine_file", lambda path: contents[path].encode())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    told: list[str] = []

    assert Network(tell=told.append).resolver_file(False).decode() == expected
    assert len(told) == notes
    assert Network(tell=told.append).resolver_file(True).decode() == expected
    assert len(told) == notes
