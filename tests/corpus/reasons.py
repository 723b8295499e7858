"""Whether each file of an image has its reasons, down to the program that was packed."""

from collections.abc import Iterator

from corpus.image import Image, store
from corpus.world import World
from jettison.image.store import open_store
from jettison.verbs.examine import examine

# What says no more than the reason's kind does.
_EMPTY = {"", "package", "rule", "string", "symbol"}


def unreasoned(image: Image, world: World) -> list[str]:
    """Paths without a chain to an entry, or with a link in it that gives no evidence; and why."""
    return list(_unreasoned(image, world))


def _unreasoned(image: Image, world: World) -> Iterator[str]:
    examined = examine(image.tag, open_store(str(store(world))))
    for path, node in examined.tree.nodes.items():
        if node.kind == "dir":
            continue
        chain = examined.closure.why(path)
        if not chain:
            yield f"{path}: no chain to an entry"
        for link in chain:
            if link.reason.detail.strip() in _EMPTY:
                yield f"{path}: {link.reason.kind} by {link.reason.by} says `{link.reason.detail}`"
