"""An image: a manifest, a configuration and layers, held as exact bytes."""

from functools import cached_property
from typing import NamedTuple

from jettison.errors import InvalidData
from jettison.oci.config import ImageConfig, parse_config
from jettison.oci.digest import Digest
from jettison.oci.documents import parse, serialise
from jettison.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, parse_manifest
from jettison.oci.platform import Platform


class Layer(NamedTuple):
    """A layer's blob and the digest of its tar bytes."""

    descriptor: Descriptor
    diff_id: Digest


class Image:
    """Immutable. Digest, manifest and configuration are derived from the bytes, never stored beside them."""

    def __init__(self, raw_manifest: bytes, raw_config: bytes) -> None:
        """Errors: InvalidData, HostileData where the bytes are no image, or do not belong together."""
        self.raw_manifest = raw_manifest
        self.raw_config = raw_config
        found, expected = Digest.of(raw_config), self.manifest.config.digest
        if found != expected:
            raise InvalidData(f"config of {self.digest} is {found}, its manifest says {expected}")
        if len(self.manifest.layers) != len(self.config.diff_ids):
            raise InvalidData(
                f"image {self.digest} has {len(self.manifest.layers)} layers, its config names {len(self.config.diff_ids)}"
            )

    @cached_property
    def digest(self) -> Digest:
        return Digest.of(self.raw_manifest)

    @cached_property
    def manifest(self) -> Manifest:
        return parse_manifest(parse(self.raw_manifest, "manifest"), "manifest")

    @cached_property
    def config(self) -> ImageConfig:
        return parse_config(parse(self.raw_config, "config"), "config")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """From the lowest to the topmost."""
        return tuple(map(Layer, self.manifest.layers, self.config.diff_ids))

    @property
    def platform(self) -> Platform:
        return self.config.platform

    @property
    def descriptor(self) -> Descriptor:
        """The pointer to this image's manifest."""
        return Descriptor(self.manifest.media_type, self.digest, len(self.raw_manifest), platform=self.platform)


def assemble(config: ImageConfig, layers: tuple[Layer, ...], annotations: tuple[tuple[str, str], ...] = ()) -> Image:
    """An image of these layers; the configuration's `diff_ids` are theirs."""
    return of_layers(serialise(config._replace(diff_ids=tuple(layer.diff_id for layer in layers)).as_json()), layers, annotations)


def of_layers(raw_config: bytes, layers: tuple[Layer, ...], annotations: tuple[tuple[str, str], ...] = ()) -> Image:
    """An image of these layers, with a configuration that names them."""
    pointer = Descriptor(OCI_CONFIG, Digest.of(raw_config), len(raw_config))
    manifest = Manifest(pointer, tuple(layer.descriptor for layer in layers), OCI_MANIFEST, annotations)
    return Image(serialise(manifest.as_json()), raw_config)
