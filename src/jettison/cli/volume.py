"""jettison volume: docker's verbs for named volumes."""

import json
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import size, table
from jettison.errors import JettisonError, UsageError
from jettison.image.store import LocalStore, open_store
from jettison.verbs.volume import Volume, create_volume, find_volume, prune_volumes, remove_volume, volumes

COMMAND = Command(
    "volume",
    "ls|create|inspect|rm|prune [FLAGS] [NAME...]",
    "List, make, show and remove named volumes.",
    "jettison volume ls\njettison volume create data\njettison volume rm data\njettison volume prune --force",
    (
        Flag("json", "of `ls`: print the list as JSON"),
        Flag(
            "force",
            "of `prune`: remove every volume that no container uses; of `rm`: one that is not there is no error",
            short="f",
        ),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Do what the first argument says."""
    if not rest or rest[0] not in _VERBS:
        raise UsageError("`jettison volume` needs a verb", f"one of {', '.join(_VERBS)}")
    verb, *given = rest
    _require_count(verb, len(given))
    _VERBS[verb](open_store(values.text("store") or None), given, values)
    return 0


def _require_count(verb: str, count: int) -> None:
    if verb in ("ls", "prune") and count:
        raise UsageError(f"`jettison volume {verb}` takes no argument", "see `jettison volume --help`")
    if verb in ("inspect", "rm", "create") and not count:
        raise UsageError(f"`jettison volume {verb}` needs the name of a volume", "`jettison volume ls` lists them")


def _list(store: LocalStore, _: list[str], values: Values) -> None:
    found = volumes(store)
    if values.on("json"):
        sys.stdout.write(json.dumps({"version": 1, "volumes": [_as_json(each) for each in found]}, indent=2) + "\n")
    elif values.on("quiet"):
        sys.stdout.write("".join(f"{each.name}\n" for each in found))
    else:
        sys.stdout.write(table([["VOLUME NAME", "FOLDER"], *([each.name, each.folder] for each in found)]))


def _create(store: LocalStore, names: list[str], _: Values) -> None:
    for name in names:
        sys.stdout.write(f"{create_volume(store, name).name}\n")


def _inspect(store: LocalStore, names: list[str], _: Values) -> None:
    """docker's keys."""
    found = [find_volume(store, name) for name in names]
    sys.stdout.write(json.dumps([_as_docker(each) for each in found], indent=2) + "\n")


def _remove(store: LocalStore, names: list[str], values: Values) -> None:
    """All that can be removed; then the first error, if any."""
    errors: list[JettisonError] = []
    known = {each.name for each in volumes(store)} if values.on("force") else set(names)
    for name in (name for name in names if name in known):
        try:
            remove_volume(store, name)
            sys.stdout.write(f"{name}\n")
        except JettisonError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _prune(store: LocalStore, _: list[str], values: Values) -> None:
    if not values.on("force"):
        raise UsageError("`jettison volume prune` removes what nobody can bring back", "say `--force` to do it")
    removed, freed_bytes = prune_volumes(store)
    if not values.on("quiet"):
        sys.stdout.write("".join(f"Deleted: {name}\n" for name in removed))
    sys.stdout.write(f"Total reclaimed space: {size(freed_bytes)}\n")


def _as_json(volume: Volume) -> dict[str, str]:
    return {"name": volume.name, "folder": volume.folder}


def _as_docker(volume: Volume) -> dict[str, str]:
    return {"Name": volume.name, "Driver": "local", "Mountpoint": volume.folder, "Scope": "local"}


_VERBS = {"ls": _list, "create": _create, "inspect": _inspect, "rm": _remove, "prune": _prune}
