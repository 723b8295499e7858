"""Entry points and a Root → the closure: a work list, and a plain list of finders.

A finder reads one file and says what it needs. A new ecosystem is a new finder.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jettison.closure import elf, linker, script
from jettison.closure.elf import DlopenNote, Elf
from jettison.closure.why import Closure, Missing, Need, Reason
from jettison.errors import InvalidData
from jettison.tree.node import Node
from jettison.tree.root import Root
from jettison.tree.root import resolve as follow

DEFAULT_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # docker's

_HEAD_BYTES = 256  # binfmt_script reads no more


class Facts:
    """What was read of a Root's files, so that nothing is read twice, also not by the next closure over the same files."""

    def __init__(self) -> None:
        self._heads: dict[object, bytes] = {}
        self._elves: dict[object, Elf | None] = {}

    def head(self, root: Root, path: str, node: Node) -> bytes:
        """The first 256 bytes of a file."""
        key = node.content
        if key not in self._heads:
            with root.open(path) as file:
                self._heads[key] = file.read(_HEAD_BYTES)
        return self._heads[key]

    def elf(self, root: Root, path: str) -> Elf | None:
        """The ELF facts of a file; None if it is no ELF file, or not there. Errors: InvalidData for a broken one."""
        node = root.lstat(path)
        if node is None or node.kind != "file" or node.size == 0:
            return None
        key = node.content
        if key not in self._elves:
            self._elves[key] = self._read_elf(root, path, node)
        return self._elves[key]

    def _read_elf(self, root: Root, path: str, node: Node) -> Elf | None:
        if not elf.is_elf(self.head(root, path, node)):
            return None
        with root.open(path) as file:
            return elf.read(file, path)


class Subject(NamedTuple):
    """A file that a finder looks at: its real path, its first bytes, and the environment it will run in."""

    root: Root
    path: str
    head: bytes
    facts: Facts
    search_path: tuple[str, ...]
    library_path: tuple[str, ...]

    def read_elf(self, path: str) -> Elf | None:
        """The ELF facts of another file of the same Root."""
        return self.facts.elf(self.root, path)


Finder = Callable[[Subject], Iterable[Need | Missing]]


def elf_needs(subject: Subject) -> Iterable[Need | Missing]:
    """The interpreter, and every library that ld.so would map, with the rule that finds it."""
    if not elf.is_elf(subject.head):
        return
    program = subject.facts.elf(subject.root, subject.path)
    if program is None or not (program.is_dynamic or program.interpreter):
        return
    if program.interpreter:
        reason = Reason("interpreter", subject.path, f"PT_INTERP {program.interpreter}")
        yield from _need_or_missing(subject, program.interpreter, reason)
    environment = linker.Environment(library_path=subject.library_path)
    loading = linker.load(subject.root, subject.path, environment, subject.read_elf)
    yield from _loaded(loading.objects, loading.again)
    yield from loading.missing
    yield from loading.problems
    for item in (loading.program, *loading.objects):
        for note in item.elf.dlopen:
            if note.priority != "suggested":
                yield from _noted_library(subject, loading, item.real, note)


def script_needs(subject: Subject) -> Iterable[Need | Missing]:
    """A script's interpreter, and the program that `env` starts."""
    if subject.head.startswith(b"#!"):
        needs, missing = script.needs(subject.root, subject.path, subject.head, subject.search_path)
        yield from needs
        yield from missing


FINDERS: tuple[Finder, ...] = (elf_needs, script_needs)


def resolve(
    root: Root,
    seeds: Iterable[Need],
    environment: Iterable[tuple[str, str]] = (),
    finders: Sequence[Finder] = FINDERS,
    facts: Facts | None = None,
) -> Closure:
    """The closure of `seeds` over `root`; `environment` gives PATH and LD_LIBRARY_PATH. Executes nothing.

    Every link on the way to a path is in the closure too. Monotone in its seeds, and idempotent.
    """
    facts = facts or Facts()
    variables = dict(environment)
    search_path = _folders(variables.get("PATH", "")) or DEFAULT_PATH
    library_path = _folders(variables.get("LD_LIBRARY_PATH", ""))
    reasons: dict[str, list[Reason]] = {}
    missing: dict[Missing, None] = {}
    todo = list(seeds)
    seen: set[str] = set()
    position = 0
    while position < len(todo):
        need = todo[position]
        position += 1
        found = follow(root, need.path, need.follow_last)
        if found.node is None:
            missing[Missing(need.path, need.reason)] = None
            continue
        for path in (*found.links, found.path):
            _add(reasons, path, need.reason)
        if found.path in seen:
            continue
        seen.add(found.path)
        if found.node.kind != "file" or found.node.size == 0:
            continue
        head = facts.head(root, found.path, found.node)
        subject = Subject(root, found.path, head, facts, search_path, library_path)
        for finder in finders:
            for finding in finder(subject):
                if isinstance(finding, Need):
                    todo.append(finding)
                else:
                    missing[finding] = None
    return Closure({path: tuple(found) for path, found in reasons.items()}, missing)


def find_program(root: Root, name: str, search_path: Sequence[str] = DEFAULT_PATH) -> str:
    """The path of a program named as a shell would: a path, or a name on the search path. Empty if there is none."""
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in search_path]
    for candidate in candidates:
        node = follow(root, candidate).node
        if node is not None and node.kind == "file" and node.mode & 0o111:
            return candidate
    return ""


def _add(reasons: dict[str, list[Reason]], path: str, reason: Reason) -> None:
    known = reasons.setdefault(path, [])
    if reason not in known:
        known.append(reason)


def _folders(value: str) -> tuple[str, ...]:
    return tuple(folder for folder in value.split(":") if folder.startswith("/"))


def _need_or_missing(subject: Subject, path: str, reason: Reason) -> Iterable[Need | Missing]:
    try:
        found = follow(subject.root, path).node
    except InvalidData:
        found = None
    yield Need(path, reason) if found is not None else Missing(path, reason)


def _loaded(objects: Iterable[linker.Loaded], again: Iterable[linker.Loaded]) -> Iterable[Need]:
    for item in (*objects, *again):
        yield Need(item.path, Reason("needed", item.by, f"{item.wanted_name} via {item.rule}"))


def _noted_library(subject: Subject, loading: linker.Loading, by: str, note: DlopenNote) -> Iterable[Need | Missing]:
    """The first of a note's sonames that is there, with what it needs in turn."""
    detail = f".note.dlopen {note.priority}: {note.description or note.feature}"
    for soname in note.sonames:
        after = linker.dlopen(subject.root, loading, by, soname, subject.read_elf)
        new = after.objects[len(loading.objects) :]
        again = after.again[len(loading.again) :]
        if new or again:
            first = (*new, *again)[0]
            yield Need(first.path, Reason("dlopen", by, f"{soname} via {first.rule}; {detail}"))
            yield from _loaded(new[1:], again)
            return
    yield Missing(" or ".join(note.sonames), Reason("dlopen", by, detail))
