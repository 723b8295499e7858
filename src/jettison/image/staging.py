"""Layers unpacked side by side, each by a process of its own, into folders that nobody sees before they are published.

A layer is unpacked without a look at those below it, until one of its names can only be understood by what they have: it waits
for them then. So it comes out as if they had been unpacked one after the other.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO, NamedTuple

from jettison import errors
from jettison.errors import JettisonError
from jettison.events import Reporter
from jettison.image.beside import Child
from jettison.image.changes import Changes
from jettison.image.durable import remove_tree, sync_filesystem, sync_folder
from jettison.image.image import Layer
from jettison.image.merged import MergedLayers
from jettison.image.store import LocalStore
from jettison.image.unpack import Unpacker
from jettison.image.verified import layer_entries
from jettison.tree.node import Node
from jettison.tree.untar import read_tar

_PROCESS_LIMIT = 4  # each takes about thirty megabytes
_WHOLE = ".whole"


class _Work(NamedTuple):
    """A layer on its way: where it may end up, and who unpacks it into which folder."""

    finals: Sequence[str]
    folder: str
    child: Child


class Staging:
    """The layers of one image, added from the lowest to the topmost. Only while the store is `writing`."""

    def __init__(self, store: LocalStore, reporter: Reporter) -> None:
        self._store = store
        self._reporter = reporter
        self._running: list[_Work] = []
        self._folders: list[str] = []  # of all layers: where each is now
        self._staged: dict[str, str] = {}  # where it is to be → where it is now
        # One more than processors, as one of them may be waiting for those below it.
        self._processes = min(len(os.sched_getaffinity(0)) + 1, _PROCESS_LIMIT)

    def add(self, layer: Layer, finals: Sequence[str], what: str) -> None:
        """A layer that is to be found at the first of `finals`; at the second, where it depends on those below it.

        Errors, also of layers that were added before: InvalidData, HostileData, HostError.
        """
        if any(finals[0] == work.finals[0] for work in self._running):  # only at its end it is known whether it is the same
            self._wait(0)
        folder = next((self._staged[path] for path in finals if path in self._staged), "") or unpacked(finals)
        if not folder:
            self._wait(self._processes - 1)
            staging = self._store.temporary()
            folder = staging + _WHOLE
            below = _Below(self._folders, [work.child for work in self._running])
            child = Child(partial(_told, self._store, layer, staging, below, what))
            self._running.append(_Work(finals, folder, child))
        self._folders.append(folder)

    def publish(self) -> list[str]:
        """Wait, sync, then rename; where the layers are. Another process may be faster: its result is the same."""
        self._wait(0)
        if self._staged:
            sync_filesystem(f"{self._store.path}/tmp")
            for final, folder in self._staged.items():
                try:
                    os.rename(folder, final)
                except OSError:
                    if not os.path.isdir(final):
                        raise
            sync_folder(f"{self._store.path}/layers")
        finals = {folder: final for final, folder in self._staged.items()}
        return [finals.get(folder, folder) for folder in self._folders]

    def close(self) -> None:
        """End what still runs, and remove what was not published."""
        for work in self._running:
            work.child.end()
        for folder in [*self._staged.values(), *(work.folder for work in self._running)]:
            for path in (folder, folder.removesuffix(_WHOLE)):
                with suppress(FileNotFoundError):
                    remove_tree(path)

    def _wait(self, most: int) -> None:
        """Until at most so many layers are being unpacked. The lowest first, so that its error is the one that is told."""
        while len(self._running) > most:
            work = self._running[0]
            told = json.loads(work.child.wait())
            name, message, hint = told["error"]
            if name:
                raise getattr(errors, name)(message, hint)
            for text, hint in told["notices"]:
                self._reporter.notice(text, hint)
            self._reporter.step("unpacked", told["what"])
            self._staged[work.finals[told["depends"]]] = work.folder
            del self._running[0]


def unpacked(paths: Sequence[str]) -> str:
    """Where a layer is unpacked; empty where it is not."""
    return next((path for path in paths if os.path.isdir(path)), "")


class _NotWholeError(Exception):
    """A layer below was not unpacked: either its error is told, or it is done again, and then this one is too."""


class _Below:
    """The layers below one: a Root that waits for them when it is first asked."""

    def __init__(self, folders: Sequence[str], children: Sequence[Child]) -> None:
        self._folders = list(folders)
        self._children = list(children)
        self._merged: MergedLayers | None = None

    def lstat(self, path: str) -> Node | None:
        return self._root().lstat(path)

    def listdir(self, path: str) -> list[str]:
        return self._root().listdir(path)

    def open(self, path: str) -> BinaryIO:
        return self._root().open(path)

    def _root(self) -> MergedLayers:
        if self._merged is None:
            for child in self._children:
                child.settle()
            if not all(map(os.path.isdir, self._folders)):
                raise _NotWholeError
            self._merged = MergedLayers(self._folders)
        return self._merged


class _Notices:
    """A Reporter in a process without a terminal: what it hears is told by another."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, str]] = []

    def step(self, verb: str, subject: str, detail: str = "") -> None:
        pass

    def notice(self, text: str, hint: str = "") -> None:
        self.notices.append((text, hint))

    def progress(self, what: str, done: int, total: int) -> None:
        pass


def _told(store: LocalStore, layer: Layer, staging: str, below: _Below, what: str) -> str:
    """Unpack a layer; what came of it, as a text that a process can send."""
    notices = _Notices()
    depends, error = False, ("", "", "")
    try:
        depends = _unpack_layer(store, layer, staging, below, notices, what)
    except JettisonError as refused:
        error = (type(refused).__name__, refused.message, refused.hint)
    return json.dumps({"what": what, "depends": depends, "notices": notices.notices, "error": error})


def _unpack_layer(store: LocalStore, layer: Layer, staging: str, below: _Below, reporter: Reporter, what: str) -> bool:
    """Unpack into a new folder, verify, and give it the name of what is whole; whether it depends on the layers below."""
    changes = Changes(below, what)
    with _private_umask():
        with suppress(FileNotFoundError):
            remove_tree(staging)  # of a process that was killed
        os.mkdir(staging, 0o700)
        unpacker = Unpacker(staging, below, reporter, what)
        try:
            with layer_entries(store, layer, what) as tar:
                for change in changes.of(read_tar(tar, what)):
                    unpacker.apply(change)
                tar.verify(layer.diff_id)
            unpacker.finish(changes.root)
        finally:
            unpacker.close()
    os.rename(staging, staging + _WHOLE)
    return changes.depends_on_lower


@contextmanager
def _private_umask() -> Iterator[None]:
    old = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(old)
