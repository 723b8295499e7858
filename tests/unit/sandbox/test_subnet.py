"""A subnet that no route leads to."""

import ipaddress

import pytest

from jettison.errors import HostError
from jettison.sandbox import subnet


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], "10.213.0.0/22"),
        (["10.213.0.0/16"], "10.214.0.0/22"),
        (["10.213.2.0/24", "10.214.3.255/32"], "10.215.0.0/22"),
        (["10.213.4.0/22"], "10.213.0.0/22"),
        (["10.0.0.0/8"], "172.24.0.0/22"),
    ],
)
def test_a_free_subnet(routes: list[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a network that is reached already, nor around one."""
    monkeypatch.setattr(subnet, "_routes", lambda: _numbers(routes))

    assert str(subnet.free_subnet()) == expected


def test_none_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mend says how to find out why."""
    monkeypatch.setattr(subnet, "_routes", lambda: _numbers(["10.0.0.0/8", "172.16.0.0/12"]))

    with pytest.raises(HostError) as caught:
        subnet.free_subnet()

    assert "ip route" in caught.value.hint


def test_addresses() -> None:
    """The gateway is the first; a subnet is found again by any of its addresses; the last number is nobody's."""
    found = subnet.free_subnet()

    assert subnet.around(found.address(1)).first == subnet.around(found.address(subnet.NUMBERS[-1])).first == found.first
    network = ipaddress.ip_network(str(found))
    assert network.broadcast_address.packed == found.address(subnet.NUMBERS[-1] + 1)


def _numbers(routes: list[str]) -> list[tuple[int, int]]:
    networks = [ipaddress.IPv4Network(route) for route in routes]
    return [(int(network.network_address), int(network.netmask)) for network in networks]
