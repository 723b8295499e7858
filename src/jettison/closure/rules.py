"""Rules as data: what a program opens by a name that it computes, so that no reader of its files can see it.

A rule says what sets it off and what it brings. Its facts have a source in the file, and each is proven by a test with a real
program.
"""

import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase, translate
from functools import cache
from typing import Any, NamedTuple

from jettison.errors import InternalError
from jettison.tree.root import Root, normalise, resolve

_KEYS = {"files", "symbols", "include", "exclude", "env", "detail", "source"}
_FOUND_LIMIT = 100_000


class Rule(NamedTuple):
    """`files` are names of files, and `symbols` names that a program imports: one of them sets the rule off.

    `include` are patterns, absolute or relative to the folder of the file that set it off; a last `**` is everything below.
    `exclude` are patterns of names. `env` are variables for the image. A rule that finds nothing to include does nothing.
    """

    name: str
    files: tuple[str, ...]
    symbols: frozenset[str]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    detail: str

    def is_for(self, path: str, symbols: frozenset[str]) -> bool:
        """Whether a file with this path, a program that imports these symbols, sets the rule off."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, pattern) for pattern in self.files) or not self.symbols.isdisjoint(symbols)

    def paths(self, root: Root, trigger: str) -> list[str]:
        """What the rule brings when the file at `trigger` sets it off, sorted."""
        folder = trigger.rpartition("/")[0] or "/"
        found = {path for pattern in self.include for path in _glob(root, normalise(pattern, folder))}
        return sorted(path for path in found if not self._excludes(path))

    def _excludes(self, path: str) -> bool:
        return any(fnmatchcase(path.rpartition("/")[2], pattern) for pattern in self.exclude)


@cache
def rules() -> tuple[Rule, ...]:
    """The rules that jettison brings, in the order of their files and names."""
    import tomllib

    folder = os.path.join(os.path.dirname(__file__), "rules")
    found: list[Rule] = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            found += [parse(rule, value) for rule, value in tomllib.load(file).items()]
    return tuple(found)


def rules_for(path: str, symbols: frozenset[str]) -> list[Rule]:
    """The rules that a file with this path, a program that imports these symbols, sets off."""
    if not symbols and not _any_file().fullmatch(path.rpartition("/")[2]):
        return []
    return [rule for rule in rules() if rule.is_for(path, symbols)]


@cache
def _any_file() -> "re.Pattern[str]":
    """All file patterns of all rules as one, which most of the many files of a closure do not match."""
    return re.compile("|".join(translate(pattern) for rule in rules() for pattern in rule.files))


def parse(name: str, value: dict[str, Any]) -> Rule:
    """A rule from its table. Errors: InternalError for a key that no rule has, or a rule without its source."""
    unknown = set(value) - _KEYS
    if unknown or not value.get("source") or not value.get("detail"):
        raise InternalError(f"rule `{name}` has no detail, no source or unknown keys: {', '.join(sorted(unknown))}")
    return Rule(
        name,
        tuple(value.get("files", ())),
        frozenset(value.get("symbols", ())),
        tuple(value.get("include", ())),
        tuple(value.get("exclude", ())),
        tuple(value.get("env", {}).items()),
        value["detail"],
    )


def _glob(root: Root, pattern: str) -> Iterable[str]:
    """The paths that match, links on the way followed."""
    paths = ["/"]
    parts = pattern.split("/")[1:]
    for position, part in enumerate(parts):
        if part == "**" and position == len(parts) - 1:
            return [below for path in paths for below in _below(root, path)]
        paths = [match for path in paths for match in _matches(root, path, part)]
    return paths


def _matches(root: Root, folder: str, pattern: str) -> Iterator[str]:
    stem = folder.rstrip("/")
    if not any(sign in pattern for sign in "*?["):
        if resolve(root, f"{stem}/{pattern}").node is not None:
            yield f"{stem}/{pattern}"
        return
    for name in root.listdir(resolve(root, folder).path):
        if fnmatchcase(name, pattern):
            yield f"{stem}/{name}"


def _below(root: Root, path: str) -> Iterator[str]:
    """A file itself, or everything below a folder; links in it are not walked through."""
    todo = [resolve(root, path).path]
    found = 0
    while todo and found < _FOUND_LIMIT:
        here = todo.pop()
        node = root.lstat(here)
        if node is not None and node.kind == "dir":
            todo.extend(f"{here.rstrip('/')}/{name}" for name in root.listdir(here))
        elif node is not None:
            found += 1
            yield here
