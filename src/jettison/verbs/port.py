"""The ports of this machine that lead to a container."""

from typing import NamedTuple

from jettison.errors import NotFound, UsageError
from jettison.image.store import LocalStore
from jettison.sandbox.containers import find
from jettison.sandbox.ports import bracketed


class Published(NamedTuple):
    """`inside`: PORT/PROTOCOL; `outside`: ADDRESS:PORT."""

    inside: str
    outside: str


def port(store: LocalStore, name: str, inside: str = "") -> list[Published]:
    """All that are published, or those of `inside`, PORT[/PROTOCOL]. Errors: NotFound, UsageError."""
    found = find(store.path, name)
    published = [Published(f"{port}/{proto}", f"{bracketed(address)}:{host}") for address, host, port, proto in found.ports()]
    if not inside:
        return published
    number, _, protocol = inside.partition("/")
    if not number.isdigit():
        raise UsageError(f"`{inside}` is no port", "expected PORT or PORT/PROTOCOL, as `80` or `53/udp`")
    meant = [each for each in published if each.inside == f"{number}/{protocol or 'tcp'}"]
    if not meant:
        raise NotFound(
            f"container `{name}` has no published port `{number}/{protocol or 'tcp'}`", "`jettison run -p` publishes one"
        )
    return meant
