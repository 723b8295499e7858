"""logs: what a detached program printed."""

import os
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from jettison.errors import NotFound
from jettison.image.store import LocalStore
from jettison.sandbox.containers import Found, find
from jettison.sandbox.state import is_alive

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
        for line in reader.future():
            if until and line.stamp > until:
                return
            if line.stamp >= since:
                yield line


class _Reader:
    """Reads the files of a log, from the oldest; the last one stays open while the program prints."""

    def __init__(self, found: Found) -> None:
        self._folder = found.folder
        self._path = f"{found.folder}/log"
        self._last = open(self._path, "rb")  # noqa: SIM115  # before the older ones: what is renamed meanwhile is not lost

    def past(self) -> Iterator[Line]:
        for path in self._older():
            with open(path, "rb") as stream:
                if not os.path.samestat(os.fstat(stream.fileno()), os.fstat(self._last.fileno())):
                    yield from map(_parse, stream)
        yield from self._rest()

    def future(self) -> Iterator[Line]:
        while True:
            lives = is_alive(self._folder)  # looked at before the file: what came before the end is read
            yield from self._rest()
            if self._is_renamed():
                yield from self._rest()
                self._last.close()
                self._last = open(self._path, "rb")  # noqa: SIM115
            elif not lives:
                return
            else:
                time.sleep(_LOOK_AGAIN_S)

    def _rest(self) -> Iterator[Line]:
        while line := self._last.readline():
            if not line.endswith(b"\n"):  # it is just being written
                self._last.seek(-len(line), os.SEEK_CUR)
                return
            yield _parse(line)

    def _older(self) -> list[str]:
        numbers = sorted(int(name[4:]) for name in os.listdir(self._folder) if name.startswith("log."))
        return [f"{self._path}.{number}" for number in reversed(numbers)]

    def _is_renamed(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._last.fileno()))
        except FileNotFoundError:  # the container was removed
            return False


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
