"""`--network private`, `--publish` and `--expose` of `jettison run`, in docker's syntax. Imported only where one is given."""

import _socket
import sys

from jettison.errors import UsageError
from jettison.sandbox.network import Network
from jettison.sandbox.ports import Publication

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOPBACK = "127.0.0.1"
_PROTOCOLS = ("tcp", "udp")
_HINT = (
    "expected [[IP:]PORT:]PORT[/udp], as `8080:80`, `0.0.0.0:8080:80`, `[::1]:8080:80`, `53:53/udp`, `8000-8010:8000-8010`, `80`"
)


def private(name: str, publish: "Sequence[str]", expose: "Sequence[str]", is_quiet: bool) -> "Network | None":
    """The private network, if that is what the flags say; `name` is empty where none was named. Errors: UsageError."""
    for text in expose:
        _exposed(text)
    if publish and name not in ("", "private"):
        raise UsageError(f"`--publish {publish[0]}` wants a private network, and `--network {name}` was asked for", _MENDS[name])
    if not publish and name != "private":
        return None
    return Network([publication for text in publish for publication in publications(text)], _keep if is_quiet else _tell)


_MENDS = {
    "host": "a program in the host's network listens on the machine's own ports: leave one of the two flags out",
    "none": "that network has no way in or out: `--network private`, or no `--publish`",
}


def publications(text: str) -> "list[Publication]":
    """[[IP:]PORTS:]PORTS[/PROTOCOL]; the address is 127.0.0.1 where none is given. Errors: UsageError."""
    what = f"`--publish {text}`"
    place, slash, protocol = text.partition("/")
    if slash and protocol not in _PROTOCOLS:
        raise UsageError(f"{what}: the protocol is none of {', '.join(_PROTOCOLS)}", _HINT)
    address, host, container = _parts(place, what)
    inside, outside = _range(container, what), _range(host, what) if host else []
    if len(inside) == 1:
        return [Publication(address, outside or [0], inside[0], protocol or "tcp")]
    if outside and len(inside) != len(outside):
        raise UsageError(f"{what}: {len(outside)} ports cannot lead to {len(inside)}", _HINT)
    pairs = zip(outside or [0] * len(inside), inside, strict=True)
    return [Publication(address, [port], target, protocol or "tcp") for port, target in pairs]


def _parts(place: str, what: str) -> "tuple[str, str, str]":
    """Address, host ports, container ports. An IPv6 address stands in brackets."""
    address, _, rest = place.removeprefix("[").partition("]:")
    is_bracketed = place.startswith("[")
    words = [address, *rest.split(":")] if is_bracketed else place.split(":")
    words = words if is_bracketed else [*[_LOOPBACK, ""][: 3 - len(words)], *words]
    if len(words) != 3:
        raise UsageError(f"{what} is no port", _HINT)
    try:
        _socket.inet_pton(_socket.AF_INET6 if is_bracketed else _socket.AF_INET, words[0])
    except OSError as error:
        raise UsageError(f"{what}: `{words[0]}` is no IP address", _HINT) from error
    return words[0], words[1], words[2]


def _range(word: str, what: str) -> "list[int]":
    first, dash, last = word.partition("-")
    numbers = [_port(number, what) for number in ([first, last] if dash else [first])]
    if numbers[0] > numbers[-1]:
        raise UsageError(f"{what}: the range `{word}` is empty", _HINT)
    return list(range(numbers[0], numbers[-1] + 1))


def _port(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 5 and 0 < int(word) < 65536):
        raise UsageError(f"{what}: `{word}` is no port from 1 to 65535", _HINT)
    return int(word)


def _exposed(text: str) -> None:
    """What the image's readers are told of: nothing is opened, as in docker."""
    ports, slash, protocol = text.partition("/")
    if slash and protocol not in (*_PROTOCOLS, "sctp"):
        raise UsageError(f"`--expose {text}`: `{protocol}` is no protocol", "expected PORT[/PROTOCOL], as `80` or `53/udp`")
    _range(ports, f"`--expose {text}`")


def _tell(message: str) -> None:
    sys.stderr.write(f"note: {message}\n")
    sys.stderr.flush()


def _keep(message: str) -> None:
    """To oneself."""
