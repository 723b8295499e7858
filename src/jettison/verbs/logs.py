"""logs: what a detached program printed."""

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from jettison.errors import NotFound
from jettison.image.store import LocalStore
from jettison.sandbox.containers import Found, find
from jettison.sandbox.log import stamp
from jettison.sandbox.told import is_alive

_LOOK_AGAIN_S = 0.05


class Line(NamedTuple):
    """What was printed at once: `stamp` as RFC 3339; `stream` is stdout or stderr; `is_whole` where a line ends with it."""

    stamp: bytes
    stream: bytes
    is_whole: bool
    text: bytes


def logs(
    store: LocalStore, name: str, follow: bool = False, tail: int = -1, since: bytes = b"", until: bytes = b""
) -> Iterator[Line]:
    """The last `tail` lines, -1 for all; `follow` goes on with what comes. `since` and `until` are stamps. Errors: NotFound."""
    found = find(store.path, name)
    if not os.path.exists(f"{found.folder}/log"):
        why = "its log driver is `none`" if "detached" in found.config else "what it prints goes to its caller"
        raise NotFound(f"container `{name}` has no log: {why}", "containers of `jettison run -d` have one")
    reader = _Reader(found)
    past = (line for line in reader.past() if line.stamp >= since)
    yield from (line for line in (_last(past, tail) if tail >= 0 else past) if not until or line.stamp <= until)
    if follow:
        yield from (line for line in reader.future(until) if line.stamp >= since and (not until or line.stamp <= until))


class _Reader:
    """Reads the files of a log, from the oldest; the one that is read stays open, whatever it is renamed to meanwhile."""

    def __init__(self, found: Found) -> None:
        self._folder = found.folder
        self._path = f"{found.folder}/log"
        self._file = self._newer_than(None)

    def past(self) -> Iterator[Line]:
        """What there is."""
        while True:
            yield from self._rest()
            newer = self._newer_than(self._file)
            if newer is None:
                return
            yield from self._move(newer)

    def future(self, until: bytes = b"") -> Iterator[Line]:
        """What comes, until the container has ended, or the time `until` has come."""
        while True:
            # Looked at before the file: what came before the end is read.
            is_over = not is_alive(self._folder) or (until and stamp() > until)
            yield from self.past()
            if is_over:
                return
            time.sleep(_LOOK_AGAIN_S)

    def _move(self, newer: BinaryIO) -> Iterator[Line]:
        """What was still written into the old file; then the newer one is read."""
        yield from self._rest()
        if self._file:
            self._file.close()
        self._file = newer

    def _rest(self) -> Iterator[Line]:
        while self._file and (line := self._file.readline()):
            if not line.endswith(b"\n"):  # it is just being written
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            yield _parse(line)

    def _newer_than(self, file: BinaryIO | None) -> BinaryIO | None:
        """The next file, or else the oldest one; None where `file` is the newest.

        They are looked at from the newest on: what is renamed meanwhile is seen twice, and never missed.
        """
        newer: BinaryIO | None = None
        for path in self._paths():
            try:
                each = open(path, "rb")  # noqa: SIM115
            except FileNotFoundError:
                continue
            if file and os.path.samestat(os.fstat(each.fileno()), os.fstat(file.fileno())):
                each.close()
                return newer
            if newer:
                newer.close()
            newer = each
        return newer

    def _paths(self) -> list[str]:
        """The files, from the newest; one more of each number than there was a moment ago."""
        try:
            numbers = sorted(int(name[4:]) for name in os.listdir(self._folder) if name.startswith("log."))
        except FileNotFoundError:  # the container was removed
            return []
        return [self._path, *(f"{self._path}.{number}" for number in [*numbers, len(numbers) + 1])]


def _parse(line: bytes) -> Line:
    stamp, stream, kind, text = (line.rstrip(b"\n").split(b" ", 3) + [b"", b"", b""])[:4]
    return Line(stamp, stream, kind == b"F", text)


def _last(lines: Iterator[Line], count: int) -> Iterator[Line]:
    """The last lines, with all their parts."""
    kept: deque[list[Line]] = deque(maxlen=count)
    parts: list[Line] = []
    for line in lines:
        parts.append(line)
        if line.is_whole:
            kept.append(parts)
            parts = []
    if parts and count:
        kept.append(parts)
    return (line for each in kept for line in each)
