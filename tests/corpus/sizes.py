"""What the usual way takes: debootstrap's smallest tree, plus all that `apt-get install PACKAGE` brings to it.

The installation is simulated by apt itself on the tree's package database; what a package takes is the bytes of its files where
this machine has it installed in that version, else what it says of itself (Installed-Size), which is a little more. apt's lists
and archives, which a careful Dockerfile removes, do not count.
"""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "/var/tmp")) / "jettison-corpus"
_REMOVED = ("var/cache/apt", "var/lib/apt/lists", "var/log")
_INSTALLED = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", re.MULTILINE)
_SAID_SIZE = re.compile(r"^Installed-Size: (\d+)", re.MULTILINE)


class Usual(NamedTuple):
    """Bytes of the tree with the program in it, without and with what apt recommends."""

    size: int
    with_recommended: int


def usual(package: str) -> Usual:
    """What the usual way to a package takes. Answers are kept as long as apt's lists are the same: each takes apt a second."""
    known = CACHE / f"usual-{Path('/var/lib/apt/lists').stat().st_mtime_ns}"
    known.mkdir(parents=True, exist_ok=True)
    answer = known / package
    if not answer.exists():
        sizes = [_size_of_minbase() + _size(_brought(package, recommended)) for recommended in (False, True)]
        draft = known / f".{package}.{threading.get_ident()}"
        draft.write_text(" ".join(map(str, sizes)))
        draft.rename(answer)
    return Usual(*map(int, answer.read_text().split()))


@cache
def minbase() -> Path:
    """The smallest tree that debootstrap makes, made once. Needs root and a mirror of Debian."""
    tree = CACHE / f"minbase-{SUITE}"
    if not tree.exists():
        draft = tree.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["debootstrap", "--variant=minbase", SUITE, str(draft), MIRROR], check=True, stdout=subprocess.DEVNULL)
        for folder in _REMOVED:
            shutil.rmtree(draft / folder)
        draft.rename(tree)
    return tree


@cache
def _size_of_minbase() -> int:
    return total(file for file in minbase().rglob("*"))


def total(paths: Iterable[Path]) -> int:
    """The bytes of all regular files among these, hard links once."""
    sizes = {}
    for path in paths:
        if path.is_file() and not path.is_symlink():
            info = path.lstat()
            sizes[info.st_dev, info.st_ino] = info.st_size
    return sum(sizes.values())


def _brought(package: str, recommended: bool) -> list[tuple[str, str]]:
    """(name, version) of all that apt would install into the tree."""
    done = subprocess.run([*_apt("apt-get", recommended), "-s", "install", package], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"apt-get -s install {package}: {done.stderr}")
    return [(name, version) for name, version in _INSTALLED.findall(done.stdout)]


def _apt(tool: str, recommended: bool = False) -> list[str]:
    return [tool, *_options(), "-o", f"APT::Install-Recommends={str(recommended).lower()}"]


@cache
def _options() -> tuple[str, ...]:
    """apt on the tree's database, with this machine's lists of Debian's own packages, read once into a cache."""
    places = {
        "Dir::State::status": minbase() / "var/lib/dpkg/status",
        "Dir::State::extended_states": minbase() / "var/lib/apt/extended_states",
        "Dir::Cache": _empty("cache"),
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::sourceparts": _empty("sources"),
        "Dir::Etc::sourcelist": _sources(),
        "Dir::Etc::preferencesparts": _empty("preferences"),
    }
    options = tuple(word for name, value in places.items() for word in ("-o", f"{name}={value}"))
    subprocess.run(["apt-cache", *options, "gencaches"], check=True, stdout=subprocess.DEVNULL)
    return options


@cache
def _sources() -> Path:
    """Debian alone, whatever else this machine knows; its lists are those that `apt-get update` fetched here."""
    path = CACHE / "sources.list"
    path.write_text(
        f"deb {MIRROR} {SUITE} main\ndeb {MIRROR} {SUITE}-updates main\ndeb {MIRROR}-security {SUITE}-security main\n"
    )
    return path


def _empty(name: str) -> Path:
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _size(packages: list[tuple[str, str]]) -> int:
    here = [name for name, version in packages if _installed().get(name) == version]
    elsewhere = [f"{name}={version}" for name, version in packages if name not in here]
    said = _ask(*_apt("apt-cache"), "show", *elsewhere) if elsewhere else ""
    return sum(map(_size_here, here)) + sum(int(kibibytes) << 10 for kibibytes in _SAID_SIZE.findall(said))


@cache
def _size_here(name: str) -> int:
    lists = [file for file in _notes()[name] if file.suffix == ".list"]
    return total([*(Path(line) for file in lists for line in file.read_text().splitlines()), *_notes()[name]])


@cache
def _installed() -> dict[str, str]:
    """name → version of what this machine has, of its own architecture."""
    architecture = _ask("dpkg", "--print-architecture").strip()
    text = _ask("dpkg-query", "-W", "-f", "${db:Status-Status} ${Architecture} ${Package} ${Version}\n")
    words = [line.split() for line in text.splitlines()]
    return {word[2]: word[3] for word in words if word[0] == "installed" and word[1] in (architecture, "all")}


@cache
def _notes() -> dict[str, list[Path]]:
    """name → dpkg's own files about it, which are part of what it takes."""
    notes: dict[str, list[Path]] = {}
    for file in Path("/var/lib/dpkg/info").iterdir():
        notes.setdefault(file.name.rpartition(".")[0].partition(":")[0], []).append(file)
    return notes


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
