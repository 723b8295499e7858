"""Another name for an image."""

from jettison.image.store import LocalStore
from jettison.oci.reference import Reference


def tag(store: LocalStore, source: str, name: str) -> Reference:
    """Let `name` mean what `source` means; the whole name. Errors: NotFound, UsageError."""
    _, digest = store.resolve(source)
    reference = Reference.parse(name)
    store.tag(reference, digest)
    return reference
