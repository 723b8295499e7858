"""What a finder looks at: one file, what was read of it, and the setting it is looked at in."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zlib import crc32

from jettison.closure import elf, strings
from jettison.closure.choices import Choices
from jettison.closure.elf import DlopenNote, Elf
from jettison.closure.strings import Strings
from jettison.closure.why import Account, Expected, Make, Missing, Need, Omit, Reason, Regenerate, Variable
from jettison.oci import process
from jettison.tree.node import Node
from jettison.tree.notes import NoNotes, Notes, key_of, noted
from jettison.tree.root import Root

if TYPE_CHECKING:
    from jettison.packages.package import Packages

_Read = TypeVar("_Read")

DEFAULT_PATH = tuple(process.DEFAULT_PATH.split(":"))
_HEAD_BYTES = 256  # binfmt_script reads no more
_DATA_LIMIT_BYTES = 64 << 20


class Facts:
    """What was read of a Root's files, so that nothing is read twice, also not by the next closure over the same files."""

    def __init__(self, notes: Notes | None = None) -> None:
        self._notes = notes or NoNotes()
        self._heads: dict[object, bytes] = {}
        self._elves: dict[object, Elf | None] = {}
        self._read: dict[tuple[str, object], Any] = {}
        self._last: tuple[object, bytes] | None = None

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
        return self.read("symbols", root, path, partial(_read_symbols, root, path), frozenset)

    def strings(self, root: Root, path: str) -> Strings:
        """The paths and the names of libraries in an ELF file's data."""
        return self.read("strings", root, path, lambda: strings.read(self.data(root, path)), _strings_of)

    def mentioned(self, root: Root, path: str, texts: tuple[str, ...]) -> frozenset[str]:
        """Those of `texts` that stand anywhere in an ELF file's data."""
        kind = f"mentioned {crc32(repr(texts).encode()):x}"
        return self.read(kind, root, path, partial(self._mentions, root, path, texts), frozenset)

    def alone(self, root: Root, path: str, names: tuple[str, ...]) -> frozenset[str]:
        """Those of `names` that are a whole string in an ELF file's data."""
        kind = f"alone {crc32(repr(names).encode()):x}"
        return self.read(kind, root, path, lambda: strings.alone(self.data(root, path), names), frozenset)

    def read(
        self, kind: str, root: Root, path: str, read: Callable[[], Sequence[Any]], made: Callable[[Sequence[Any]], _Read]
    ) -> _Read:
        """What `made` makes of what `read` gives, once for a file; it gets lists for tuples of a file that was noted before."""
        node = root.lstat(path)
        key = (kind, node.content if node else path)
        if key not in self._read:
            self._read[key] = made(noted(self._notes, key_of(kind, node), read))
        return self._read[key]  # type: ignore[no-any-return]

    def data(self, root: Root, path: str) -> bytes:
        """A file's first 64 MiB, without an ELF file's machine code; those of the last file that was asked for are kept."""
        node = root.lstat(path)
        key = node.content if node else None
        if self._last is None or self._last[0] != key:
            with root.open(path) as file:
                data = file.read(_DATA_LIMIT_BYTES)
            program = self.elf(root, path) if elf.is_elf(data) else None
            self._last = (key, _without(data, program.code) if program else data)
        return self._last[1]

    def _mentions(self, root: Root, path: str, texts: tuple[str, ...]) -> list[str]:
        data = self.data(root, path)
        return [text for text in texts if text.encode("utf-8", "surrogateescape") in data]

    def _read_elf(self, root: Root, path: str, node: Node) -> Elf | None:
        if not elf.is_elf(self.head(root, path, node)):
            return None
        return _elf_of(noted(self._notes, key_of("elf", node), lambda: _read_elf(root, path)))


def _without(data: bytes, parts: Sequence[tuple[int, int]]) -> bytes:
    """Data without (offset, size) of it."""
    kept, at = [], 0
    for offset, size in parts:
        kept.append(data[at:offset])
        at = max(at, offset + size)
    return b"\0".join((*kept, data[at:]))


def _read_elf(root: Root, path: str) -> Elf:
    with root.open(path) as file:
        return elf.read(file, path)


def _read_symbols(root: Root, path: str) -> Sequence[str]:
    with root.open(path) as file:
        return elf.imported_symbols(file, path)


def _strings_of(values: Sequence[Any]) -> Strings:
    paths, libraries = values
    return Strings(tuple(paths), tuple(libraries))


def _elf_of(values: Sequence[Any]) -> Elf:
    facts = Elf(*map(_tuples, values))
    return facts._replace(dlopen=tuple(DlopenNote(*note) for note in facts.dlopen))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


class Said:
    """What one closure has heard: what a rule brings whoever sets it off need be said once."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def is_new(self, name: str) -> bool:
        """Whether this is said for the first time."""
        is_new = name not in self._names
        self._names.add(name)
        return is_new


class Setting(NamedTuple):
    """What is the same for every file of a closure: the environment that the program will have, what the user chose, what is
    known of the files, and who owns them in the Root that they come from.

    `said` is each closure's own; without it everything is said anew.
    """

    packages: "Packages"
    facts: Facts
    environment: tuple[tuple[str, str], ...] = ()
    choices: Choices = Choices()
    said: Said | None = None

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders of PATH."""
        return _folders(dict(self.environment).get("PATH", "")) or DEFAULT_PATH

    def is_new(self, name: str) -> bool:
        """Whether this is said for the first time in a closure."""
        return self.said is None or self.said.is_new(name)

    @property
    def library_path(self) -> tuple[str, ...]:
        """The folders of LD_LIBRARY_PATH."""
        return _folders(dict(self.environment).get("LD_LIBRARY_PATH", ""))


class Subject(NamedTuple):
    """A file that a finder looks at: its real path, its first bytes, and what brought it in."""

    root: Root
    path: str
    head: bytes
    reason: Reason
    setting: Setting

    @property
    def is_loaded(self) -> bool:
        """Whether a program loads it: then its own needs were found with that program's, by the program's search paths."""
        return self.reason.kind in ("needed", "dlopen")

    @property
    def is_script(self) -> bool:
        """Whether the kernel would start its first line: what is imported, or is not executable, is never started by it."""
        if self.reason.kind == "import" or not self.head.startswith(b"#!"):
            return False
        node = self.root.lstat(self.path)
        return node is not None and bool(node.mode & 0o111)

    def read_elf(self, path: str) -> Elf | None:
        """The ELF facts of another file of the same Root."""
        return self.setting.facts.elf(self.root, path)


Finding = Need | Omit | Make | Regenerate | Account | Expected | Missing | Variable
Finder = Callable[[Subject], Iterable[Finding]]


def _folders(value: str) -> tuple[str, ...]:
    return tuple(folder for folder in value.split(":") if folder.startswith("/"))
