"""Entry points and a Root → the closure: a work list, and a plain list of finders."""

from collections import deque
from collections.abc import Iterable, Sequence

from jettison.closure.facts import Facts, Finder, Finding, Subject
from jettison.closure.finders import FINDERS
from jettison.closure.place import within
from jettison.closure.why import Closure, Missing, Need, Reason, Variable
from jettison.errors import InvalidData
from jettison.oci import process
from jettison.tree.root import Resolved, Root
from jettison.tree.root import resolve as resolve_path

DEFAULT_PATH = tuple(process.DEFAULT_PATH.split(":"))


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
    given = dict(environment)
    search_path = _folders(given.get("PATH", "")) or DEFAULT_PATH
    work = _Work(root, facts or Facts(), search_path, _folders(given.get("LD_LIBRARY_PATH", "")), own_files)
    work.do(seeds, finders)
    return work.closure()


def find_program(root: Root, name: str, search_path: Sequence[str] = DEFAULT_PATH) -> str:
    """The path of a program named as a shell would: a path, or a name on the search path. Empty if there is none."""
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in search_path]
    for candidate in candidates:
        node = resolve_path(root, candidate).node
        if node is not None and node.kind == "file" and node.mode & 0o111:
            return candidate
    return ""


class _Work:
    """The needs that are still to be looked at, and what has been found so far."""

    def __init__(
        self,
        root: Root,
        facts: Facts,
        search_path: tuple[str, ...],
        library_path: tuple[str, ...],
        own_files: frozenset[str],
    ) -> None:
        self._root = root
        self._facts = facts
        self._surroundings = (search_path, library_path, own_files)
        self._reasons: dict[str, dict[Reason, None]] = {}
        self._missing: dict[Missing, None] = {}
        self._variables: dict[str, Variable] = {}
        self._seen: set[str] = set()

    def do(self, seeds: Iterable[Need], finders: Sequence[Finder]) -> None:
        """Look at every need, and at those that come of it, first things first."""
        todo = deque(seeds)
        while todo:
            subject = self._take(todo.popleft())
            for finding in self._ask(subject, finders) if subject else ():
                if isinstance(finding, Need):
                    todo.append(finding)
                elif isinstance(finding, Missing):
                    self._missing[finding] = None
                else:
                    self._variables.setdefault(finding.name, finding)

    def closure(self) -> Closure:
        """A plugin's library that its program has in memory by then is not searched for (dlopen(3)), so it is not missing."""
        names = {path.rpartition("/")[2] for path in self._reasons}
        lacking = [item for item in self._missing if item.reason.kind != "needed" or item.name not in names]
        return Closure({path: tuple(found) for path, found in self._reasons.items()}, lacking, self._variables.values())

    def _take(self, need: Need) -> Subject | None:
        """Keep the reason of everything on the way; the file that the need leads to, the first time."""
        found = resolve_path(self._root, need.path, need.follow_last)
        if found.node is None:
            self._missing[Missing(need.path, need.reason)] = None
            return None
        for path in _way(found):
            self._reasons.setdefault(path, {})[need.reason] = None
        if found.path in self._seen or found.node.kind != "file" or found.node.size == 0:
            return None
        self._seen.add(found.path)
        head = self._facts.head(self._root, found.path, found.node)
        return Subject(self._root, found.path, head, need.reason, self._facts, *self._surroundings)

    def _ask(self, subject: Subject, finders: Sequence[Finder]) -> list[Finding]:
        try:
            return [finding for finder in finders for finding in finder(subject)]
        except InvalidData:
            if subject.reason.kind in ("entry", "interpreter", "needed", "dlopen"):
                raise
            return []  # a broken file that nothing starts is shipped as it is


def _way(found: Resolved) -> Iterable[str]:
    """The links to a path, the path itself, and the folders left on the way that hold none of these."""
    paths = (*found.links, found.path)
    yield from paths
    yield from (folder for folder in found.left if not any(within(path, (folder,)) for path in paths))


def _folders(value: str) -> tuple[str, ...]:
    return tuple(folder for folder in value.split(":") if folder.startswith("/"))
