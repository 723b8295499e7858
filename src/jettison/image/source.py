"""Where images come from: an archive that is read once, from its beginning to its end, or a folder. Nobody is trusted."""

import os
import stat
from collections.abc import Callable
from typing import BinaryIO, Protocol

from jettison.errors import HostileData, InvalidData
from jettison.events import Reporter
from jettison.image.batch import Batch, Blob
from jettison.oci.digest import Digest
from jettison.tree.node import HostFile
from jettison.tree.untar import Entry, read_tar
from jettison.tree.untar import Source as Stream

_ENTRY_LIMIT = 100_000
_LINK_LIMIT = 40
_COPY_BYTES = 1 << 20
_PADDING_LIMIT_BYTES = 16 << 20


Take = Callable[[Digest | None], Blob]  # the digest that is expected → the blob


class Source(Protocol):
    """The files of an archive or a folder, by their names in it."""

    what: str

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def take(self, name: str, expected: Digest | None = None) -> Blob:
        """Bring the file's bytes into the batch; to know what digest is `expected` of them may save time.

        Errors: InvalidData where there is no such file.
        """


class ArchiveSource:
    """A tar archive, all files of which are taken as they come by, each by `keep`."""

    def __init__(self, tar: Stream, what: str, keep: Callable[[Entry], Take]) -> None:
        self.what = what
        self._files: dict[str, Take] = {}
        self._links: dict[str, str] = {}
        for entry in read_tar(tar, what, _ENTRY_LIMIT):
            name = _inside(entry.name, what)
            self._files.pop(name, None)
            self._links.pop(name, None)
            if entry.kind == "file":
                if sum(length for _, length in entry.data.extents) != entry.size:
                    raise HostileData(f"refusing {what}: `{entry.name}` is a sparse file")
                self._files[name] = keep(entry)
            elif entry.kind == "symlink":  # docker writes equal layers once
                self._links[name] = _inside(f"{os.path.dirname(name)}/{entry.target}", what)
            elif entry.kind == "hardlink":
                self._links[name] = _inside(entry.target, what)
        # The padding: a pipe's writer is not to be cut off, and a compressor's checksum comes last.
        for _ in range(_PADDING_LIMIT_BYTES // _COPY_BYTES):
            if not tar.read(_COPY_BYTES):
                break

    def has(self, name: str) -> bool:
        return self._target(name) in self._files

    def take(self, name: str, expected: Digest | None = None) -> Blob:
        take = self._files.get(self._target(name))
        if take is None:
            raise InvalidData(f"{self.what} has no file `{name}`")
        return take(expected)

    def _target(self, name: str) -> str:
        for _ in range(_LINK_LIMIT):
            if name not in self._links:
                break
            name = self._links[name]
        return name


def into(batch: Batch, reporter: Reporter) -> Callable[[Entry], Take]:
    """Files of an archive are written into the batch."""
    done = 0

    def keep(entry: Entry) -> Take:
        nonlocal done
        with batch.writer() as writer:
            for _, chunk in entry.data:
                writer.write(chunk)
                done += len(chunk)
                reporter.progress("loading", done, 0)
        blob = Blob(writer.digest, writer.size)
        return lambda _: blob

    return keep


class FolderSource:
    """An OCI layout in a folder; a file is taken by `keep`, which may close it."""

    def __init__(self, path: str, keep: Callable[[BinaryIO, Digest | None], Blob]) -> None:
        self.what = f"`{path}`"
        self._path = path
        self._keep = keep

    def has(self, name: str) -> bool:
        return os.path.isfile(f"{self._path}/{_inside(name, self.what)}")

    def take(self, name: str, expected: Digest | None = None) -> Blob:
        if not self.has(name):
            raise InvalidData(f"{self.what} has no file `{name}`")
        with HostFile(f"{self._path}/{_inside(name, self.what)}").open() as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidData(f"`{name}` of {self.what} is no regular file")
            return self._keep(file, expected)


def copied_into(batch: Batch) -> Callable[[BinaryIO, Digest | None], Blob]:
    """Files of a folder are copied into the batch."""

    def keep(file: BinaryIO, _: Digest | None) -> Blob:
        with batch.writer() as writer:
            while chunk := file.read(_COPY_BYTES):
                writer.write(chunk)
        return Blob(writer.digest, writer.size)

    return keep


def _inside(name: str, what: str) -> str:
    """A name in the archive without `.`, `..` and a leading slash."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise HostileData(f"refusing {what}: `{name}` leads out of the archive")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
