"""An image's layers, unpacked once and kept; and its run record, worked out once.

A layer appears as layers/<diff id> when its bytes are verified, its files written and the disk has them: never before. The
rare layer whose meaning depends on what is below it (a hard link into a lower layer, files below somebody else's symbolic
link) is kept by its chain id instead, so that no image can lend another one its files.
"""

from contextlib import closing

from jettison.events import SILENT, Reporter
from jettison.image.image import Image
from jettison.image.record import run_record
from jettison.image.staging import Staging, unpacked
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest


def prepare(store: LocalStore, digest: Digest, reporter: Reporter = SILENT) -> bytes:
    """Make the image with this manifest ready to run; its run record. Idempotent, and safe beside others who do the same.

    Errors: NotFound, InvalidData, HostileData, HostError.
    """
    image = store.image(digest)
    with store.writing():
        record = run_record(image, unpack(store, image, reporter))
        if _read(store.run_path(digest)) != record:  # a running container holds a lock on the file that is there
            store.replace(store.run_path(digest), record)
    return record


def unpack(store: LocalStore, image: Image, reporter: Reporter = SILENT) -> list[str]:
    """The folders of the image's unpacked layers, the lowest first; those that are missing are unpacked now."""
    names = layer_names(image)
    found = [unpacked([store.layer_path(name) for name in pair]) for pair in names]
    folders = [folder for folder in found if folder]
    if len(folders) == len(names):
        return folders
    with store.writing():
        return _unpack_missing(store, image, names, reporter)


def _unpack_missing(store: LocalStore, image: Image, names: list[tuple[Digest, Digest]], reporter: Reporter) -> list[str]:
    """All are written before the disk is waited for, once, and appear then."""
    with closing(Staging(store, reporter)) as staging:
        for number, (layer, pair) in enumerate(zip(image.layers, names, strict=True), 1):
            staging.add(layer, [store.layer_path(name) for name in pair], f"layer {number} of {image.digest.short}")
        return staging.publish()


def layer_names(image: Image) -> list[tuple[Digest, Digest]]:
    """By what each layer may be kept: its diff id, or its chain id, which also says what is below it."""
    names: list[tuple[Digest, Digest]] = []
    for layer in image.layers:
        chain = Digest.of(f"{names[-1][1]} {layer.diff_id}".encode()) if names else layer.diff_id
        names.append((layer.diff_id, chain))
    return names


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""
