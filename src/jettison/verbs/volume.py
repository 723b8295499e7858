"""Named volumes: what is there, one more, one less."""

import os
from typing import NamedTuple

from jettison.errors import NotFound, UsageError
from jettison.image.store import LocalStore
from jettison.image.volumes import hold, names, remove
from jettison.sandbox.errand import as_root
from jettison.verbs.run import is_name


class Volume(NamedTuple):
    """A volume: its name, and its folder on this machine."""

    name: str
    folder: str


def volumes(store: LocalStore) -> list[Volume]:
    """All named volumes, sorted by name."""
    return [_volume(store, name) for name in names(_folder(store))]


def find_volume(store: LocalStore, name: str) -> Volume:
    """A volume by its name. Errors: NotFound."""
    if name not in names(_folder(store)):
        raise NotFound(f"there is no volume `{name}`", "`jettison volume ls` lists them")
    return _volume(store, name)


def create_volume(store: LocalStore, name: str) -> Volume:
    """Make a volume. Idempotent, as in docker. Errors: UsageError for what is no name."""
    if not is_name(name):
        raise UsageError(f"`{name}` is no name for a volume", "letters, digits, `_`, `.` and `-`, a letter or digit first")
    with store.writing():
        os.close(hold(_folder(store), name))
    return _volume(store, name)


def remove_volume(store: LocalStore, name: str) -> int:
    """Remove a volume and all in it: how many bytes that freed. Errors: NotFound, UsageError where a container uses it."""
    find_volume(store, name)
    with store.writing():
        return remove(_folder(store), name, store.temporary(), as_root)


def prune_volumes(store: LocalStore) -> tuple[list[str], int]:
    """Remove every volume that no container uses now: their names, and how many bytes that freed."""
    removed, freed_bytes = [], 0
    for name in names(_folder(store)):
        try:
            freed_bytes += remove_volume(store, name)
        except (UsageError, NotFound):  # in use, or somebody else was faster
            continue
        removed.append(name)
    return removed, freed_bytes


def _folder(store: LocalStore) -> str:
    return f"{store.path}/volumes"


def _volume(store: LocalStore, name: str) -> Volume:
    return Volume(name, f"{_folder(store)}/{name}")
