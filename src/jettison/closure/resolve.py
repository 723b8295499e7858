"""Entry points and a Root → the closure: a work list, and a plain list of finders.

A finder reads one file and says what it needs. A new ecosystem is a new finder.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jettison.closure import elf, linker, script
from jettison.closure.elf import DlopenNote, Elf
from jettison.closure.place import within
from jettison.closure.rules import rules_for
from jettison.closure.strings import is_for_people, named_paths
from jettison.closure.why import Closure, Confidence, Missing, Need, Reason, Variable
from jettison.errors import InvalidData
from jettison.tree.node import Node
from jettison.tree.root import Resolved, Root
from jettison.tree.root import resolve as follow

DEFAULT_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # docker's

_HEAD_BYTES = 256  # binfmt_script reads no more


class Facts:
    """What was read of a Root's files, so that nothing is read twice, also not by the next closure over the same files."""

    def __init__(self) -> None:
        self._heads: dict[object, bytes] = {}
        self._elves: dict[object, Elf | None] = {}
        self._symbols: dict[object, frozenset[str]] = {}

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

    def imported_symbols(self, root: Root, path: str) -> frozenset[str]:
        """The symbols that an ELF file imports."""
        node = root.lstat(path)
        key = node.content if node else path
        if key not in self._symbols:
            with root.open(path) as file:
                self._symbols[key] = frozenset(elf.imported_symbols(file, path))
        return self._symbols[key]

    def _read_elf(self, root: Root, path: str, node: Node) -> Elf | None:
        if not elf.is_elf(self.head(root, path, node)):
            return None
        with root.open(path) as file:
            return elf.read(file, path)


class Subject(NamedTuple):
    """A file that a finder looks at: its real path, its first bytes, what brought it in, and the environment it will run in."""

    root: Root
    path: str
    head: bytes
    reason: Reason
    facts: Facts
    search_path: tuple[str, ...]
    library_path: tuple[str, ...]
    own_files: frozenset[str]

    @property
    def is_loaded(self) -> bool:
        """Whether a program loads it: then its own needs were found with that program's, by the program's search paths."""
        return self.reason.kind in ("needed", "dlopen")

    def read_elf(self, path: str) -> Elf | None:
        """The ELF facts of another file of the same Root."""
        return self.facts.elf(self.root, path)


Finding = Need | Missing | Variable
Finder = Callable[[Subject], Iterable[Finding]]


def elf_needs(subject: Subject) -> Iterable[Need | Missing]:
    """The interpreter, and every library that ld.so would map, with the rule that finds it."""
    program = subject.read_elf(subject.path)
    if program is None or not (program.is_dynamic or program.interpreter) or subject.is_loaded:
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


def rule_needs(subject: Subject) -> Iterable[Finding]:
    """What the rules bring that this file sets off."""
    program = None if subject.is_loaded else subject.read_elf(subject.path)
    symbols = frozenset[str]()
    if program is not None and not program.is_dynamic:
        return  # a static program loads nothing that a rule could be for
    if program is not None and program.interpreter:
        symbols = subject.facts.imported_symbols(subject.root, subject.path)
    for rule in rules_for(subject.path, symbols):
        reason = Reason("rule", subject.path, f"{rule.name}: {rule.detail}")
        paths = [path for path in rule.paths(subject.root, subject.path) if path != subject.path]
        yield from (Need(path, reason) for path in paths)
        yield from (Variable(name, value, reason) for name, value in rule.env if paths)


def string_needs(subject: Subject) -> Iterable[Finding]:
    """What the program's own package brings below the folders and files that the program, or a library of the package, names."""
    if subject.path not in subject.own_files or subject.read_elf(subject.path) is None:
        return
    for name in named_paths(subject.root, subject.path):
        reason = Reason("string", subject.path, f"`{name}` in its data, of its own package", "likely")
        for path in subject.own_files:
            if within(path, (name,)) and not is_for_people(path) and subject.root.lstat(path) is not None:
                yield Need(path, reason)


FINDERS: tuple[Finder, ...] = (elf_needs, script_needs, rule_needs, string_needs)


def resolve(
    root: Root,
    seeds: Iterable[Need],
    environment: Iterable[tuple[str, str]] = (),
    finders: Sequence[Finder] = FINDERS,
    facts: Facts | None = None,
    own_files: frozenset[str] = frozenset(),
) -> Closure:
    """The closure of `seeds` over `root`; `environment` gives PATH and LD_LIBRARY_PATH, `own_files` is what the entry's package
    owns. Executes nothing.

    Every link on the way to a path is in the closure too. Monotone in its seeds, and idempotent.
    """
    facts = facts or Facts()
    given = dict(environment)
    search_path = _folders(given.get("PATH", "")) or DEFAULT_PATH
    library_path = _folders(given.get("LD_LIBRARY_PATH", ""))
    reasons: dict[str, list[Reason]] = {}
    missing: dict[Missing, None] = {}
    variables: dict[str, Variable] = {}
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
        for path in _way(found):
            _add(reasons, path, need.reason)
        if found.path in seen:
            continue
        seen.add(found.path)
        if found.node.kind != "file" or found.node.size == 0:
            continue
        head = facts.head(root, found.path, found.node)
        subject = Subject(root, found.path, head, need.reason, facts, search_path, library_path, own_files)
        for finder in finders:
            for finding in finder(subject):
                if isinstance(finding, Need):
                    todo.append(finding)
                elif isinstance(finding, Missing):
                    missing[finding] = None
                else:
                    variables.setdefault(finding.name, finding)
    names = {path.rpartition("/")[2] for path in reasons}
    # A plugin's library that its program has loaded by then is not searched for: dlopen(3) of a soname that is in memory.
    lacking = [item for item in missing if item.reason.kind != "needed" or item.name not in names]
    return Closure({path: tuple(found) for path, found in reasons.items()}, lacking, variables.values())


def find_program(root: Root, name: str, search_path: Sequence[str] = DEFAULT_PATH) -> str:
    """The path of a program named as a shell would: a path, or a name on the search path. Empty if there is none."""
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in search_path]
    for candidate in candidates:
        node = follow(root, candidate).node
        if node is not None and node.kind == "file" and node.mode & 0o111:
            return candidate
    return ""


def _way(found: Resolved) -> Iterable[str]:
    """The links to a path, the path itself, and the folders left on the way that hold none of these."""
    paths = (*found.links, found.path)
    yield from paths
    yield from (folder for folder in found.left if not any(within(path, (folder,)) for path in paths))


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
    confidence: Confidence = "certain" if note.priority == "required" else "likely"
    yield Missing(" or ".join(note.sonames), Reason("dlopen", by, detail, confidence))
