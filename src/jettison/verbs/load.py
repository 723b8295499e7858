"""Images from archives and folders of other tools."""

import os
from typing import BinaryIO

from jettison.errors import NotFound
from jettison.events import SILENT, Reporter
from jettison.image.batch import Batch
from jettison.image.intake import Loaded, take_images
from jettison.image.source import ArchiveSource, FolderSource, copied_into, into
from jettison.image.store import LocalStore
from jettison.tree.decompress import decompressed


def load(store: LocalStore, source: str | BinaryIO, reporter: Reporter = SILENT) -> list[Loaded]:
    """Bring in all images of an archive (a path or a stream) or of an OCI folder, under their names.

    Everything is verified first: the images appear whole or not at all. Errors: NotFound, InvalidData, HostileData.
    """
    with store.writing():
        loaded = take(store, source, reporter)
        for item in loaded:
            _name(store, item, reporter)
    return loaded


def take(store: LocalStore, source: str | BinaryIO, reporter: Reporter = SILENT) -> list[Loaded]:
    """Bring in images as `load` does, and name none of them: the next clean-up removes them."""
    with store.batch() as batch:
        return _take(source, batch, reporter)


def _take(source: str | BinaryIO, batch: Batch, reporter: Reporter) -> list[Loaded]:
    if not isinstance(source, str):
        return _take_archive(source, "the archive", batch, reporter)
    if os.path.isdir(source):
        return take_images(FolderSource(source, copied_into(batch)), batch, reporter)
    try:
        stream = open(source, "rb")  # noqa: SIM115
    except FileNotFoundError as error:
        raise NotFound(f"no archive at `{source}`") from error
    with stream:
        return _take_archive(stream, f"`{source}`", batch, reporter)


def _take_archive(stream: BinaryIO, what: str, batch: Batch, reporter: Reporter) -> list[Loaded]:
    archive = ArchiveSource(decompressed(stream, what), what, into(batch, reporter))
    return take_images(archive, batch, reporter)


def _name(store: LocalStore, loaded: Loaded, reporter: Reporter) -> None:
    known = dict(store.tags())
    for reference in loaded.references:
        old = known.get(reference)
        if old is not None and old != loaded.image.digest:
            reporter.notice(f"`{reference.familiar}` meant {old.short} before, now it means {loaded.image.digest.short}")
        store.tag(reference, loaded.image.digest)
