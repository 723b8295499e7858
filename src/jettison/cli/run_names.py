"""`--add-host` and `--dns…` of `jettison run`: names of machines, in docker's syntax."""

import ipaddress
import re

from jettison.errors import UsageError
from jettison.sandbox.names import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?", re.ASCII)
_OPTION = re.compile(r"[a-z0-9-]+(?::[0-9]+)?", re.ASCII)
_SCOPE = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


def names(hosts: "Sequence[str]", servers: "Sequence[str]", search: "Sequence[str]", options: "Sequence[str]") -> Names:
    """What the flags say. Errors: UsageError."""
    return Names(
        [_host(text) for text in hosts],
        [_address(text, f"`--dns {text}`") for text in servers],
        [_domain(text) for text in search],
        [_option(text) for text in options],
    )


def _host(text: str) -> "tuple[str, str]":
    """NAME:IP or NAME=IP; an IPv6 address may stand in brackets."""
    name, mark, address = text.partition("=" if "=" in text else ":")
    if not mark or not _NAME.fullmatch(name):
        raise UsageError(f"`--add-host {text}` names no host", "expected NAME:IP, as in `--add-host db:192.0.2.7`")
    if address == "host-gateway":
        raise UsageError(
            f"`--add-host {text}`: there is no gateway to the host's own services",
            f"with the host's network it is this machine itself: `--add-host {name}:127.0.0.1`",
        )
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return name, _address(address, f"`--add-host {text}`")


def _address(text: str, what: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise UsageError(f"{what} has no IP address: `{text}`", "expected one as 192.0.2.7 or 2001:db8::7") from error
    scope = text.partition("%")[2]
    if scope and not _SCOPE.fullmatch(scope):
        raise UsageError(f"{what} has an address with an impossible interface `{scope}`")
    return str(address)


def _domain(text: str) -> str:
    if text != "." and not _NAME.fullmatch(text):
        raise UsageError(f"`--dns-search {text}` is no domain", "expected one as example.org, or `.` for none")
    return text


def _option(text: str) -> str:
    if not _OPTION.fullmatch(text):
        raise UsageError(f"`--dns-option {text}` is no option of resolv.conf(5)", "expected one as `ndots:2` or `rotate`")
    return text
