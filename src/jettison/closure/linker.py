"""What the dynamic linker maps for a program, as a function of a Root: which files, in which order, found by which rule.

Nothing is executed, so that the Root may be for any machine. The result is for the least processor: folders of glibc-hwcaps
are not looked into, and of the cache's entries the one for all processors is taken; where there is none, the one for the
least, and the rule says so. A working directory is not known: search paths relative to it are left out, with a note.
"""

from collections.abc import Callable
from typing import NamedTuple

from jettison.closure import elf as elf_facts
from jettison.closure.directories import GLIBC_PRELOAD, read_file
from jettison.closure.elf import Elf
from jettison.closure.search import Environment, Loaded, Object, search_of
from jettison.closure.why import Missing, Reason, ReasonKind
from jettison.errors import InvalidData, NotFound
from jettison.tree.root import Resolved, Root, resolve, unreadable

__all__ = ["Environment", "Loaded", "Loading", "Read", "dlopen", "load", "reader"]

Read = Callable[[str], Elf | None]

_PROBES_LIMIT = 1 << 18
_PRELOAD_LIMIT = 64 << 10

# Machines on which objects of different calling conventions exist: those bits of e_flags have to be equal. Arm: soft and hard
# float; RISC-V: float registers and RVE; LoongArch: float registers.
_ABI_MASKS = {40: 0x600, 243: 0x00E, 258: 0x007}


class Loading(NamedTuple):
    """What is in memory once the program has started.

    `objects` are in the order in which the linker maps them, one for each wanted name that was searched: two names may lead to
    one file, and then both paths have to exist. `again` are the wants that an object answered that was in memory already.
    `missing` was not found; `problems` are versions of symbols that a library which was found does not define; `notes` say
    what was left out.
    """

    program: Loaded
    interpreter: Loaded | None
    objects: tuple[Loaded, ...]
    again: tuple[Loaded, ...]
    missing: tuple[Missing, ...]
    problems: tuple[Missing, ...]
    notes: tuple[str, ...]
    environment: Environment


_NO_ENVIRONMENT = Environment()


def load(root: Root, program: str, environment: Environment = _NO_ENVIRONMENT, read: Read | None = None) -> Loading:
    """What the start of `program` maps. `read` gives the facts of a real path, None for a file that is no ELF file.

    A library stands for a program here only where no program is known that loads it: with one, ask `dlopen`.
    Errors: NotFound and InvalidData for the program itself.
    """
    read = read or reader(root)
    found = resolve(root, program)
    if found.node is None:
        raise NotFound(f"no program at `{program}`")
    elf = read(found.path)
    if elf is None:
        raise InvalidData(f"`{program}` is not an ELF program")
    process = _Process(root, read, environment, Loaded(program, found.path, program, "", "program", elf))
    process.start()
    return process.loading()


def dlopen(root: Root, loading: Loading, requester: str, name: str, read: Read | None = None) -> Loading:
    """What is in memory after the object whose real path is `requester` has called dlopen(name).

    New are the `objects`, `again`, `missing`, `problems` and `notes` after those of `loading`. A requester that is not in
    memory is taken for the program.
    """
    process = _Process(root, read or reader(root), loading.environment, loading.program)
    process.resume(loading)
    process.dlopen(name, requester)
    return process.loading()


def reader(root: Root) -> Read:
    """A `read` of a Root's files that reads each of them once."""
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


class _Process:
    """The objects in memory so far."""

    def __init__(self, root: Root, read: Read, environment: Environment, program: Loaded) -> None:
        self._root = root
        self._read = read
        self._environment = environment
        self._program = Object(program, None)
        self._search = search_of(root, environment, self._program)
        self._interpreter: Object | None = None
        self._mapped: list[Object] = []
        self._by_name: dict[str, Object] = {}
        self._by_real: dict[str, Object] = {}
        self._objects: list[Loaded] = []
        self._again: list[Loaded] = []
        self._missing: list[Missing] = []
        self._problems: list[Missing] = []
        self._probes_left = _PROBES_LIMIT

    def loading(self) -> Loading:
        return Loading(
            self._program.loaded,
            self._interpreter.loaded if self._interpreter else None,
            tuple(self._objects),
            tuple(self._again),
            tuple(self._missing),
            tuple(self._problems),
            tuple(self._search.notes),
            self._environment,
        )

    def start(self) -> None:
        """Map the program, its interpreter, what is preloaded, and what all of them need, breadth first."""
        self._map(self._program)
        if self._program.elf.interpreter:
            self._map_interpreter(self._program.elf.interpreter)
            for name in self._preloaded():
                self._want(name, self._program, "needed", f"preload {name}")
        self._settle(0)

    def resume(self, loading: Loading) -> None:
        """Map again what is in memory already."""
        self._map(self._program)
        if loading.interpreter:
            self._interpreter = self._remember(Object(loading.interpreter, self._program))
        for loaded in loading.objects:
            self._enter(loaded, self._by_real.get(loaded.by, self._program))
        self._again = list(loading.again)
        self._missing = list(loading.missing)
        self._problems = list(loading.problems)
        self._search.notes = dict.fromkeys((*loading.notes, *self._search.notes))

    def dlopen(self, name: str, requester: str) -> None:
        first = len(self._mapped)
        loader = self._search.dlopen_loader(self._by_real.get(requester, self._program), self._program)
        self._want(name, loader, "dlopen", f"dlopen {name}")
        self._settle(first)

    def _map_interpreter(self, path: str) -> None:
        """The kernel maps it, by its path alone."""
        found = self._resolve(path) if path.startswith("/") else None
        elf = self._read(found.path) if found and found.node and found.node.kind == "file" else None
        if found is None or elf is None or not _suits(elf, self._program.elf):
            self._missing.append(Missing(path, Reason("interpreter", self._program.loaded.real, f"PT_INTERP {path}")))
            return
        loaded = Loaded(path, found.path, path, self._program.loaded.real, "program interpreter", elf)
        self._interpreter = self._remember(Object(loaded, self._program))

    def _preloaded(self) -> list[str]:
        """LD_PRELOAD, and for glibc the names in /etc/ld.so.preload: without comments, between blanks and colons."""
        text = (read_file(self._root, GLIBC_PRELOAD, _PRELOAD_LIMIT) or b"").decode("utf-8", "surrogateescape")
        lines = text.split("\n") if self._search.checks_versions else []
        words = " ".join(line.partition("#")[0] for line in lines).replace(":", " ").split()
        return [*self._environment.preload, *words]

    def _settle(self, first: int) -> None:
        """Load what the objects from number `first` on need, and what that needs, then compare the versions of symbols."""
        position = first
        while position < len(self._mapped):
            here = self._mapped[position]
            for name in here.elf.needed:
                self._want(name, here, "needed", f"NEEDED {name}")
            position += 1
        for here in self._mapped[first:] if self._search.checks_versions else ():
            self._compare_versions(here)

    def _want(self, name: str, loader: Object, kind: ReasonKind, detail: str) -> None:
        is_own = self._search.is_own(name)
        known = self._interpreter if is_own else self._by_name.get(name)
        if known:
            rule = f"in memory already, {known.loaded.rule}"
            self._again.append(known.loaded._replace(wanted_name=name, by=loader.loaded.real, rule=rule))
        elif not is_own:
            found, looked_in = self._find(name, loader)
            if found:
                self._enter(found, loader)
            else:
                self._missing.append(Missing(name, Reason(kind, loader.loaded.real, detail), looked_in))

    def _find(self, name: str, loader: Object) -> tuple[Loaded | None, tuple[str, ...]]:
        """The first candidate that suits, or where it was looked for."""
        looked_in: dict[str, None] = {}
        for place in self._search.places(name, loader):
            looked_in[place.path.rpartition("/")[0] or place.path or place.rule] = None
            found = self._resolve(place.path) if place.path else None
            if found is None or found.node is None or found.node.kind != "file":
                continue
            elf, objection = self._judge(found.path)
            if elf and not objection:
                return Loaded(place.path, found.path, name, loader.loaded.real, place.rule, elf), ()
            looked_in[f"{place.path} ({objection})"] = None
            if elf is None or not self._search.skips_foreign:  # the linker gives up here too
                break
        return None, tuple(looked_in)

    def _judge(self, real: str) -> tuple[Elf | None, str]:
        """A candidate's facts, and what speaks against it."""
        try:
            elf = self._read(real)
        except InvalidData as error:
            return None, error.message
        if elf is None:
            return None, "not an ELF file"
        return elf, "" if _suits(elf, self._program.elf) else "for another machine"

    def _resolve(self, path: str) -> Resolved | None:
        self._probes_left -= 1
        if self._probes_left < 0:
            raise InvalidData(f"`{self._program.loaded.real}`: its libraries name more than {_PROBES_LIMIT} places to look in")
        try:
            return resolve(self._root, path)
        except InvalidData:  # a ring of links is nothing to load
            return None

    def _enter(self, loaded: Loaded, loader: Object) -> None:
        """A name was found; the file is mapped if no other name has led to it."""
        self._objects.append(loaded)
        known = self._by_real.get(loaded.real)
        if known is None:
            self._map(Object(loaded, loader))
        else:
            self._name(known, loaded)

    def _map(self, new: Object) -> None:
        self._mapped.append(self._remember(new))

    def _remember(self, new: Object) -> Object:
        self._by_real[new.loaded.real] = new
        self._name(new, new.loaded)
        return new

    def _name(self, known: Object, loaded: Loaded) -> None:
        for name in self._search.names(loaded):
            if name:
                self._by_name.setdefault(name, known)

    def _compare_versions(self, here: Object) -> None:
        """ld.so fails on a version that a library does not define; not if it defines none, nor if the need is weak."""
        for file, versions in here.elf.versions_needed:
            library = self._by_name.get(file)
            defined = library.elf.versions_defined if library else ()
            for version in versions if defined else ():
                if library and version not in defined and (file, version) not in here.elf.weak_versions:
                    reason = Reason("needed", here.loaded.real, f"version {version} of {file}")
                    self._problems.append(Missing(f"{version} in {file}", reason, (library.loaded.path,)))


def _suits(elf: Elf, program: Elf) -> bool:
    """Whether an object may be loaded into the program's memory."""
    mask = _ABI_MASKS.get(program.machine, 0)
    return (
        (elf.bits, elf.byte_order, elf.machine) == (program.bits, program.byte_order, program.machine)
        and elf.abi_flags & mask == program.abi_flags & mask
        and elf.type in ("dyn", "exec")
    )
