"""Names of images are removed, and the images with them that have no other."""

from collections.abc import Sequence
from typing import NamedTuple

from jettison.errors import UsageError
from jettison.events import SILENT, Reporter
from jettison.image.prune import all_parts, named_parts, parts_of, sweep
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference


class Removed(NamedTuple):
    """Names that mean nothing any more, and blobs that are gone."""

    untagged: tuple[Reference, ...]
    deleted: tuple[Digest, ...]


def rmi(store: LocalStore, names: Sequence[str], force: bool = False, reporter: Reporter = SILENT) -> Removed:
    """Remove names; an image given by its digest loses its only name, or with `force` all of them.

    Errors: NotFound, before anything is removed; UsageError for an image with several names.
    """
    found = [_names_of(store, name, force) for name in names]
    untagged = tuple(dict.fromkeys(reference for references, _ in found for reference in references))
    for reference in untagged:
        store.untag(reference)
    deleted = _delete(store, {digest for _, digest in found}, reporter)
    return Removed(untagged, tuple(deleted))


def _names_of(store: LocalStore, name: str, force: bool) -> tuple[list[Reference], Digest]:
    reference, digest = store.resolve(name)
    if reference is not None and reference.digest is None:
        return [reference], digest
    references = [known for known, meaning in store.tags() if meaning == digest]
    if len(references) > 1 and not force:
        listing = ", ".join(f"`{known.familiar}`" for known in references)
        raise UsageError(f"`{name}` has several names: {listing}", "remove them by name, or all of them with `--force`")
    return references, digest


def _delete(store: LocalStore, digests: set[Digest], reporter: Reporter) -> list[Digest]:
    """What only these images had. While somebody writes, that is left to `prune`."""
    with store.cleaning_if_idle() as is_idle:
        if not is_idle:
            reporter.notice("the blobs stay for now: another jettison writes to the store", "`jettison prune` removes them later")
            return []
        kept = named_parts(store)
        swept = sweep(store, parts_of(store, digests - kept.blobs).within(all_parts(store)).without(kept))
    for _ in swept.in_use:
        reporter.notice("the unpacked layers stay: a container runs in them", "`jettison prune` removes them later")
    return list(swept.blobs)
