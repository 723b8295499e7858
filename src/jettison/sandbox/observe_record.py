"""What was seen so far, within bounds."""

from typing import Literal, NamedTuple

ActionKind = Literal["executed", "read", "listed", "looked", "created", "changed", "missing", "denied", "connected", "root"]

PATH_LIMIT = 200_000
TEXT_LIMIT = 64 << 20

# A path that was read was also looked at: the higher one counts.
_RANKS = {"looked": 1, "listed": 2, "read": 3, "executed": 4}
_OTHERS = ("created", "changed", "missing", "denied", "connected")
_KERNELS_OWN = ("/proc", "/sys", "/dev")


class Action(NamedTuple):
    """What a call does to a path, if it succeeds."""

    kind: ActionKind
    path: str


class Record:
    """path → who did it first, for each kind. Once it is full, nothing is added."""

    def __init__(self, path_limit: int = PATH_LIMIT, text_limit: int = TEXT_LIMIT) -> None:
        self._path_limit = path_limit
        self._text_limit = text_limit
        self._text = 0
        self._found: dict[str, tuple[int, str]] = {}
        self._others: dict[str, dict[str, str]] = {kind: {} for kind in _OTHERS}
        self._notices: dict[str, None] = {}
        self.is_full = False

    def is_new(self, action: Action) -> bool:
        """Whether it would tell something."""
        rank = _RANKS.get(action.kind)
        if rank is None:
            return action.path not in self._others.get(action.kind, ())
        known = self._found.get(action.path)
        return known is None or known[0] < rank

    def add(self, kind: ActionKind, path: str, by: str) -> None:
        """Note what `by` did. The kernel's own files are none of an image."""
        if self.is_full or not self.is_new(Action(kind, path)):
            return
        if kind != "connected" and path.startswith(_KERNELS_OWN) and path.split("/", 2)[1] in ("proc", "sys", "dev"):
            return
        rank = _RANKS.get(kind)
        if rank is None:
            self._others[kind][path] = by
        else:
            self._found[path] = (rank, by)
        self._text += len(path)
        self._measure()

    def notice(self, text: str) -> None:
        """Something that the reader of the record should know."""
        self._notices[text] = None

    def as_json(self) -> dict[str, object]:
        """The mappings of an Observation, and its notices."""
        by_rank = {rank: kind for kind, rank in _RANKS.items()}
        found: dict[str, dict[str, str]] = {kind: {} for kind in _RANKS}
        for path, (rank, by) in self._found.items():
            found[by_rank[rank]][path] = by
        return {**found, **self._others, "notices": list(self._notices)}

    def _measure(self) -> None:
        count = len(self._found) + sum(map(len, self._others.values()))
        if count >= self._path_limit or self._text >= self._text_limit:
            self.is_full = True
            self.notice(f"only the first {count} paths were recorded: the program touched more")
