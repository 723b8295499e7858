"""Where images come from: an archive that is read once, from its beginning to its end, or a folder. Nobody is trusted."""

import os
import stat
from typing import BinaryIO, Protocol

from jettison.errors import HostileData, InvalidData
from jettison.events import Reporter
from jettison.image.batch import Batch, Blob
from jettison.tree.decompress import decompressed
from jettison.tree.node import HostFile
from jettison.tree.untar import read_tar

_ENTRY_LIMIT = 100_000
_LINK_LIMIT = 40
_COPY_BYTES = 1 << 20
_PADDING_LIMIT_BYTES = 16 << 20


class Source(Protocol):
    """The files of an archive or a folder, by their names in it."""

    what: str

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def take(self, name: str) -> Blob:
        """Bring the file's bytes into the batch. Errors: InvalidData where there is no such file."""


class ArchiveSource:
    """A tar archive, all files of which are taken as they come by."""

    def __init__(self, stream: BinaryIO, what: str, batch: Batch, reporter: Reporter) -> None:
        self.what = what
        self._batch = batch
        self._files: dict[str, Blob] = {}
        self._links: dict[str, str] = {}
        done = 0
        plain = decompressed(stream, what)
        for entry in read_tar(plain, what, _ENTRY_LIMIT):
            name = _inside(entry.name, what)
            self._files.pop(name, None)
            self._links.pop(name, None)
            if entry.kind == "file":
                with batch.writer() as writer:
                    for offset, chunk in entry.data:
                        if offset != writer.size:
                            raise HostileData(f"refusing {what}: `{entry.name}` is a sparse file")
                        writer.write(chunk)
                        done += len(chunk)
                        reporter.progress("loading", done, 0)
                self._files[name] = Blob(writer.digest, writer.size)
            elif entry.kind == "symlink":  # docker writes equal layers once
                self._links[name] = _inside(f"{os.path.dirname(name)}/{entry.target}", what)
            elif entry.kind == "hardlink":
                self._links[name] = _inside(entry.target, what)
        # The padding: a pipe's writer is not to be cut off, and a compressor's checksum comes last.
        for _ in range(_PADDING_LIMIT_BYTES // _COPY_BYTES):
            if not plain.read(_COPY_BYTES):
                break

    def has(self, name: str) -> bool:
        return self._target(name) in self._files

    def take(self, name: str) -> Blob:
        blob = self._files.get(self._target(name))
        if blob is None:
            raise InvalidData(f"{self.what} has no file `{name}`")
        return blob

    def _target(self, name: str) -> str:
        for _ in range(_LINK_LIMIT):
            if name not in self._links:
                break
            name = self._links[name]
        return name


class FolderSource:
    """An OCI layout in a folder."""

    def __init__(self, path: str, batch: Batch) -> None:
        self.what = f"`{path}`"
        self._path = path
        self._batch = batch

    def has(self, name: str) -> bool:
        return os.path.isfile(f"{self._path}/{_inside(name, self.what)}")

    def take(self, name: str) -> Blob:
        if not self.has(name):
            raise InvalidData(f"{self.what} has no file `{name}`")
        with HostFile(f"{self._path}/{_inside(name, self.what)}").open() as file, self._batch.writer() as writer:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InvalidData(f"`{name}` of {self.what} is no regular file")
            while chunk := file.read(_COPY_BYTES):
                writer.write(chunk)
        return Blob(writer.digest, writer.size)


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
