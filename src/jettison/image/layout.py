"""An OCI layout: what index.json says, derived from a store's names and read from other tools' folders."""

from collections.abc import Iterator

from jettison.errors import JettisonError
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.oci.documents import parse, serialise
from jettison.oci.manifest import CONTAINERD_NAME, OCI_INDEX, REF_NAME, Descriptor, Manifest, parse_manifest
from jettison.oci.reference import Reference

# On an image's manifest: the digest of the document that says why each path is in the image.
CLOSURE = "org.jettison.closure"

_SMALL_BYTES = 1 << 20  # a manifest of a thousand layers has 300 kB


def name_annotations(reference: Reference) -> tuple[tuple[str, str], ...]:
    """How an index says a manifest's name: for skopeo and podman, and for containerd and docker."""
    return (REF_NAME, reference.familiar), (CONTAINERD_NAME, str(reference))


def closure_digest(manifest: Manifest) -> Digest | None:
    """The closure document that the manifest names. Errors: HostileData for a name that is no digest."""
    text = dict(manifest.annotations).get(CLOSURE)
    return Digest.parse(text, f"annotation {CLOSURE}") if text is not None else None


def index_bytes(entries: list[Descriptor]) -> bytes:
    """An index.json of these entries."""
    return serialise({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.as_json() for entry in entries]})


def index_of(store: LocalStore) -> bytes:
    """The index.json of a store: one entry a name. A name whose manifest is missing or broken is left out."""
    entries = []
    for reference, digest in store.tags():
        manifest = manifest_or_none(store, digest)
        if manifest is not None:
            entries.append(Descriptor(manifest.media_type, digest, store.size(digest), name_annotations(reference)))
    return index_bytes(entries)


def manifest_or_none(store: LocalStore, digest: Digest) -> Manifest | None:
    """The manifest of this digest; None where there is no such blob, or something else."""
    try:
        return parse_manifest(parse(store.read(digest), "manifest"), "manifest")
    except JettisonError:
        return None


def manifests(store: LocalStore, prefix: str = "") -> Iterator[tuple[Digest, Manifest]]:
    """All manifests among the blobs whose digest begins with `prefix`, named or not."""
    for digest in store.digests():
        if digest.hex.startswith(prefix) and store.size(digest) <= _SMALL_BYTES:
            manifest = manifest_or_none(store, digest)
            if manifest is not None:
                yield digest, manifest


def find_manifests(store: LocalStore, prefix: str) -> set[Digest]:
    """The manifests whose own or whose configuration's digest begins with `prefix`."""
    found = {digest for digest, _ in manifests(store, prefix)}
    if any(digest.hex.startswith(prefix) for digest in store.digests() if digest not in found):
        found |= {digest for digest, manifest in manifests(store) if manifest.config.digest.hex.startswith(prefix)}
    return found
