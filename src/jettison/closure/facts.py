"""What a finder looks at: one file, what was read of it, and the environment it will run in."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from jettison.closure import elf
from jettison.closure.elf import Elf
from jettison.closure.why import Missing, Need, Reason, Variable
from jettison.tree.node import Node
from jettison.tree.root import Root

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
