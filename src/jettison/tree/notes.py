"""Notes of what was read of this machine's files, so that the next command does not read the same file again."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jettison.tree.node import HostFile, Node

_CLOCK_TICK_NS = 100_000_000  # ten times the coarsest tick of the kernel's file times


class Notes(Protocol):
    """key → a JSON value other than null, which nobody changes."""

    def get(self, key: str) -> object:
        """What was noted; None where nothing was."""

    def put(self, key: str, value: object) -> None:
        """Note a value."""


class NoNotes:
    """Notes that keep nothing."""

    def get(self, key: str) -> object:
        return None

    def put(self, key: str, value: object) -> None:
        pass


def key_of(kind: str, node: Node | None) -> str:
    """The key of what is read of a file: its device, inode, size and times say that it is the same, as for make and git.

    Empty where there is no such key: for what is no file of this machine, or was changed so short ago that a second change
    might not show.
    """
    content = node.content if node else None
    if not isinstance(content, HostFile) or not content.identity or content.identity[4] > time.time_ns() - _CLOCK_TICK_NS:
        return ""
    return " ".join((kind, *map(str, content.identity)))


def noted(notes: Notes, key: str, read: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """What `read` gives, without reading where it was noted; tuples may have become lists. Without a key it is not noted."""
    known = notes.get(key) if key else None
    if isinstance(known, list):
        return known
    found = read()
    if key:
        notes.put(key, found)
    return found
