"""Images → a file, a stream or a folder that other tools read."""

import os
import stat
from collections.abc import Sequence
from typing import BinaryIO

from jettison.errors import NotFound, UsageError
from jettison.image.archive import Format, Named, write_archive, write_folder
from jettison.image.store import LocalStore


def save(store: LocalStore, names: Sequence[str], output: str | BinaryIO, format: Format = "both") -> list[Named]:
    """Write the images to `output`, a path or a stream. A file or folder appears whole or not at all.

    `both` is one tar that is an OCI archive and a docker archive. Errors: NotFound, UsageError, OSError.
    """
    images = _named(store, names)
    if not isinstance(output, str):
        if format == "oci-dir":
            raise UsageError("an OCI folder cannot go to a stream", "give a folder: `-o DIR`")
        write_archive(output, store, images, format)
    elif format == "oci-dir":
        write_folder(output, store, images)
    elif _is_special(output):
        with open(output, "wb") as stream:
            write_archive(stream, store, images, format)
    else:
        _write_file(output, store, images, format)
    return images


def _named(store: LocalStore, names: Sequence[str]) -> list[Named]:
    """The images, each once, with those of its names that were given."""
    found: dict[str, Named] = {}
    for name in names:
        reference, digest = store.resolve(name)
        known = found.get(str(digest)) or Named(store.image(digest), ())
        references = (reference,) if reference and reference.tag else ()
        found[str(digest)] = known._replace(references=tuple(dict.fromkeys(known.references + references)))
    return list(found.values())


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device, which cannot be replaced by a file."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _write_file(path: str, store: LocalStore, images: list[Named], format: Format) -> None:
    path = os.path.realpath(path)
    if not os.path.isdir(os.path.dirname(path)):
        raise NotFound(f"no folder `{os.path.dirname(path)}` for the archive")
    temporary = f"{path}.{os.urandom(4).hex()}"
    try:
        with open(temporary, "xb") as stream:
            write_archive(stream, store, images, format)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
