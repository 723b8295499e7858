"""What a program touched of a filesystem while somebody watched it: a value, and a document of it that can be committed."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from jettison.errors import InvalidData
from jettison.oci.documents import parse
from jettison.tree.root import parents

LIMIT_BYTES = 256 << 20

_NOTHING: Mapping[str, str] = MappingProxyType({})
_KEPT = ("executed", "read", "listed", "looked", "changed", "connected")
_EVERYBODYS = ("/", "/etc", "/opt", "/srv", "/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool")
_FOUND = ("executed", "read", "listed", "looked")


class Observation(NamedTuple):
    """What the program and its children did; each of the mappings is path → the program that did it first.

    A path is absolute, as the process saw it: links are not followed, `..` is kept. `executed`, `read`, `listed` (a folder) and
    `looked` (stat, access, readlink …) were there; each path is in the first of these that fits. `created` was not there before,
    `changed` was. `missing` was looked for in vain, `denied` was not permitted, `connected` are sockets. `status`: the last
    command's exit status. `notices`: what the reader of the result should know.
    """

    commands: tuple[str, ...] = ()
    executed: Mapping[str, str] = _NOTHING
    read: Mapping[str, str] = _NOTHING
    listed: Mapping[str, str] = _NOTHING
    looked: Mapping[str, str] = _NOTHING
    created: Mapping[str, str] = _NOTHING
    changed: Mapping[str, str] = _NOTHING
    missing: Mapping[str, str] = _NOTHING
    denied: Mapping[str, str] = _NOTHING
    connected: Mapping[str, str] = _NOTHING
    status: int = 0
    notices: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the program was never seen."""
        return not self.executed


def merge(observations: Iterable[Observation]) -> Observation:
    """All that was seen, one after the other: what one created was not there for the next."""
    result = Observation()
    for item in observations:
        maps = {name: {**getattr(item, name), **getattr(result, name)} for name in result._fields[1:-2]}
        commands = tuple(dict.fromkeys((*result.commands, *item.commands)))
        notices = tuple(dict.fromkeys((*result.notices, *item.notices)))
        result = Observation(commands, **maps, status=item.status, notices=notices)
    return result


def settled(observation: Observation) -> Observation:
    """Only what was there before. A created path counts as a change of the folder that it was made in, whatever its own name; one
    that was made in a folder of everybody's, as /var/lib/app, as a change of itself.
    """
    created = observation.created

    def is_old(path: str) -> bool:
        return path not in created and created.keys().isdisjoint(parents(path))

    old: dict[str, Any] = {name: {path: by for path, by in getattr(observation, name).items() if is_old(path)} for name in _KEPT}
    for path, by in created.items():
        way = [*parents(path), path]
        first = next(position for position, each in enumerate(way) if not is_old(each))
        folder = way[first - 1]
        old["changed"].setdefault(way[first] if folder in _EVERYBODYS else folder, by)
    for stronger, weaker in (("executed", _FOUND[1:]), ("read", _FOUND[2:]), ("listed", _FOUND[3:])):
        for name in weaker:
            old[name] = {path: by for path, by in old[name].items() if path not in old[stronger]}
    return observation._replace(created=_NOTHING, **old)


def write(observation: Observation, folder: str = "", is_kept: Callable[[str], bool] = lambda path: True) -> bytes:
    """The document: the same paths give the same bytes, on any day and for any user.

    What lies in `folder`, where the program is, is written relative to it; of the other paths only those that `is_kept` says.
    """
    kept = settled(observation)
    value: dict[str, object] = {"version": 1, "commands": list(kept.commands)}
    for name in _KEPT:
        short = {_relative(path, folder): _relative(by, folder) for path, by in getattr(kept, name).items()}
        value[name] = {path: short[path] for path in sorted(short) if path.startswith(".") or is_kept(path)}
    return json.dumps(value, indent=1).encode("ascii") + b"\n"


def read(data: bytes, what: str, folder: str = "") -> Observation:
    """Read a document, whose relative paths lie in `folder`. Errors: InvalidData, HostileData, naming `what`."""
    value = parse(data, what, LIMIT_BYTES)
    if value.get("version") != 1:
        raise InvalidData(f"{what} has version {value.get('version')!r:.20}, expected 1", "use a newer jettison")
    try:
        maps: dict[str, Any] = {name: _paths(value[name], folder) for name in _KEPT}
        commands = tuple(_text(command) for command in value["commands"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidData(f"{what} is not an observation: {type(error).__name__} {error}") from error
    return Observation(commands, **maps)


def _relative(path: str, folder: str) -> str:
    return f".{path[len(folder) :]}" if folder and path.startswith(f"{folder}/") else path


def _paths(value: Any, folder: str) -> dict[str, str]:
    return {_absolute(path, folder): _absolute(by, folder) if by else "" for path, by in value.items()}


def _absolute(value: Any, folder: str) -> str:
    text = _text(value)
    if not text.startswith(("/", "./")) or "\0" in text:
        raise ValueError(f"`{text:.60}` is no path")
    return text if text.startswith("/") else f"{folder}{text[1:]}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value
