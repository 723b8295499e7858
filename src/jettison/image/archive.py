"""Images → an archive or a folder that other tools read. The same images give the same bytes.

One tar is an OCI archive and a docker archive at once: both kinds of index name the same blobs. Docker 20.10 cannot read a
layer that is compressed with zstd, so such a layer goes in a second time, as the plain tar archive that its diff id names.
"""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, NamedTuple

from jettison.errors import UsageError
from jettison.image.durable import remove_tree, sync_file
from jettison.image.image import Image, Layer
from jettison.image.layout import closure_digest, index_bytes, name_annotations
from jettison.image.store import LocalStore
from jettison.image.verified import layer_entries
from jettison.oci.digest import Digest
from jettison.oci.documents import serialise
from jettison.oci.manifest import LAYER_COMPRESSIONS
from jettison.oci.reference import Reference
from jettison.tree.decompress import decompressed
from jettison.tree.node import MADE_S, Content, HostFile, Node, made_dir, made_file
from jettison.tree.root import open_content
from jettison.tree.tar import stream as tar_stream

Format = Literal["both", "oci-archive", "docker-archive", "oci-dir"]
FORMATS: tuple[Format, ...] = ("both", "oci-archive", "docker-archive", "oci-dir")

_COPY_BYTES = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Named(NamedTuple):
    """An image, and the names it is to have where it goes."""

    image: Image
    references: tuple[Reference, ...]


def write_archive(stream: BinaryIO, store: LocalStore, images: Iterable[Named], format: Format = "both") -> None:
    """Write one tar archive. Errors: NotFound for a missing blob, OSError."""
    nodes = [(path, node._replace(mtime=MADE_S)) for path, node in _files(store, list(images), format).items()]
    for data in tar_stream(nodes):
        stream.write(data)


def write_folder(folder: str, store: LocalStore, images: Iterable[Named]) -> None:
    """Write an OCI layout: the folder appears whole. Errors: UsageError where something is there, NotFound, OSError."""
    if os.path.lexists(folder) and not (os.path.isdir(folder) and not os.listdir(folder)):
        raise UsageError(f"`{folder}` is there already", "name a new folder")
    staging = f"{folder.rstrip('/')}.{os.urandom(4).hex()}"
    os.mkdir(staging)
    try:
        for path, node in sorted(_files(store, list(images), "oci-dir").items()):
            if node.kind == "dir":
                os.mkdir(staging + path)
                continue
            with open_content(path, node) as file, open(staging + path, "xb") as stream:
                _copy(file, stream)
            sync_file(staging + path)
        os.rename(staging, folder)
    except BaseException:
        remove_tree(staging)
        raise


def _files(store: LocalStore, images: list[Named], format: Format) -> dict[str, Node]:
    """Everything in the archive, by its path."""
    files = {"/blobs": made_dir(), "/blobs/sha256": made_dir()}
    for named in images:
        files |= {_path(digest): _blob(store, digest) for digest in _digests(store, named.image, format)}
    if format != "docker-archive":
        files["/oci-layout"] = made_file(_LAYOUT)
        files["/index.json"] = made_file(_oci_index(images, format))
    if format in ("both", "docker-archive"):
        for layer, what in _for_docker(images):
            files[_path(layer.diff_id)] = _plain(store, layer, what)
        files["/manifest.json"] = made_file(_docker_index(images))
    return files


def _digests(store: LocalStore, image: Image, format: Format) -> Iterator[Digest]:
    yield image.manifest.config.digest
    for layer in image.layers:
        if format != "docker-archive" or not _is_zstd(layer):
            yield layer.descriptor.digest
    if format != "docker-archive":
        yield image.digest
        closure = closure_digest(image.manifest)
        if closure and store.has(closure):
            yield closure


def _oci_index(images: list[Named], format: Format) -> bytes:
    """An entry an image: podman and skopeo refuse an archive with two when they are not told which to take.

    Further names of an image stand in manifest.json; where there is none, each has an entry.
    """
    described = []
    for image, references in images:
        named = [image.descriptor._replace(annotations=name_annotations(reference)) for reference in references]
        described += (named[:1] if format == "both" else named) or [image.descriptor]
    return index_bytes(described)


def _docker_index(images: list[Named]) -> bytes:
    """manifest.json as `docker save` writes it."""
    return serialise(
        [
            {
                "Config": _path(image.manifest.config.digest)[1:],
                "RepoTags": [reference.familiar for reference in references] or None,
                "Layers": [_path(layer.diff_id if _is_zstd(layer) else layer.descriptor.digest)[1:] for layer in image.layers],
            }
            for image, references in images
        ]
    )


def _for_docker(images: list[Named]) -> Iterator[tuple[Layer, str]]:
    for image, _ in images:
        for number, layer in enumerate(image.layers, 1):
            if _is_zstd(layer):
                yield layer, f"layer {number} of {image.digest.short}"


def _is_zstd(layer: Layer) -> bool:
    return LAYER_COMPRESSIONS.get(layer.descriptor.media_type) == "zstd"


def _path(digest: Digest) -> str:
    return f"/blobs/{digest.algorithm}/{digest.hex}"


def _blob(store: LocalStore, digest: Digest) -> Node:
    return Node("file", 0o644, size=store.size(digest), content=HostFile(store.blob_path(digest)))


def _plain(store: LocalStore, layer: Layer, what: str) -> Node:
    """The tar bytes of a compressed layer. They are read twice: their length stands before them."""
    size = 0
    with layer_entries(store, layer, what) as tar:
        while data := tar.read(_COPY_BYTES):
            size += len(data)
        tar.verify(layer.diff_id)
    return Node("file", 0o644, size=size, content=_Decompressed(HostFile(store.blob_path(layer.descriptor.digest)), what))


class _Decompressed(NamedTuple):
    """What a compressed file holds."""

    file: Content
    what: str

    def open(self) -> BinaryIO:
        return decompressed(self.file.open(), self.what)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while data := source.read(_COPY_BYTES):
        target.write(data)
