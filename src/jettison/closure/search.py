"""Where a dynamic linker searches a name: the order of glibc's ld.so(8), and that of musl's loader."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from jettison.closure import cache
from jettison.closure.directories import glibc, musl
from jettison.closure.elf import Elf
from jettison.tree.root import Root

# AT_PLATFORM of getauxval(3), of the least processor; other machines have none.
_PLATFORMS = {(3, 32): "i686", (40, 32): "v7l", (62, 64): "x86_64", (183, 64): "aarch64"}
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")
_MUSL_TOKEN = re.compile(r"\$(?:\{ORIGIN\}|ORIGIN)")
# musl's libc is all of these: load_library in ldso/dynlink.c.
_MUSL_OWN = re.compile(r"lib(?:c|pthread|rt|m|dl|util|xnet)\.")


class Environment(NamedTuple):
    """What the program's environment tells the linker: LD_LIBRARY_PATH and LD_PRELOAD, split."""

    library_path: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """An object in memory under a name that somebody wanted.

    `path` is what the linker opens, links not followed and `..` as it was written; `real` is the file it leads to; `by` is the
    real path of who wanted it; `rule` says in words how it was found.
    """

    path: str
    real: str
    wanted_name: str
    by: str
    rule: str
    elf: Elf


class Object:
    """A file in memory: under which name it came in, and whose want brought it in."""

    def __init__(self, loaded: Loaded, loader: "Object | None") -> None:
        self.loaded = loaded
        self.loader = loader
        self.elf = loaded.elf

    def chain(self) -> Iterator["Object"]:
        """The object, its loader, that one's loader, up to the program."""
        here: Object | None = self
        while here is not None:
            yield here
            here = here.loader

    def origin(self) -> str:
        """What $ORIGIN stands for: the folder of the program as the kernel names it, of a library as it was opened."""
        return (self.loaded.path if self.loader else self.loaded.real).rpartition("/")[0] or "/"


class Place(NamedTuple):
    """Where a name may be: a file to try, and by which rule. Without a path: a place that has nothing under the name."""

    path: str
    rule: str


class Search(Protocol):
    """One linker's habits."""

    skips_foreign: bool
    checks_versions: bool
    notes: dict[str, None]

    def places(self, name: str, loader: Object) -> Iterator[Place]:
        """Where `loader` finds what it calls `name`, in order."""

    def names(self, loaded: Loaded) -> tuple[str, ...]:
        """The names that an object answers to once it was found."""

    def is_own(self, name: str) -> bool:
        """Whether the linker itself is what `name` means."""

    def dlopen_loader(self, requester: Object, program: Object) -> Object:
        """Whose search paths count when `requester` calls dlopen(3)."""


class GlibcSearch:
    """RPATH of the chain of loaders, LD_LIBRARY_PATH, RUNPATH of the loader alone, the cache, the default directories."""

    skips_foreign = True
    checks_versions = True

    def __init__(self, root: Root, environment: Environment, program: Object) -> None:
        self._system = glibc(root, program.elf.interpreter, program.elf)
        self._environment = environment
        self._program = program
        self._stages: tuple[Callable[[str, Object], Iterator[Place]], ...] = (
            self._rpath,
            self._library_path,
            self._runpath,
            self._cache,
            self._configured,
            self._default,
        )
        self.notes = dict.fromkeys(self._system.notes)

    def places(self, name: str, loader: Object) -> Iterator[Place]:
        if "/" in name:
            yield from _by_path(name, self._expand(name, loader), loader, self.notes)
            return
        for stage in self._stages:
            yield from stage(name, loader)

    def names(self, loaded: Loaded) -> tuple[str, ...]:
        return (loaded.wanted_name, loaded.path, loaded.elf.soname)

    def is_own(self, name: str) -> bool:
        return False

    def dlopen_loader(self, requester: Object, program: Object) -> Object:
        return requester

    def _rpath(self, name: str, loader: Object) -> Iterator[Place]:
        for holder in () if loader.elf.runpath else loader.chain():
            if not holder.elf.runpath:  # an object with a RUNPATH has no RPATH: elf/get-dynamic-info.h
                yield from self._listed(holder.elf.rpath, holder, name, "RPATH")

    def _library_path(self, name: str, _: Object) -> Iterator[Place]:
        yield from self._listed(self._environment.library_path, self._program, name, "LD_LIBRARY_PATH")

    def _runpath(self, name: str, loader: Object) -> Iterator[Place]:
        yield from self._listed(loader.elf.runpath, loader, name, "RUNPATH")

    def _cache(self, name: str, loader: Object) -> Iterator[Place]:
        # Falling back to the least processor's: sorted, x86-64-v2 comes before x86-64-v3.
        entries = sorted(self._system.cache.get(name, ()), key=lambda entry: entry.hwcaps)[:1]
        for entry in entries:
            if not self._is_barred(entry.path, loader):
                yield Place(entry.path, _cache_rule(entry))
        if not entries and not self._system.configured:
            yield Place("", "ld.so.cache")

    def _configured(self, name: str, loader: Object) -> Iterator[Place]:
        """What ldconfig would have put into the cache that is not there."""
        for directory, file in self._system.configured:
            path = f"{directory.rstrip('/')}/{name}"
            if not self._is_barred(path, loader):
                yield Place(path, f"ld.so.conf {file}")

    def _default(self, name: str, loader: Object) -> Iterator[Place]:
        for directory in () if loader.elf.no_default_libs else self._system.default:
            yield Place(f"{directory}/{name}", f"default directory {directory}")

    def _is_barred(self, path: str, loader: Object) -> bool:
        """Whether the loader wants nothing from the default directories (-z nodefaultlib), and this is one's."""
        return loader.elf.no_default_libs and any(path.startswith(f"{folder}/") for folder in self._system.default)

    def _listed(self, elements: Sequence[str], holder: Object, name: str, word: str) -> Iterator[Place]:
        """The folders of a search path that stands in `holder`."""
        for element in elements:
            folder = self._expand(element, holder)
            if folder.startswith("/"):
                yield Place(f"{folder.rstrip('/')}/{name}", f"{word} {element} of {holder.loaded.real}")
            # A path that is empty as a whole is none (decompose_rpath in elf/dl-load.c), nor is an element without its token.
            elif any(elements) and (folder or not element):
                self.notes[_relative(word, element, holder)] = None

    def _expand(self, text: str, holder: Object) -> str:
        """`text` with its tokens replaced; empty where there is nothing to replace one with."""
        values = {
            "ORIGIN": holder.origin(),
            # A path below the root, as Debian's `lib/x86_64-linux-gnu` and Fedora's `lib64`: DL_DST_LIB in elf/Makefile.
            "LIB": "lib" + self._system.default[0].rpartition("/lib")[2],
            "PLATFORM": _PLATFORMS.get((holder.elf.machine, holder.elf.bits), ""),
        }
        tokens = [match[1] or match[2] for match in _TOKEN.finditer(text)]
        expanded = _TOKEN.sub(lambda match: values[match[1] or match[2]], text)
        return _one_slash(expanded) if all(values[token] for token in tokens) else ""


class MuslSearch:
    """LD_LIBRARY_PATH, the RUNPATH or RPATH of the chain of loaders, then one list of folders. Source: ldso/dynlink.c."""

    skips_foreign = False
    checks_versions = False

    def __init__(self, root: Root, environment: Environment, program: Object) -> None:
        self._interpreter = program.elf.interpreter
        self._folders, self._file = musl(root, self._interpreter)
        self._environment = environment
        self.notes: dict[str, None] = {}

    def places(self, name: str, loader: Object) -> Iterator[Place]:
        if "/" in name:
            yield from _by_path(name, name, loader, self.notes)
            return
        for folder in filter(_is_absolute, self._environment.library_path):
            yield Place(f"{folder}/{name}", f"LD_LIBRARY_PATH {folder}")
        for holder in loader.chain():
            yield from self._search_path(name, holder)
        for folder in filter(_is_absolute, self._folders):
            yield Place(f"{folder}/{name}", f"{self._file or 'default directory'} {folder}")

    def names(self, loaded: Loaded) -> tuple[str, ...]:
        # Only what a search has found has a name: its file's.
        return () if "/" in loaded.wanted_name else (loaded.path.rpartition("/")[2],)

    def is_own(self, name: str) -> bool:
        return bool(_MUSL_OWN.match(name)) or name == self._interpreter

    def dlopen_loader(self, requester: Object, program: Object) -> Object:
        return program

    def _search_path(self, name: str, holder: Object) -> Iterator[Place]:
        elements, word = (holder.elf.runpath, "RUNPATH") if holder.elf.runpath else (holder.elf.rpath, "RPATH")
        if any("$" in _MUSL_TOKEN.sub("", element) for element in elements):
            note = f"{word} `{':'.join(elements)}` of {holder.loaded.real}: musl knows no token but $ORIGIN, and ignores it"
            self.notes[note] = None
            return
        for element in filter(None, elements):
            folder = _one_slash(_MUSL_TOKEN.sub(lambda _: holder.origin(), element))
            if folder.startswith("/"):
                yield Place(f"{folder.rstrip('/')}/{name}", f"{word} {element} of {holder.loaded.real}")
            else:
                self.notes[_relative(word, element, holder)] = None


def search_of(root: Root, environment: Environment, program: Object) -> Search:
    """The search of the linker that starts `program`."""
    return (MuslSearch if _is_musl(program.elf) else GlibcSearch)(root, environment, program)


def _is_musl(elf: Elf) -> bool:
    """Told by the interpreter's name; of a library, which has none, by the C library it needs."""
    if elf.interpreter:
        return "/ld-musl-" in elf.interpreter
    return any(name == "libc.so" or name.startswith("libc.musl-") for name in elf.needed)


def _by_path(name: str, path: str, loader: Object, notes: dict[str, None]) -> Iterator[Place]:
    if path.startswith("/"):
        yield Place(path, "absolute path")
    else:
        notes[_relative("NEEDED", name, loader)] = None


def _one_slash(path: str) -> str:
    """`/lib` for `//lib`, which is what `$ORIGIN/lib` is for a program at `/`."""
    return f"/{path.lstrip('/')}" if path.startswith("/") else path


def _is_absolute(folder: str) -> bool:
    return folder.startswith("/")


def _relative(word: str, element: str, holder: Object) -> str:
    return f"{word} `{element}` of {holder.loaded.real} depends on the working directory: left out"


def _cache_rule(entry: cache.Entry) -> str:
    return f"ld.so.cache, for {entry.hwcaps} only" if entry.hwcaps else "ld.so.cache"
