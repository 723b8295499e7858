"""Whether each file of an image has its reasons, down to the program that was packed."""

from collections import deque
from collections.abc import Iterator

from corpus.image import Image, store
from corpus.world import World
from jettison.closure.why import Closure
from jettison.image.store import open_store
from jettison.verbs.examine import examine

# What says no more than the reason's kind does.
_EMPTY = {"", "package", "rule", "string", "symbol"}


def unreasoned(image: Image, world: World) -> list[str]:
    """Paths without a chain to an entry, or with a reason that gives no evidence; and why."""
    return list(_unreasoned(image, world))


def _unreasoned(image: Image, world: World) -> Iterator[str]:
    examined = examine(image.tag, open_store(str(store(world))))
    reached = _reached(examined.closure)
    for path, node in examined.tree.nodes.items():
        if node.kind != "dir" and path not in reached:
            yield f"{image.tag} {path}: no chain to an entry"
    for path, reasons in examined.closure.reasons.items():
        for reason in reasons:
            if reason.detail.strip() in _EMPTY:
                yield f"{image.tag} {path}: {reason.kind} by {reason.by} says `{reason.detail}`"


def _reached(closure: Closure) -> set[str]:
    """All that `closure.why` has a chain for, found from the entries on: one walk instead of one for each path."""
    wanted: dict[str, list[str]] = {}
    for path, reasons in closure.reasons.items():
        for reason in reasons:
            wanted.setdefault(reason.by, []).append(path)
    reached: set[str] = set()
    todo = deque([""])
    while todo:
        fresh = set(wanted.get(todo.popleft(), ())) - reached
        reached |= fresh
        todo.extend(fresh)
    return reached
