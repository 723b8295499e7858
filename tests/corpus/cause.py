"""Why does a program do otherwise inside? What it looked for there and did not find, and the machine has."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from corpus.machine import owner

# What every program asks for and does without.
_HARMLESS = (
    "/etc/ld.so.",
    "/usr/share/locale/",
    "/usr/lib/locale/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/tmp/",
    "/run/",
    "/usr/share/zoneinfo/UTC",
)
_ABSENT = re.compile(r'^(?:\d+ +)?\w+\((?:AT_FDCWD, |\d+(?:<[^>]*>)?, )?"(/(?:[^"\\]|\\.)*)".* = -1 ENOENT', re.MULTILINE)
_SHOWN = 8


def missing(notes: Path) -> list[str]:
    """Paths in the notes of strace that were not there and are here, with their packages; first asked for first."""
    asked = dict.fromkeys(path for file in sorted(notes.iterdir()) for path in _absent(file))
    paths = [path for path in asked if not path.startswith(_HARMLESS) and os.path.lexists(path)]
    paths.sort(key=lambda path: "/gconv" in path or "__pycache__" in path)  # every program of its kind asks for them
    return [f"{path}{f' ({name})' if name else ''}" for path, name in zip(paths, map(owner, paths), strict=True)][:_SHOWN]


def _absent(notes: Path) -> Iterator[str]:
    yield from (os.path.normpath(path) for path in _ABSENT.findall(notes.read_text(errors="replace")))
