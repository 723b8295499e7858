"""The dynamic linker's search order, as a function of a Root.

What ld.so(8) of glibc, or musl's loader, would map for a program, in its order, and by which rule each object was found. Nothing
is executed, so the Root may be for any machine.

The result is for the least processor: folders of glibc-hwcaps are not looked into, and of the cache's entries the one for all
processors is taken; where there is none, the one for the least, and the rule says so. A working directory is not known, so
that search paths relative to it are left out, with a note.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from jettison.closure import elf as elf_facts
from jettison.closure.directories import GLIBC_PRELOAD, Glibc, glibc, musl, read_file
from jettison.closure.elf import Elf
from jettison.closure.why import Missing, Reason, ReasonKind
from jettison.errors import InvalidData, NotFound
from jettison.tree.root import Root, resolve, unreadable

Read = Callable[[str], Elf | None]

_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")
_OBJECTS_LIMIT = 1 << 14
_PRELOAD_LIMIT = 64 << 10

# AT_PLATFORM of getauxval(3), of the least processor; other machines have none.
_PLATFORMS = {(3, 32): "i686", (62, 64): "x86_64", (183, 64): "aarch64", (40, 32): "v7l"}
# Machines on which objects of different calling conventions exist: those bits of e_flags have to be equal. Arm: soft and hard
# float; RISC-V: float registers, RVE; LoongArch: float registers.
_ABI_MASKS = {40: 0x600, 243: 0x00E, 258: 0x007}
# musl is all of these: ldso/dynlink.c, load_library.
_MUSL_OWN = re.compile(r"lib(c|pthread|rt|m|dl|util|xnet)\.")


class Environment(NamedTuple):
    """What the program's environment tells ld.so: LD_LIBRARY_PATH and LD_PRELOAD, split."""

    library_path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """An object in memory under a name somebody wanted.

    `path` is what ld.so opens, links not followed and `..` as it was written; `real` is the file it leads to; `by` is the real
    path of who wanted it; `rule` says in words how it was found.
    """

    path: str
    real: str
    wanted_name: str
    by: str
    rule: str
    elf: Elf


class Loading(NamedTuple):
    """What is in memory once the program starts.

    `objects` are in the order in which ld.so maps them, one for each wanted name that was searched for: two names may lead to
    one file, and then both paths have to exist. `again` are the wants that an object answered that was already in memory.
    `problems` are versions of symbols that are needed from a library that does not define them.
    """

    program: Loaded
    interpreter: Loaded | None
    objects: tuple[Loaded, ...]
    again: tuple[Loaded, ...]
    missing: tuple[Missing, ...]
    problems: tuple[Missing, ...]
    notes: tuple[str, ...]
    environment: Environment


class _Place(NamedTuple):
    """Where a name may be: a file to try, and by which rule."""

    path: str
    rule: str


class _Object:
    """An object in memory: where it was found first, and who made the linker load it."""

    def __init__(self, loaded: Loaded, loader: "_Object | None") -> None:
        self.loaded = loaded
        self.loader = loader
        self.elf = loaded.elf

    @property
    def chain(self) -> Iterator["_Object"]:
        """The object, its loader, that one's loader, up to the program."""
        here: _Object | None = self
        while here is not None:
            yield here
            here = here.loader


def load(root: Root, program: str, environment: Environment = Environment(), read: Read | None = None) -> Loading:
    """What the start of `program` maps. `read` gives the facts of a real path, None for a file that is no ELF file.

    A library is a program here only when nothing loads it: ask `dlopen` for one that a program loads.
    Errors: NotFound, InvalidData for the program itself.
    """
    read = read or reader(root)
    found = resolve(root, program)
    if found.node is None:
        raise NotFound(f"no program at `{program}`")
    elf = read(found.path)
    if elf is None:
        raise InvalidData(f"`{program}` is not an ELF program")
    loaded = Loaded(program, found.path, program, "", "program", elf)
    process = _process(root, read, environment, loaded)
    process.start()
    return process.loading()


def dlopen(root: Root, loading: Loading, requester: str, name: str, read: Read | None = None) -> Loading:
    """What is in memory after the object with the real path `requester` has called dlopen(name), first things first.

    New are the `objects`, `again`, `missing`, `problems` and `notes` after those of `loading`. A requester that is not in
    memory, a script say, is taken for the program.
    """
    process = _process(root, read or reader(root), loading.environment, loading.program)
    process.resume(loading)
    process.open(name, requester)
    return process.loading()


def reader(root: Root) -> Read:
    """Reads the facts of files of a Root, each once."""
    known: dict[str, Elf | None] = {}

    def read(path: str) -> Elf | None:
        if path not in known:
            known[path] = _read(root, path)
        return known[path]

    return read


def _read(root: Root, path: str) -> Elf | None:
    try:
        with root.open(path) as file:
            return elf_facts.read(file, path) if elf_facts.is_elf(file.read(4)) else None
    except OSError as error:
        raise unreadable(path, error) from error


def _process(root: Root, read: Read, environment: Environment, program: Loaded) -> "_Process":
    return (_MuslProcess if _wants_musl(program.elf) else _GlibcProcess)(root, read, environment, program)


def _wants_musl(elf: Elf) -> bool:
    if elf.interpreter:
        return "/ld-musl-" in elf.interpreter
    return any(name == "libc.so" or name.startswith("libc.musl-") for name in elf.needed)


class _Process:
    """The objects in memory so far, and how the next one is searched. What differs between linkers is in the subclasses."""

    def __init__(self, root: Root, read: Read, environment: Environment, program: Loaded) -> None:
        self.root = root
        self.read = read
        self.environment = environment
        self.program = _Object(program, None)
        self.interpreter: _Object | None = None
        self.objects: list[Loaded] = []
        self.again: list[Loaded] = []
        self.missing: list[Missing] = []
        self.problems: list[Missing] = []
        self.notes: dict[str, None] = {}
        self._mapped: list[_Object] = []
        self._by_name: dict[str, _Object] = {}
        self._by_real: dict[str, _Object] = {}

    def names(self, loaded: Loaded) -> tuple[str, ...]:
        """The names by which an object that was found is known from then on."""
        raise NotImplementedError

    def own(self, name: str) -> _Object | None:
        """The object in memory that answers `name` without a search."""
        raise NotImplementedError

    def places(self, name: str, loader: _Object) -> Iterator[_Place]:
        """Where a name without a slash is searched, in order."""
        raise NotImplementedError

    def takes(self, elf: Elf) -> bool:
        """Whether the search ends at a candidate that is an ELF file, suits or not."""
        raise NotImplementedError
