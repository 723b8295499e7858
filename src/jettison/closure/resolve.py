"""Entry points and a Root → the closure: a work list, and a plain list of finders."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from jettison.closure.facts import DEFAULT_PATH, Finder, Finding, Said, Setting, Subject
from jettison.closure.finders import FINDERS
from jettison.closure.host import is_provided
from jettison.closure.place import matches_any, within
from jettison.closure.why import Account, Closure, Expected, Make, Missing, Need, Omit, Reason, Regenerate, Variable
from jettison.errors import HostError, InternalError, InvalidData
from jettison.tree.node import Node
from jettison.tree.root import Resolved, Root, lead
from jettison.tree.root import resolve as resolve_path

_EVIDENCE = ("string", "package")  # the kinds of what a rule may doubt


def resolve(
    root: Root,
    seeds: Iterable[Need],
    setting: Setting,
    finders: Sequence[Finder] = FINDERS,
    more: Callable[[Closure], Iterable[Need]] | None = None,
) -> Closure:
    """The closure of `seeds` over `root`, and of the seeds that `more` sees in it. Executes nothing.

    Every link on the way to a path is in the closure too. Monotone in its seeds and in the level, and idempotent.
    """
    work = _Work(root, setting)
    work.do(seeds, finders)
    if more is not None:
        work.do(more(work.closure()), finders)
    return work.closure()


def find_program(root: Root, name: str, search_path: Sequence[str] = DEFAULT_PATH) -> str:
    """The path of a program named as a shell would: a path, or a name on the search path. Empty if there is none."""
    candidates = [name] if "/" in name else [f"{folder}/{name}" for folder in search_path]
    return next((candidate for candidate in candidates if _is_program(root, candidate)), "")


def _is_program(root: Root, path: str) -> bool:
    """As for execvp(3): a folder that may not be entered, or a ring of links, has no program."""
    found = lead(root, path)
    node = found.node if found else None
    return node is not None and node.kind == "file" and bool(node.mode & 0o111)


class _Work:
    """The needs that are still to be looked at, and what has been found so far."""

    def __init__(self, root: Root, setting: Setting) -> None:
        self._root = root
        self._setting = setting._replace(said=Said())
        self._reasons: dict[str, dict[Reason, None]] = {}
        self._missing: dict[Missing, None] = {}
        self._variables: dict[str, Variable] = {}
        self._made: dict[str, Node] = {}
        self._caches: dict[str, Regenerate] = {}
        self._expected: dict[Expected, None] = {}
        self._accounts: dict[str, Account] = {}
        self._seen: set[str] = set()
        self._todo: deque[Need] = deque()
        self._hints: deque[Need] = deque()
        self._passed_over: dict[str, Reason] = {}

    def do(self, seeds: Iterable[Need], finders: Sequence[Finder]) -> None:
        """Look at every need, and at those that come of it, first things first; at hints when all else is there.

        A hint of what only a hint brought is none: it would lead on to half of the Root.
        """
        self._todo.extend(seeds)
        self._follow(self._todo, finders, self._setting)
        self._follow(self._hints, finders, self._setting._replace(choices=self._setting.choices._replace(level="balanced")))

    def _follow(self, todo: deque[Need], finders: Sequence[Finder], setting: Setting) -> None:
        while todo:
            subject = self._take(todo.popleft(), setting)
            for finding in self._ask(subject, finders) if subject else ():
                if setting.choices.admits(finding.reason.confidence):
                    self._keep(finding, todo)
                elif isinstance(finding, Need):
                    self._passed_over.setdefault(finding.path, finding.reason)

    def _keep(self, finding: Finding, todo: deque[Need]) -> None:
        match finding:
            case Need():
                (self._hints if finding.reason.confidence == "hint" else todo).append(finding)
            case Make():
                path = resolve_path(self._root, finding.path, follow_last=False).path
                self._made.setdefault(path, finding.node)
                self._reasons.setdefault(path, {})[finding.reason] = None
            case Regenerate():
                self._caches.setdefault(finding.name, finding)
            case Variable():
                self._variables.setdefault(finding.name, finding)
            case Account():
                self._accounts.setdefault(finding.name, finding)
            case Expected():
                self._expected[finding] = None
            case Missing():
                self._miss(finding)
            case _:
                raise InternalError(f"a finder found {finding!r:.80}")

    def closure(self) -> Closure:
        """A plugin's library that its program has in memory by then is not searched for (dlopen(3)), so it is not missing."""
        names = {path.rpartition("/")[2] for path in self._reasons}
        lacking = [item for item in self._missing if item.reason.kind != "needed" or item.name not in names]
        reasons = {path: tuple(found) for path, found in self._reasons.items()}
        caches, accounts = self._caches.values(), self._accounts.values()
        variables = self._variables.values()
        return Closure(reasons, lacking, variables, self._made, caches, self._expected, accounts, self._passed_over)

    def _take(self, need: Need, setting: Setting) -> Subject | None:
        """Keep the reason of everything on the way; the file that the need leads to, the first time."""
        try:
            found = resolve_path(self._root, need.path, need.follow_last)
        except HostError:
            if need.reason.kind not in _EVIDENCE:
                raise
            found = Resolved(need.path, None, ())  # what this user may not look at is not there for what only names it
        if found.node is None or (is_provided(found.path) and need.reason.kind != "kept"):
            self._miss(Missing(need.path, need.reason))
            return None
        for path in _way(found):
            self._reasons.setdefault(path, {})[need.reason] = None
        if found.path in self._seen or found.node.kind != "file" or found.node.size == 0:
            return None
        self._seen.add(found.path)
        head = setting.facts.head(self._root, found.path, found.node)
        return Subject(self._root, found.path, head, need.reason, setting)

    def _miss(self, missing: Missing) -> None:
        """Keep what is not there; what the host brings is expected, whether the Root has it or not."""
        name = missing.name.rpartition("/")[2]
        if is_provided(name):
            self._expected[Expected(name, missing.reason)] = None
        else:
            self._missing[missing] = None

    def _ask(self, subject: Subject, finders: Sequence[Finder]) -> list[Finding]:
        try:
            return _doubting_omitted([finding for finder in finders for finding in finder(subject)])
        except InvalidData:
            if subject.reason.kind in ("entry", "interpreter", "needed", "dlopen"):
                raise
            return []  # a broken file that nothing starts is shipped as it is


def _doubting_omitted(findings: list[Finding]) -> list[Finding]:
    """The findings; what a rule omits is no more than a hint."""
    patterns = [pattern for finding in findings if isinstance(finding, Omit) for pattern in finding.patterns]
    if not patterns:
        return findings
    return [_doubted(finding, patterns) for finding in findings if not isinstance(finding, Omit)]


def _doubted(finding: Finding, patterns: list[str]) -> Finding:
    is_omitted = isinstance(finding, Need) and finding.reason.kind in _EVIDENCE and matches_any(finding.path, patterns)
    return finding._replace(reason=finding.reason._replace(confidence="hint")) if is_omitted else finding


def _way(found: Resolved) -> Iterable[str]:
    """The links to a path, the path itself, and the folders left on the way that hold none of these."""
    paths = (*found.links, found.path)
    yield from paths
    yield from (folder for folder in found.left if not any(within(path, (folder,)) for path in paths))
