"""What the store may forget: mark from the names, sweep the rest.

A sweep works whatever is missing or broken, and never removes what a running container uses: it holds a lock on its run record.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from jettison.errors import JettisonError
from jettison.image.durable import locked, remove_tree, try_lock
from jettison.image.layout import closure_digest, manifest_or_none, manifests
from jettison.image.record import record_layers
from jettison.image.rootfs import layer_names
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.tree.node import HostFile

AsRoot = Callable[[str, Callable[[], int]], int]


class Parts(NamedTuple):
    """Parts of a store: blobs, folders of unpacked layers, and run records, the last two by their file names."""

    blobs: set[Digest]
    layers: set[str]
    records: set[str]

    def within(self, other: "Parts") -> "Parts":
        return Parts(self.blobs & other.blobs, self.layers & other.layers, self.records & other.records)

    def without(self, other: "Parts") -> "Parts":
        return Parts(self.blobs - other.blobs, self.layers - other.layers, self.records - other.records)


class Swept(NamedTuple):
    """What was removed; `in_use` are the run records whose containers run."""

    blobs: tuple[Digest, ...]
    freed_bytes: int
    in_use: tuple[str, ...]


def all_parts(store: LocalStore) -> Parts:
    """Everything that is there."""
    return Parts(set(store.digests()), set(_names(f"{store.path}/layers")), set(_names(f"{store.path}/run")))


def parts_of(store: LocalStore, roots: Iterable[Digest]) -> Parts:
    """What these manifests refer to, with what says of itself that it belongs to one of them (a `subject`)."""
    parts = Parts(set(), set(), set())
    for digest in roots:
        _add(store, digest, parts)
    waiting = {digest: manifest for digest, manifest in manifests(store) if digest not in parts.blobs and manifest.subject}
    while True:
        found = [digest for digest, manifest in waiting.items() if manifest.subject and manifest.subject.digest in parts.blobs]
        if not found:
            return parts
        for digest in found:
            del waiting[digest]
            _add(store, digest, parts)


def named_parts(store: LocalStore) -> Parts:
    """What the names of the store keep."""
    return parts_of(store, {digest for _, digest in store.tags()})


def sweep(store: LocalStore, parts: Parts) -> Swept:
    """Remove these parts, records first: a layer goes only when no record leads to it. Only while `cleaning`."""
    in_use = {name for name in parts.records if not _remove_record(store, name)}
    used = {layer for name in in_use for layer in record_layers(_read(f"{store.path}/run/{name}"))}
    freed = sum(_remove_layer(store, name) for name in sorted(parts.layers - used))
    blobs = sorted(parts.blobs)
    freed += sum(store.delete(digest) for digest in blobs)
    return Swept(tuple(blobs), freed, tuple(sorted(in_use)))


def sweep_leftovers(store: LocalStore, as_root: AsRoot) -> int:
    """Remove what dead writers left in tmp/; how many bytes that freed. Only while `cleaning`: then nobody writes.

    `as_root`: as of `volumes.remove`; a volume may have been on its way out.
    """
    return sum(_remove_leftover(f"{store.path}/tmp/{name}", as_root) for name in _names(f"{store.path}/tmp"))


def _remove_leftover(path: str, as_root: AsRoot) -> int:
    try:
        return remove_tree(path)
    except PermissionError:
        return as_root(f"remove `{path}`", lambda: remove_tree(path))


def _add(store: LocalStore, digest: Digest, parts: Parts) -> None:
    parts.blobs.add(digest)
    parts.records.add(digest.hex)
    manifest = manifest_or_none(store, digest)
    if manifest is None:
        return
    parts.blobs.update([manifest.config.digest, *(layer.digest for layer in manifest.layers)])
    try:
        closure = closure_digest(manifest)
        parts.blobs.update([closure] if closure else [])
        parts.layers.update(name.hex for names in layer_names(store.image(digest)) for name in names)
    except JettisonError:  # a broken image keeps what can be told of it
        return


def _remove_record(store: LocalStore, name: str) -> bool:
    path = f"{store.path}/run/{name}"
    if os.path.isdir(path):  # nothing of ours
        remove_tree(path)
        return True
    with locked(path, 0) as descriptor:
        if not try_lock(descriptor):
            return False
        os.unlink(path)
    return True


def _remove_layer(store: LocalStore, name: str) -> int:
    """It disappears under its name at once, so that nobody ever sees half of it."""
    temporary = store.temporary()
    os.rename(f"{store.path}/layers/{name}", temporary)
    return remove_tree(temporary)


def _read(path: str) -> bytes:
    try:
        with HostFile(path).open() as stream:
            return stream.read()
    except OSError:
        return b""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
