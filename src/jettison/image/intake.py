"""Images from archives and folders that other tools wrote, into a store; every byte is verified before it is visible.

Read are what `docker save` writes (layers as layer.tar, some of them links to others; since Docker 25 an OCI layout beside it),
OCI archives and OCI folders.
"""

import os
from collections.abc import Container, Iterator
from typing import Any, BinaryIO, NamedTuple, Protocol

from jettison.errors import HostileData, InvalidData, UsageError
from jettison.events import Reporter
from jettison.image.batch import Blob
from jettison.image.image import Image
from jettison.image.layout import closure_digest
from jettison.image.source import Source
from jettison.image.verified import TarStream, size_limit
from jettison.oci.config import parse_config
from jettison.oci.digest import Digest
from jettison.oci.documents import LIMIT_BYTES, parse, serialise
from jettison.oci.manifest import (
    CONTAINERD_NAME,
    INDEX_TYPES,
    OCI_CONFIG,
    OCI_LAYER,
    REF_NAME,
    Descriptor,
    Manifest,
    parse_index,
    parse_manifest,
)
from jettison.oci.platform import Platform
from jettison.oci.reference import Reference
from jettison.tree.decompress import MAGIC_BYTES, compression_of, decompressed

_NESTING_LIMIT = 4
_IMAGE_CONFIGS = (OCI_CONFIG, "application/vnd.docker.container.image.v1+json")


class Loaded(NamedTuple):
    """An image that came in, and the names it brought."""

    image: Image
    references: tuple[Reference, ...]


class Blobs(Protocol):
    """Where the blobs of a source are: a Batch, or the source itself."""

    def put(self, data: bytes, /) -> Digest:
        """Keep a document that the source does not have in this form."""

    def open(self, digest: Digest, /) -> BinaryIO:
        """The bytes of a blob that was taken or put."""

    def keep(self, digests: Container[Digest], /) -> None:
        """Only these are needed."""


def take_images(source: Source, batch: Blobs, reporter: Reporter, verifies_layers: bool = True) -> list[Loaded]:
    """All images of the source, whole and verified, in the batch; what else was in the source is dropped from it.

    Who reads the layers afterwards, and verifies them then, need not have them verified here.
    """
    intake = _Intake(source, batch, reporter, verifies_layers)
    if source.has("index.json"):
        loaded = list(intake.oci_images())
    elif source.has("manifest.json"):
        loaded = list(intake.docker_images())
    else:
        raise InvalidData(f"{source.what} is no image archive: it has neither an index.json nor a manifest.json")
    batch.keep(intake.kept)
    return loaded


class _Intake:
    """The walk from a source's index to the last layer."""

    def __init__(self, source: Source, batch: Blobs, reporter: Reporter, verifies_layers: bool) -> None:
        self.kept: set[Digest] = set()
        self._source = source
        self._batch = batch
        self._reporter = reporter
        self._verifies_layers = verifies_layers
        self._verified: set[tuple[Digest, Digest]] = set()

    # OCI

    def oci_images(self) -> Iterator[Loaded]:
        docker_names = dict(self._docker_names())
        entries = parse_index(parse(self._read("index.json"), f"index.json of {self._source.what}"), "index.json")
        for name in dict.fromkeys(_name_of(entry) for entry in entries):
            for entry in self._for_this_machine([entry for entry in entries if _name_of(entry) == name], name):
                image = self._oci_image(entry)
                if image is not None:
                    names = [_reference(name)] if name else []
                    names += docker_names.get(image.manifest.config.digest, [])
                    yield Loaded(image, tuple(dict.fromkeys(names)))

    def _for_this_machine(self, entries: list[Descriptor], name: str, depth: int = 0) -> list[Descriptor]:
        """Of an image for several platforms, this machine's; an index among the entries is opened."""
        platforms = [entry.platform for entry in entries if entry.platform and entry.platform.os != "unknown"]
        if depth or (len(platforms) == len(entries) > 1 and len(set(platforms)) > 1):
            entries = self._choose(entries, name)
        found = []
        for entry in entries:
            if entry.media_type not in INDEX_TYPES:
                found.append(entry)
                continue
            if depth == _NESTING_LIMIT:
                raise HostileData(f"refusing {self._source.what}: indexes nested more than {_NESTING_LIMIT} deep")
            inner = parse_index(parse(self._document(entry, "index"), "index"), f"index {entry.digest}")
            found += self._for_this_machine(list(inner), name, depth + 1)
        return found

    def _choose(self, entries: list[Descriptor], name: str) -> list[Descriptor]:
        host = Platform.host()
        same = [entry for entry in entries if entry.platform is None or entry.platform[:2] == host[:2]]
        exact = [entry for entry in same if entry.platform == host]
        offered = ", ".join(str(entry.platform) for entry in entries if entry.platform and entry.platform.os != "unknown")
        if not same:
            raise InvalidData(f"{name or 'the image'} of {self._source.what} is for {offered}, this machine is {host}")
        if "," in offered:
            self._reporter.notice(f"took {host} of {name or self._source.what}, which is for {offered}")
        return (exact or same)[:1]

    def _oci_image(self, entry: Descriptor) -> Image | None:
        what = f"manifest {entry.digest}"
        raw_manifest = self._document(entry, "manifest")
        manifest = parse_manifest(parse(raw_manifest, what), what)
        if manifest.artifact_type or manifest.config.media_type not in _IMAGE_CONFIGS:
            self._reporter.notice(f"left out {what} of {self._source.what}: it is no image")
            return None
        image = Image(raw_manifest, self._document(manifest.config, "config"))
        for number, layer in enumerate(image.layers, 1):
            what = f"layer {number} of {image.digest.short}"
            self._blob(layer.descriptor, what)
            self._verify(layer.descriptor.digest, layer.diff_id, what)
        self._take_closure(manifest)
        return image

    def _take_closure(self, manifest: Manifest) -> None:
        digest = closure_digest(manifest)
        if digest and self._source.has(_path(digest)):
            self._kept_blob(digest, self._source.take(_path(digest)), "the closure")

    def _docker_names(self) -> Iterator[tuple[Digest, list[Reference]]]:
        """The names that a manifest.json beside an index.json gives the images, by their configs."""
        for item in self._docker_items() if self._source.has("manifest.json") else ():
            yield self._source.take(_text(item, "Config")).digest, _repo_tags(item)

    # Docker

    def docker_images(self) -> Iterator[Loaded]:
        for item in self._docker_items():
            config_name = _text(item, "Config")
            raw_config = self._read(config_name)
            what = f"config `{config_name}` of {self._source.what}"
            diff_ids = parse_config(parse(raw_config, what), what).diff_ids
            names = _texts(item, "Layers")
            if len(names) != len(diff_ids):
                raise InvalidData(f"{self._source.what} has {len(names)} layers for the {len(diff_ids)} of its {what}")
            layers = tuple(self._docker_layer(name, diff_id) for name, diff_id in zip(names, diff_ids, strict=True))
            config = Descriptor(OCI_CONFIG, self._batch.put(raw_config), len(raw_config))
            raw_manifest = serialise(Manifest(config, layers).as_json())
            self.kept |= {config.digest, self._batch.put(raw_manifest)}
            yield Loaded(Image(raw_manifest, raw_config), tuple(_repo_tags(item)))

    def _docker_items(self) -> list[dict[str, Any]]:
        what = f"manifest.json of {self._source.what}"
        # The list is made the value of an object, so that the one bounded reader of JSON reads it.
        items = parse(b'{"list":%b}' % self._read("manifest.json"), what)["list"]
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise InvalidData(f"{what} is not a list of objects")
        return items

    def _docker_layer(self, name: str, diff_id: Digest) -> Descriptor:
        what = f"layer `{name}` of {self._source.what}"
        blob = self._source.take(name, diff_id)
        self.kept.add(blob.digest)
        compression = self._verify(blob.digest, diff_id, what)
        return Descriptor(OCI_LAYER + ("" if compression == "none" else f"+{compression}"), blob.digest, blob.size)

    # Bytes

    def _read(self, name: str) -> bytes:
        blob = self._source.take(name)
        if blob.size > LIMIT_BYTES:
            raise HostileData(f"refusing {self._source.what}: `{name}` has {blob.size} bytes, the limit is {LIMIT_BYTES}")
        with self._batch.open(blob.digest) as stream:
            return stream.read()

    def _document(self, descriptor: Descriptor, what: str) -> bytes:
        self._blob(descriptor, f"{what} {descriptor.digest}")
        return self._read(_path(descriptor.digest))

    def _blob(self, descriptor: Descriptor, what: str) -> None:
        blob = self._source.take(_path(descriptor.digest), descriptor.digest)
        if blob.size != descriptor.size:
            raise InvalidData(f"{what} is {blob.size} bytes in {self._source.what}, expected {descriptor.size}")
        self._kept_blob(descriptor.digest, blob, what)

    def _kept_blob(self, digest: Digest, blob: Blob, what: str) -> None:
        if blob.digest != digest:
            raise InvalidData(f"{what} has the digest {blob.digest} in {self._source.what}, expected {digest}")
        self.kept.add(digest)

    def _verify(self, digest: Digest, diff_id: Digest, what: str) -> str:
        """Check that a layer holds the tar bytes that its config names; how it is compressed."""
        with self._batch.open(digest) as blob:
            compression = compression_of(blob.read(MAGIC_BYTES), what)
        if compression == "none" and digest != diff_id:
            raise InvalidData(f"{what} holds the tar archive {digest}, its config says {diff_id}")
        if compression != "none" and self._verifies_layers and (digest, diff_id) not in self._verified:
            with self._batch.open(digest) as blob:
                limit = size_limit(os.fstat(blob.fileno()).st_size)
                TarStream(decompressed(blob, what), what, limit).verify(diff_id)
        self._verified.add((digest, diff_id))
        return compression


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _name_of(entry: Descriptor) -> str:
    return entry.annotation(CONTAINERD_NAME) or entry.annotation(REF_NAME)


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except UsageError as error:
        raise InvalidData(f"the archive names an image `{text!r:.100}`, which is no image name") from error


def _repo_tags(item: dict[str, Any]) -> list[Reference]:
    return [_reference(text) for text in _texts(item, "RepoTags") if text != "<none>:<none>"]


def _text(item: dict[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise InvalidData(f"{key} in manifest.json is not a text")
    return str(item[key])


def _texts(item: dict[str, Any], key: str) -> list[str]:
    texts = item.get(key) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidData(f"{key} in manifest.json is not a list of texts")
    return texts
