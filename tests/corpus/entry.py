"""An entry of the corpus: what is installed, what is packed, and the script that uses it."""

import datetime
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

FOLDER = Path(__file__).parent
PARTS = 3

Network = Literal["none", "loopback"]


class Entry(NamedTuple):
    """`packages` are Debian's; `programs` are names on PATH, or paths, each of which is packed into an image of its own.

    `setup` and `run` are scripts for bash, `compare` the files whose bytes must be the same too. `user` is who runs all of it
    where root is refused. `environment` is all that the scripts get besides PATH, HOME and TZ.
    """

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    run: str
    setup: str = ""
    network: Network = "none"
    compare: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = MappingProxyType({})


class InvalidEntry(Exception):
    """A file of the corpus says what no entry can say."""


def entries() -> list[Entry]:
    """All, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.toml"), key=lambda path: path.stem)]


def chosen(words: str = "", today: datetime.date | None = None) -> list[Entry]:
    """Those that `words`, else $JETTISON_CORPUS, chooses: `all`, `third` (the week's, the default), or names with commas."""
    words = words or os.environ.get("JETTISON_CORPUS", "third")
    found = entries()
    if words == "all":
        return found
    if words == "third":
        return found[week(today or datetime.date.today()) % PARTS :: PARTS]
    names = words.split(",")
    unknown = set(names) - {entry.name for entry in found}
    if unknown:
        raise InvalidEntry(f"no entry {', '.join(sorted(unknown))} in {FOLDER}")
    return [entry for entry in found if entry.name in names]


def week(day: datetime.date) -> int:
    """Weeks since the first Monday of the calendar: it never jumps, as the number in a year does."""
    return (day.toordinal() - 1) // 7


def read(path: Path) -> Entry:
    """Read one file. Errors: InvalidEntry."""
    try:
        value = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidEntry(f"{path} is not TOML: {error}") from error
    known = {"packages", "programs", "network", "user", "env", "setup", "run", "compare"}
    if set(value) - known:
        raise InvalidEntry(f"{path} says {', '.join(sorted(set(value) - known))}; expected {', '.join(sorted(known))}")
    network = value.get("network", "none")
    texts = [value.get(key, "") for key in ("run", "setup", "user")]
    if network not in get_args(Network) or not texts[0] or not all(isinstance(text, str) for text in texts):
        raise InvalidEntry(f"{path}: network is none or loopback; run, setup and user are texts, and there must be a run")
    lists = [_texts(value.get(key, []), path, key) for key in ("packages", "programs", "compare")]
    if not lists[0] or not lists[1]:
        raise InvalidEntry(f"{path} names no package or no program")
    env = value.get("env", {})
    if not isinstance(env, dict) or not all(isinstance(text, str) for text in env.values()):
        raise InvalidEntry(f"{path}: env is a table of texts")
    return Entry(path.stem, lists[0], lists[1], texts[0], texts[1], network, lists[2], texts[2], env)


def _texts(value: object, path: Path, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidEntry(f"{path}: {key} is a list of texts")
    return tuple(value)


def packages(found: Sequence[Entry]) -> list[str]:
    """What is to be installed for these entries."""
    return sorted({package for entry in found for package in entry.packages})
