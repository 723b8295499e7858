"""Descriptors, manifests and indexes: pointers to bytes, as the image specification writes them."""

from typing import Any, NamedTuple

from jettison.errors import HostileData, InvalidData
from jettison.oci.digest import Digest
from jettison.oci.platform import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

LAYER_COMPRESSIONS = {
    OCI_LAYER: "none",
    OCI_LAYER + "+gzip": "gzip",
    OCI_LAYER + "+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "none",
    DOCKER_LAYER: "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
}

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)


class Descriptor(NamedTuple):
    """A pointer to `size` bytes with this digest."""

    media_type: str
    digest: Digest
    size: int
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    artifact_type: str = ""

    def as_json(self) -> dict[str, Any]:
        """The descriptor in the specification's words, keys in its order."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.platform:
            value["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                value["platform"]["variant"] = self.platform.variant
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value

    def annotation(self, key: str) -> str:
        """The annotation's value, or empty."""
        return dict(self.annotations).get(key, "")


class Manifest(NamedTuple):
    """An image manifest, or an artifact's when `artifact_type` is set."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST
    annotations: tuple[tuple[str, str], ...] = ()
    artifact_type: str = ""
    subject: Descriptor | None = None

    def as_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"schemaVersion": 2, "mediaType": self.media_type}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        value["config"] = self.config.as_json()
        value["layers"] = [layer.as_json() for layer in self.layers]
        if self.subject:
            value["subject"] = self.subject.as_json()
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value


def parse_descriptor(value: Any, what: str) -> Descriptor:
    """Read a descriptor; every field that we act on is checked. Errors: InvalidData, HostileData, naming `what`."""
    if not isinstance(value, dict):
        raise InvalidData(f"{what} is not a descriptor")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 62:
        raise InvalidData(f"{what} has no usable size: `{size!r:.40}`")
    return Descriptor(
        _text(value.get("mediaType", ""), f"{what}'s mediaType"),
        Digest.parse(value.get("digest", ""), f"{what}'s digest"),
        size,
        parse_annotations(value.get("annotations"), what),
        _parse_platform(value.get("platform"), what),
        _text(value.get("artifactType", ""), f"{what}'s artifactType"),
    )


def parse_manifest(value: dict[str, Any], what: str) -> Manifest:
    """Read an image manifest from its parsed JSON. Errors: InvalidData, HostileData, naming `what`."""
    if "manifests" in value:  # CVE-2021-41190: one document must not be read as two kinds
        raise HostileData(f"refusing {what}: it claims to be a manifest and an index")
    media_type = _text(value.get("mediaType") or OCI_MANIFEST, f"{what}'s mediaType")
    if media_type not in MANIFEST_TYPES:
        raise InvalidData(f"{what} is a `{media_type}`, expected an image manifest")
    layers = value.get("layers")
    if not isinstance(layers, list) or len(layers) > 1000:
        raise InvalidData(f"{what} has no usable list of layers")
    subject = value.get("subject")
    return Manifest(
        parse_descriptor(value.get("config"), f"the config of {what}"),
        tuple(parse_descriptor(layer, f"layer {number} of {what}") for number, layer in enumerate(layers, 1)),
        media_type,
        parse_annotations(value.get("annotations"), what),
        _text(value.get("artifactType", ""), f"{what}'s artifactType"),
        parse_descriptor(subject, f"the subject of {what}") if subject is not None else None,
    )


def parse_index(value: dict[str, Any], what: str) -> tuple[Descriptor, ...]:
    """Read the descriptors of an index. Errors: InvalidData, HostileData, naming `what`."""
    if "layers" in value or "config" in value:
        raise HostileData(f"refusing {what}: it claims to be an index and a manifest")
    manifests = value.get("manifests")
    if not isinstance(manifests, list) or len(manifests) > 10_000:
        raise InvalidData(f"{what} has no usable list of manifests")
    return tuple(parse_descriptor(item, f"entry {number} of {what}") for number, item in enumerate(manifests, 1))


def parse_annotations(value: Any, what: str) -> tuple[tuple[str, str], ...]:
    """Read a map of strings; absent or null is empty."""
    if value is None:
        return ()
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidData(f"the annotations of {what} are not a map of strings")
    return tuple(value.items())


def _parse_platform(value: Any, what: str) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidData(f"the platform of {what} is not an object")
    names = ("os", "architecture", "variant")
    return Platform(*(_text(value.get(name, ""), f"{name} of {what}") for name in names))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise InvalidData(f"{what} is not a text: `{value!r:.40}`")
    return value
