"""weigh: net weight, what a program needs, against tare, what only travels along."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jettison.closure.choices import Choices
from jettison.image.store import LocalStore
from jettison.tree.node import Node
from jettison.verbs.examine import Examined, examine

_HEAVIEST = 10


class Part(NamedTuple):
    """A share of the whole: sizes in bytes of files' contents, and how many paths are net and tare."""

    name: str
    net_bytes: int
    tare_bytes: int
    net_files: int
    tare_files: int

    @property
    def total_bytes(self) -> int:
        return self.net_bytes + self.tare_bytes


class Weight(NamedTuple):
    """The whole and its shares, the heaviest first; `heaviest_tare` are the ten packages with the most of it. A hard link weighs
    once. Folders are not counted as files."""

    total: Part
    by_folder: tuple[Part, ...]
    by_package: tuple[Part, ...]
    by_reason: tuple[Part, ...]
    has_entry: bool
    heaviest_tare: tuple[Part, ...]


def weigh(target: str, store: LocalStore, programs: Sequence[str] = (), choices: Choices | None = None) -> Weight:
    """Weigh an image or a folder: what `slim` would leave is net. Writes no image, executes nothing.

    Errors: NotFound, InvalidData, HostileData.
    """
    return weigh_examined(examine(target, store, programs, choices))


def weigh_examined(examined: Examined) -> Weight:
    """Weigh what was examined."""

    def package_of(path: str) -> str:
        package = examined.packages.get(path)
        return str(package) if package else "(no package)"

    def reason_of(path: str) -> str:
        reasons = examined.closure.reasons.get(path)
        return reasons[0].kind if reasons else "(nothing needs it)"

    files = _files(examined)
    by_package = _shares(files, examined, package_of)
    with_tare = [part for part in by_package if part.tare_bytes]
    return Weight(
        _sum("total", files, examined),
        _shares(files, examined, _folder),
        by_package,
        _shares(files, examined, reason_of),
        bool(examined.closure.reasons),
        tuple(sorted(with_tare, key=lambda part: (-part.tare_bytes, part.name))[:_HEAVIEST]),
    )


def _files(examined: Examined) -> list[tuple[str, Node]]:
    """Every path but folders; of hard links the first that is needed, or the first, has the weight."""
    nodes = [(path, node) for path, node in examined.tree.nodes.items() if node.kind != "dir"]
    heavy: set[tuple[int, int]] = set()
    files = []
    for path, node in sorted(nodes, key=lambda item: (item[0] not in examined.closure, item[0])):
        if node.inode in heavy:
            node = node._replace(size=0)
        elif node.inode is not None:
            heavy.add(node.inode)
        files.append((path, node))
    return files


def _shares(files: list[tuple[str, Node]], examined: Examined, key: Callable[[str], str]) -> tuple[Part, ...]:
    groups: dict[str, list[tuple[str, Node]]] = {}
    for path, node in files:
        groups.setdefault(key(path), []).append((path, node))
    parts = [_sum(name, members, examined) for name, members in groups.items()]
    return tuple(sorted(parts, key=lambda part: (-part.total_bytes, part.name)))


def _sum(name: str, files: list[tuple[str, Node]], examined: Examined) -> Part:
    net = [node.size for path, node in files if path in examined.closure]
    tare = [node.size for path, node in files if path not in examined.closure]
    return Part(name, sum(net), sum(tare), len(net), len(tare))


def _folder(path: str) -> str:
    """The first two folders of a path: `/usr/lib`."""
    return "/" + "/".join(path.split("/")[1:-1][:2])
