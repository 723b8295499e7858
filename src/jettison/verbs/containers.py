"""ps, stop, kill, wait, rm: containers by name, id or the beginning of an id."""

from collections.abc import Sequence
from typing import NamedTuple

from jettison.errors import UsageError
from jettison.image.store import LocalStore
from jettison.sandbox import containers as states
from jettison.sandbox.containers import Found
from jettison.sandbox.ports import bracketed
from jettison.sandbox.signals import KILL, signal_number
from jettison.sandbox.told import Ended

# The filters, and the words that they know where these are not anything.
_FILTERS: dict[str, tuple[str, ...]] = {
    "name": (),
    "id": (),
    "status": ("created", "restarting", "running", "exited"),
    "label": (),
    "ancestor": (),
    "exited": (),
    "health": ("starting", "healthy", "unhealthy", "none"),
}


class Listed(NamedTuple):
    """A container as `ps` shows it. Times in nanoseconds since 1970; `health` is docker's word, or empty."""

    id: str
    name: str
    image: str
    argv: tuple[str, ...]
    created_ns: int
    labels: tuple[str, ...]
    status: str  # running, restarting, exited
    since_ns: int  # the state's beginning
    exit_status: int | None
    health: str
    ports: tuple[str, ...] = ()  # docker's words: `127.0.0.1:8080->80/tcp`


def ps(store: LocalStore, all: bool = False, filters: Sequence[str] = ()) -> list[Listed]:
    """Those that run, or `all`; the youngest first. `filters` are docker's, KEY=VALUE. Errors: UsageError."""
    wanted = [_parse_filter(text) for text in filters]
    listed = [_listed(found) for found in states.containers(store.path)]
    shows_all = all or any(key in ("status", "exited") for key, _ in wanted)
    return [each for each in listed if (shows_all or each.exit_status is None) and _is_wanted(each, wanted)]


def stop(store: LocalStore, name: str, timeout_s: int | None = None, signal: str = "") -> None:
    """Ask for its end; kill it after so many seconds, by default its own, -1 for never. Errors: NotFound, HostError."""
    if signal:
        signal_number(signal, "`--signal`")
    states.stop(states.find(store.path, name), timeout_s, signal)


def kill(store: LocalStore, name: str, signal: str = "KILL") -> None:
    """Send a signal to its program. Errors: NotFound, UsageError, HostError."""
    states.kill(states.find(store.path, name), signal_number(signal, "`--signal`"))


def wait(store: LocalStore, name: str) -> Ended:
    """How it ended, as soon as it has. Errors: NotFound."""
    return states.wait(states.find(store.path, name))


def rm(store: LocalStore, name: str, force: bool = False) -> None:
    """Remove a container that has ended; `force` kills one that runs. Errors: NotFound, UsageError, HostError."""
    found = states.find(store.path, name)
    if force and found.is_alive:
        states.stop(found, 0, str(KILL))
    states.discard(found)


def _listed(found: Found) -> Listed:
    ended = found.ended
    since_ns = found.running.since_ns if found.running else ended.at_ns if ended else int(found.text("created"))
    return Listed(
        found.id,
        found.name,
        found.text("image"),
        tuple(found.config.get("arg", ())),
        int(found.text("created")),
        tuple(found.config.get("label", ())),
        found.status,
        since_ns,
        ended.status if ended else None,
        found.health_word(),
        tuple(f"{bracketed(address)}:{host}->{port}/{protocol}" for address, host, port, protocol in found.ports()),
    )


def _parse_filter(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if key not in _FILTERS or not equals:
        raise UsageError(f"`--filter {text}` is none", f"known are {', '.join(f'{name}=' for name in _FILTERS)}")
    if value not in _FILTERS[key] and _FILTERS[key]:
        raise UsageError(f"`--filter {text}`: nothing is ever `{value}`", f"known are {', '.join(_FILTERS[key])}")
    return key, value


def _is_wanted(listed: Listed, filters: Sequence[tuple[str, str]]) -> bool:
    """docker's rule: of the values of one key any, of the keys all."""
    return all(any(_matches(listed, *each) for each in filters if each[0] == key) for key in {key for key, _ in filters})


def _matches(listed: Listed, key: str, value: str) -> bool:
    if key == "label":
        return any(label == value or label.partition("=")[0] == value for label in listed.labels)
    if key == "name":
        return value in listed.name
    if key == "id":
        return listed.id.startswith(value)
    if key == "exited":
        return str(listed.exit_status) == value
    if key == "ancestor":
        return value in (listed.image, listed.image.partition(":")[0])
    return value == (listed.status if key == "status" else listed.health or "none")
