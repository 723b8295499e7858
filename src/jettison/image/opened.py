"""An image that is only read: one of the store, or one in an archive or a folder of another tool, which stays where it is."""

import hashlib
import io
import os
from collections.abc import Container
from typing import BinaryIO, NamedTuple

from jettison.errors import JettisonError, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.batch import Blob
from jettison.image.image import Image
from jettison.image.inplace import Held, Slice, plain, whole
from jettison.image.intake import take_images
from jettison.image.source import ArchiveSource, FolderSource, Source
from jettison.image.store import LocalStore
from jettison.image.tree import LayeredTree, image_tree, layered_tree, spool
from jettison.oci.digest import Digest
from jettison.tree.node import HostFile
from jettison.tree.untar import Entry

_HASHED_BYTES = 256 << 10


class Opened(NamedTuple):
    """An image and its filesystem."""

    image: Image
    tree: LayeredTree


def open_image(target: str, store: LocalStore, reporter: Reporter = SILENT) -> Opened:
    """The image that `target` means: a name in the store, else the path of an archive or an OCI folder.

    The store is not changed. Errors: NotFound, UsageError where the archive has several images, InvalidData, HostileData.
    """
    digest = _named(target, store)
    if digest is not None:
        image = store.image(digest)
        return Opened(image, image_tree(store, image, reporter))
    with store.writing():
        spooled = spool(store)
        places = _Places()
        loaded = take_images(_source(target, places, spooled, reporter), places, reporter, verifies_layers=False)
        if len(loaded) != 1:
            names = ", ".join(f"`{reference.familiar}`" for item in loaded for reference in item.references)
            raise UsageError(f"`{target}` has {len(loaded)} images: {names}", "load it, and name one of them")
        return Opened(loaded[0].image, layered_tree(loaded[0].image, places.slice, spooled, reporter, is_hashed=True))


def is_path(target: str, store: LocalStore) -> bool:
    """Whether `target` is the path of an archive or a folder rather than a name of the store. Errors: NotFound."""
    return _named(target, store) is None


def is_oci_folder(path: str) -> bool:
    """Whether a folder is an image's rather than a root."""
    return os.path.isfile(f"{path}/index.json") and os.path.isdir(f"{path}/blobs")


def _named(target: str, store: LocalStore) -> Digest | None:
    """The manifest that a name means; None for a path. A word that could be both is a name."""
    if target.startswith(("/", "./", "../")):
        return None
    try:
        return store.resolve(target)[1]
    except JettisonError:
        if os.path.lexists(target):
            return None
        raise


class _Places:
    """The Blobs of an archive or a folder, where they lie."""

    def __init__(self) -> None:
        self._slices: dict[Digest, Slice] = {}
        self._made: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        self._made[digest] = data
        return digest

    def open(self, digest: Digest) -> BinaryIO:
        return io.BytesIO(self._made[digest]) if digest in self._made else self._slices[digest].open()

    def keep(self, digests: Container[Digest]) -> None:
        pass

    def slice(self, digest: Digest) -> Slice:
        """Where a blob lies."""
        return self._slices[digest]

    def note(self, content: Slice) -> Blob:
        """Remember where a blob lies."""
        digest = Digest("sha256", _hashed(content))
        self._slices[digest] = content
        return Blob(digest, content.size)


def _hashed(content: Slice) -> str:
    """The SHA-256 of a blob's bytes, read into one small buffer: that is twice as fast as a new one for each piece."""
    found = hashlib.sha256()
    with content.open() as stream, memoryview(bytearray(_HASHED_BYTES)) as buffer:
        while count := stream.readinto(buffer):
            found.update(buffer[:count])
    return found.hexdigest()


def _source(path: str, places: _Places, spooled: Held, reporter: Reporter) -> Source:
    if os.path.isdir(path):
        return FolderSource(path, lambda file: places.note(whole(file)))
    what = f"`{path}`"
    try:
        with HostFile(os.path.realpath(path)).open() as file:
            tar = plain(whole(file), spooled, what, reporter)
    except FileNotFoundError as error:
        raise NotFound(f"no archive at `{path}`") from error

    def keep(entry: Entry) -> Blob:
        content = Slice(tar.file, ((0, tar.here, entry.size),), entry.size)
        entry.data.skip()
        return places.note(content)

    return ArchiveSource(tar, what, keep)
