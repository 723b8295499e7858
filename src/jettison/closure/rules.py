"""Rules as data: what a program opens by a name that it computes, so that no reader of its files can see it.

A rule says what sets it off and what it brings. Its facts have a source in the file, and each is proven by a test with a real
program. Users' own rules are files of the same form.
"""

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from jettison.closure.bytecode import kept_or_made
from jettison.closure.choices import LEVELS, Level
from jettison.closure.facts import Finding, Subject
from jettison.closure.place import is_system, matches, matches_any
from jettison.closure.why import Account, Confidence, Expected, Make, Need, Omit, Reason, Regenerate, Variable
from jettison.errors import InvalidData, NotFound
from jettison.tree.node import made_dir, made_symlink
from jettison.tree.root import Root, normalise, resolve

_SET = re.compile(r"\[.*?\]")  # of a pattern
_FOUND_LIMIT = 100_000
_WILD = re.compile(r"\[.*?\]|[*?]")  # what a pattern of fnmatch(3) has besides itself
_CONFIDENCE: dict[Level, Confidence] = {"minimal": "certain", "balanced": "likely", "safe": "hint"}
# What every program loads: that libc itself knows a function says nothing.
_LIBC = re.compile(r"ld-.*\.so.*|lib(c|m|pthread|dl|rt|resolv)\.so\.\d+|libc\.musl-.*")


class Rule(NamedTuple):
    """One of `files`, `symbols`, `strings` or `packages` sets the rule off.

    `files` are patterns of names, or of whole paths where they have a slash; `symbols` are imported by a program or a library
    of it; `strings` stand in an ELF file; `packages` own a program. `include` are patterns, absolute or relative to the folder
    of the file that set it off; a last `**` is everything below. `exclude` are patterns of names, or of whole paths. A rule
    that finds nothing to include does nothing. `omit` are patterns of what the file names and works without: that its strings
    name it is a hint.

    `env` are variables for the image; `folders` path → mode, made empty; `links` path → target, made; `regenerate` are names of
    caches.REGENERATE; `accounts` are users that the image names as the Root does; `expect` are patterns of libraries that only
    the host can bring; `reader` is a module in closure/readers that reads on where patterns end. `level` is the first level
    that follows the rule.
    """

    name: str
    detail: str
    level: Level = "balanced"
    files: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    regenerate: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    reader: str = ""
    source: str = ""

    def reason(self, by: str) -> Reason:
        """The reason of what the rule brings when the file `by` sets it off."""
        return Reason("rule", by, f"{self.name}: {self.detail}", _CONFIDENCE[self.level])

    def paths(self, root: Root, trigger: str) -> list[str]:
        """What the rule brings when the file at `trigger` sets it off, sorted."""
        folder = trigger.rpartition("/")[0] or "/"
        found = {path for pattern in self.include for path in glob(root, normalise(pattern, folder))}
        return sorted(path for path in found if path != trigger and not self._excludes(path))

    @property
    def is_alike(self) -> bool:
        """Whether the rule brings the same whichever file sets it off."""
        return not self.reader and not self.omit and all(pattern.startswith("/") for pattern in self.include)

    def _excludes(self, path: str) -> bool:
        return matches_any(path, self.exclude)


class _Rules:
    """Rules, and what sets one of them off: most files of a closure set off none."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        patterns = [pattern for rule in rules for pattern in rule.files]
        starts = {pattern: _WILD.split(pattern)[0] for pattern in patterns if "/" not in pattern}
        ends = {pattern: _WILD.split(pattern)[-1] for pattern in patterns if not starts.get(pattern)}
        self._starts = tuple({text for text in starts.values() if text})
        self._ends = tuple({text for text in ends.values() if text})
        others = (_SET.sub("*", pattern) for pattern, text in ends.items() if not text)
        self._middles = tuple({max(re.split(r"[*?]", pattern), key=len) for pattern in others})
        self.symbols = frozenset(symbol for rule in rules for symbol in rule.symbols)
        self.strings = tuple(sorted({text for rule in rules for text in rule.strings}))
        self.packages = frozenset(package for rule in rules for package in rule.packages)

    def may_name(self, path: str) -> bool:
        """Whether a rule may have a pattern for the path: by literal parts of it, without compiling the patterns."""
        name = path.rpartition("/")[2]
        return name.startswith(self._starts) or path.endswith(self._ends) or any(text in path for text in self._middles)


def findings(subject: Subject) -> Iterator[Finding]:
    """What the rules bring that this file sets off."""
    for rule in _set_off(subject):
        reason = rule.reason(subject.path)
        # A hint may come too late to be followed, so that it does not speak for others.
        if rule.is_alike and reason.confidence != "hint" and not subject.setting.is_new(f"rule {rule.name}"):
            continue
        paths = rule.paths(subject.root, subject.path)
        if rule.include and not paths:
            continue
        yield from (Need(path, reason) for path in paths)
        if rule.omit:
            yield Omit(rule.omit, reason)
        yield from (Variable(name, value, reason) for name, value in rule.env)
        yield from (Make(path, made_dir(int(mode, 8)), reason) for path, mode in rule.folders)
        yield from (Make(path, made_symlink(target), reason) for path, target in rule.links)
        yield from (Regenerate(name, reason) for name in rule.regenerate)
        yield from (Account(name, reason) for name in rule.accounts)
        yield from (Expected(name, reason) for name in rule.expect)
        if rule.reader:
            yield from import_module(f"jettison.closure.readers.{rule.reader}").needs(subject, reason)


@cache
def rules(own: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """The rules that jettison brings, in the order of their files and names; then those of the user's `own` files.

    Errors: NotFound, InvalidData for a file of the user's.
    """
    found = kept_or_made(
        sorted(_shipped()), Rule._fields, lambda: [tuple(rule) for file in sorted(_shipped()) for rule in _read(file)]
    )
    return (*(Rule(*fields) for fields in found), *(rule for file in own for rule in _read(file)))


def _shipped() -> list[str]:
    folder = os.path.join(os.path.dirname(__file__), "rules")
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".toml")]


def parse(name: str, value: dict[str, Any]) -> Rule:
    """A rule from its table. Errors: InvalidData for what no rule has, or a rule without its detail and source."""
    unknown = sorted(set(value) - set(Rule._fields[1:]))
    if unknown:
        raise InvalidData(f"rule `{name}` has unknown keys: {', '.join(unknown)}")
    if not value.get("source") or not value.get("detail"):
        raise InvalidData(f"rule `{name}` lacks its detail or its source", "say what it is for, and where that is written")
    if value.get("level", "balanced") not in LEVELS:
        raise InvalidData(f"rule `{name}` has the level `{value['level']}`, expected {', '.join(LEVELS)}")
    return Rule(name, **{key: _value(name, key, item) for key, item in value.items()})


def _value(name: str, key: str, item: object) -> Any:
    """A value of the type that the key's default has."""
    if isinstance(Rule._field_defaults.get(key, ""), str):
        good = isinstance(item, str) and (key != "reader" or item.isidentifier())
        value: object = item
    elif key in ("env", "folders", "links"):
        good = isinstance(item, dict) and all(isinstance(text, str) for text in item.values())
        value = tuple(item.items()) if isinstance(item, dict) else ()
    else:
        good = isinstance(item, list) and all(isinstance(text, str) for text in item)
        value = tuple(item) if isinstance(item, list) else ()
    if not good:
        raise InvalidData(f"rule `{name}` has a `{key}` of another kind than expected")
    return value


def _read(file: str) -> Iterator[Rule]:
    import tomllib

    try:
        with open(file, "rb") as stream:
            tables = tomllib.load(stream)
    except OSError as error:
        raise NotFound(f"cannot read the rules in `{file}`: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"`{file}` is not TOML: {error}") from error
    for name, value in tables.items():
        try:
            yield parse(name, value)
        except InvalidData as error:
            raise InvalidData(f"`{file}`: {error.message}", error.hint) from error


@cache
def _compiled(own: tuple[str, ...]) -> _Rules:
    return _Rules(rules(own))


def _set_off(subject: Subject) -> list[Rule]:
    """The rules that a file sets off."""
    known = _compiled(subject.setting.choices.rules)
    path = subject.path
    is_named = known.may_name(path)
    symbols, strings = _evidence(subject, known)
    package = _package(subject) if known.packages else ""
    if not (is_named or symbols or strings or package in known.packages):
        return []
    return [
        rule
        for rule in known.rules
        if (is_named and matches_any(path, rule.files))
        or not symbols.isdisjoint(rule.symbols)
        or not strings.isdisjoint(rule.strings)
        or package in rule.packages
    ]


def _evidence(subject: Subject, known: _Rules) -> tuple[frozenset[str], frozenset[str]]:
    """The symbols and the strings of an ELF file that rules ask for; a static program has strings only."""
    program = subject.read_elf(subject.path)
    if program is None or _LIBC.fullmatch(subject.path.rpartition("/")[2]):
        return frozenset(), frozenset()
    facts = subject.setting.facts
    return (
        known.symbols & facts.imported_symbols(subject.root, subject.path),
        facts.mentioned(subject.root, subject.path, known.strings) if known.strings else frozenset(),
    )


def _package(subject: Subject) -> str:
    """The package of a program; empty for what a program loads, and for what no package owns."""
    if subject.is_loaded or not is_system(subject.path) or not subject.head.startswith((b"\x7fELF", b"#!")):
        return ""
    owner = subject.setting.packages.owner(subject.path)
    return owner.name if owner else ""


def glob(root: Root, pattern: str) -> Iterable[str]:
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
        if matches(name, pattern):
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
