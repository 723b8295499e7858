"""An image that is only read: one of the store, or one in an archive or a folder of another tool, which stays where it is."""

import hashlib
import io
import os
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import BinaryIO, NamedTuple

from jettison.errors import InvalidData, JettisonError, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.batch import Blob
from jettison.image.beside import Child
from jettison.image.image import Image
from jettison.image.inplace import Held, Slice, plain, whole
from jettison.image.intake import take_images
from jettison.image.source import ArchiveSource, FolderSource, Source, Take
from jettison.image.store import LocalStore
from jettison.image.tree import LayeredTree, image_tree, layered_tree, spool
from jettison.oci.digest import Digest
from jettison.tree.decompress import MAGIC_BYTES, compression_of
from jettison.tree.node import HostFile
from jettison.tree.untar import Entry

_HASHED_BYTES = 256 << 10
_WORTH_A_PROCESS_BYTES = 8 << 20


class Opened(NamedTuple):
    """An image and its filesystem."""

    image: Image
    tree: LayeredTree


@contextmanager
def open_image(target: str, store: LocalStore, reporter: Reporter = SILENT) -> Iterator[Opened]:
    """The image that `target` means: a name in the store, else the path of an archive or an OCI folder.

    An archive's bytes are compared with their digests beside the work: what comes of them counts when the context has ended
    without an error. The store is not changed. Errors, also at the end: NotFound, UsageError where the archive has several
    images, InvalidData, HostileData.
    """
    digest = _named(target, store)
    if digest is not None:
        image = store.image(digest)
        yield Opened(image, image_tree(store, image, reporter))
        return
    with store.writing(), closing(_Places(f"`{target}`")) as places:
        spooled = spool(store)
        loaded = take_images(_source(target, places, spooled, reporter), places, reporter, verifies_layers=False)
        if len(loaded) != 1:
            names = ", ".join(f"`{reference.familiar}`" for item in loaded for reference in item.references)
            raise UsageError(f"`{target}` has {len(loaded)} images: {names}", "load it, and name one of them")
        yield Opened(loaded[0].image, layered_tree(loaded[0].image, places.slice, spooled, reporter, is_hashed=True))
        places.verify()


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

    def __init__(self, what: str) -> None:
        self._what = what
        self._slices: dict[Digest, Slice] = {}
        self._made: dict[Digest, bytes] = {}
        self._hashes: dict[Digest, Child] = {}

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

    def note(self, content: Slice, expected: Digest | None) -> Blob:
        """Remember where a blob lies. A large one without compression is taken for what is expected, until `verify`."""
        is_large = content.size >= _WORTH_A_PROCESS_BYTES
        if expected is not None and expected.algorithm == "sha256" and is_large and self._is_plain(content):
            digest = expected
            if digest not in self._slices:
                self._hashes[digest] = Child(partial(_hashed, content))
        else:
            digest = Digest("sha256", _hashed(content))
        known = self._slices.setdefault(digest, content)
        return Blob(digest, known.size)

    def verify(self) -> None:
        """Errors: InvalidData where a blob is not what was expected."""
        for expected, child in self._hashes.items():
            found = child.wait()
            if found != expected.hex:
                raise InvalidData(f"a layer of {self._what} holds the tar archive sha256:{found}, expected {expected}")

    def close(self) -> None:
        """Nobody asks any more."""
        for child in self._hashes.values():
            child.end()

    def _is_plain(self, content: Slice) -> bool:
        with content.open() as stream:
            return compression_of(stream.read(MAGIC_BYTES), self._what) == "none"


def _hashed(content: Slice) -> str:
    """The SHA-256 of a blob's bytes, read into one small buffer: that is twice as fast as a new one for each piece."""
    found = hashlib.sha256()
    with content.open() as stream, memoryview(bytearray(_HASHED_BYTES)) as buffer:
        while count := stream.readinto(buffer):
            found.update(buffer[:count])
    return found.hexdigest()


def _source(path: str, places: _Places, spooled: Held, reporter: Reporter) -> Source:
    if os.path.isdir(path):
        return FolderSource(path, lambda file, expected: places.note(whole(file), expected))
    what = f"`{path}`"
    try:
        with HostFile(os.path.realpath(path)).open() as file:
            tar = plain(whole(file), spooled, what, reporter)
    except FileNotFoundError as error:
        raise NotFound(f"no archive at `{path}`") from error

    def keep(entry: Entry) -> Take:
        content = Slice(tar.file, ((0, tar.here, entry.size),), entry.size)
        entry.data.skip()
        return partial(places.note, content)

    return ArchiveSource(tar, what, keep)
