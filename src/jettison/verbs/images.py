"""The images of a store."""

from typing import NamedTuple

from jettison.errors import JettisonError
from jettison.image.image import Image
from jettison.image.layout import manifests
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference


class Listed(NamedTuple):
    """One name of an image, or an image without one. `image` is None where it is broken."""

    reference: Reference | None
    digest: Digest
    image: Image | None

    @property
    def size_bytes(self) -> int:
        """What its layers take in the store and on the wire."""
        return sum(layer.size for layer in self.image.manifest.layers) if self.image else 0


def images(store: LocalStore, unnamed: bool = False) -> list[Listed]:
    """All names and their images, sorted; with `unnamed` also images that no name refers to."""
    listed = [Listed(reference, digest, _image(store, digest)) for reference, digest in store.tags()]
    if unnamed:
        named = {item.digest for item in listed}
        rest = [Listed(None, digest, _image(store, digest)) for digest, _ in manifests(store) if digest not in named]
        listed += [item for item in rest if item.image]
    return listed


def _image(store: LocalStore, digest: Digest) -> Image | None:
    try:
        return store.image(digest)
    except JettisonError:
        return None
