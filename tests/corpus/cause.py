"""Why does a program do otherwise inside? What it looked for there and did not find, and the machine has."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

# What every program asks for and does without.
_HARMLESS = ("/etc/ld.so.", "/usr/share/locale/", "/usr/lib/locale/", "/proc/", "/sys/", "/dev/", "/tmp/", "/run/")
_ABSENT = re.compile(r'^(?:\d+ +)?\w+\((?:AT_FDCWD, |\d+(?:<[^>]*>)?, )?"(/(?:[^"\\]|\\.)*)".* = -1 ENOENT', re.MULTILINE)
_SHOWN = 8


def missing(notes: Path) -> list[str]:
    """Paths in the notes of strace that were not there and are here, with their packages; first asked for first."""
    asked = dict.fromkeys(path for file in sorted(notes.iterdir()) for path in _absent(file))
    paths = [path for path in asked if not path.startswith(_HARMLESS) and os.path.lexists(path)]
    return [f"{path}{f' ({owner})' if owner else ''}" for path, owner in zip(paths, owners(paths), strict=True)][:_SHOWN]


def _absent(notes: Path) -> Iterator[str]:
    yield from (os.path.normpath(path) for path in _ABSENT.findall(notes.read_text(errors="replace")))


def owners(paths: Sequence[str]) -> list[str]:
    """The packages that own these paths, where dpkg knows any."""
    return [_owner(path) for path in paths]


def _owner(path: str) -> str:
    merged = path.removeprefix("/usr") if path.startswith(("/usr/bin/", "/usr/sbin/", "/usr/lib")) else path
    for name in dict.fromkeys((os.path.realpath(path), path, merged, os.path.realpath(path).removeprefix("/usr"))):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.partition(": ")[0].partition(":")[0]
    return ""
