"""What a Python script needs: the graph of its imports, with whole distributions where it leaves the standard library.

Of the standard library the interpreter's rule brings nearly all, so that only what the script asks for by name is followed into
it, unless the level wants no more than that.
"""

import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from jettison.closure import languages, python_source, script_text, shell
from jettison.closure.facts import Facts, Finding, Subject
from jettison.closure.kin import Kin
from jettison.closure.python_layout import Distribution, Distributions, Layout, layout
from jettison.closure.python_source import Import, Source
from jettison.closure.resolve import find_program
from jettison.closure.why import Confidence, Missing, Need, Reason
from jettison.packages.package import Package
from jettison.tree.root import Root, lead, normalise

_MODULES_LIMIT = 5000
_OWN_LIMIT = 500
_ENTRY_POINT = re.compile(r"(?m)^([\w.-]+)[ \t]*=[ \t]*([\w.]+)")
_LIBRARY_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


class _Module(NamedTuple):
    """A module that was found: its dotted name, its file (a package's `__init__.py`, or its folder without one)."""

    name: str
    path: str
    is_package: bool


def needs(subject: Subject, _: str = "python") -> Iterator[Finding]:
    """What the script needs, as the interpreter of its first line finds it, or python3."""
    name = languages.interpreter(subject) or "python3"
    interpreter = find_program(subject.root, name, subject.setting.search_path)
    found = layout(subject.root, interpreter) if interpreter else None
    real: dict[str, str] = {}  # reasons name files by their real paths
    for finding in _Graph(subject, interpreter, found).walk() if found is not None else ():
        by = finding.reason.by
        if by not in real:
            real[by] = _real(subject.root, by)
        yield finding._replace(reason=finding.reason._replace(by=real[by]))


class _Graph:
    """The modules that were found, and those that are still to be read."""

    def __init__(self, subject: Subject, interpreter: str, found: Layout) -> None:
        self._subject = subject
        self._root = subject.root
        self._interpreter = interpreter
        self._layout = found
        self._script_folder = subject.path.rpartition("/")[0] or "/"
        self._path = [self._script_folder, *found.path]
        self._distributions = Distributions(subject.root, found.sites)
        self._names: dict[str, frozenset[str]] = {}
        self._read: set[str] = set()
        self._whole: set[str] = set()
        self._distributed: set[str] = set()
        # What is certainly imported is read first: what is only perhaps imported says less of what will be started.
        self._certain = deque([_Module("__main__", subject.path, False)])
        self._likely: deque[_Module] = deque()
        # Without the rule that brings the whole library, each module in it is followed.
        self._follows_library = not subject.setting.choices.admits("likely")

    def walk(self) -> Iterator[Need | Missing]:
        """Every need, nearest first."""
        for path in self._layout.configuration:
            yield Need(path, Reason("import", self._subject.path, "says where modules are", "certain"))
        while (self._certain or self._likely) and len(self._read) < _MODULES_LIMIT:
            confidence: Confidence = "certain" if self._certain else "likely"
            module = (self._certain or self._likely).popleft()
            if module.path not in self._read:
                self._read.add(module.path)
                yield from self._module(module, confidence)

    def _module(self, module: _Module, confidence: Confidence) -> Iterator[Need | Missing]:
        source = self._source(module.path)
        for folder in source.folders:
            path = normalise(folder, module.path.rpartition("/")[0])
            if path not in self._path and self._root.listdir(path):
                self._path.insert(1, path)
        for wanted in source.imports:
            yield from self._import(module, wanted if confidence == "certain" else wanted._replace(confidence="likely"))
        for name in source.requires:
            yield from self._entry_points(name, module.path)
            yield from self._required(name, module.path)
        if not self._is_library(module.path):
            yield from self._started(module.path, source, "likely" if confidence == "certain" else "hint")
            yield from self._libraries(module.path, source)
            kin = Kin(self._root, self._subject.setting.packages, module.path)
            for text in source.texts:
                yield from script_text.own_files(self._root, kin, text, module.path)

    def _source(self, path: str) -> Source:
        found = lead(self._root, path)
        if found is None or found.node is None or found.node.kind != "file" or found.node.size > python_source.LIMIT_BYTES:
            return Source()
        if path.endswith(".so"):
            return Source()
        facts = self._subject.setting.facts
        read = partial(_read, facts, self._root, found.path, path)
        return facts.read(f"python {path}", self._root, found.path, read, python_source.source_of)

    def _import(self, module: _Module, wanted: Import) -> Iterator[Need | Missing]:
        """The modules that an import statement loads: each package on the way, and the members that are modules."""
        name = _absolute(module, wanted.name)
        loaded = self._find(name)
        if loaded and loaded[-1].name == name:
            for member in wanted.members:
                if member == "*":
                    continue
                loaded += self._find(f"{name}.{member}")[-1:]
        for found in dict.fromkeys(loaded):
            yield from self._take(found, Reason("import", module.path, f"import {found.name}", wanted.confidence))

    def _take(self, found: _Module, reason: Reason) -> Iterator[Need | Missing]:
        yield Need(found.path, reason)
        is_library = self._is_library(found.path)
        is_followed = not is_library or self._follows_library
        if is_followed and found.path not in self._read and self._subject.setting.choices.admits(reason.confidence):
            (self._certain if reason.confidence == "certain" else self._likely).append(found)
        if not is_library:
            yield from self._unit(found)

    def _unit(self, found: _Module) -> Iterator[Need | Missing]:
        """All of the distribution that a module belongs to, which may load its parts late; or all of its package."""
        top = self._top(found)
        distribution = self._distributions.of_top(top)
        if distribution is not None:
            yield from self._distribution(distribution, found.path)
        elif top != found.path:
            yield from self._below(top, Reason("import", found.path, f"the package {found.name.split('.')[0]}", "likely"))

    def _distribution(self, distribution: Distribution, by: str) -> Iterator[Need | Missing]:
        if distribution.metadata in self._distributed:
            return
        self._distributed.add(distribution.metadata)
        reason = Reason(
            "import", by, f"its distribution {distribution.name}, which may load each part when it is asked", "likely"
        )
        for top in (distribution.metadata, *distribution.tops):
            yield from self._below(top, reason)
        owner = self._owner(distribution)
        if owner is not None and owner == self._subject.setting.packages.owner(self._subject.path):
            self._follow_all(distribution)
        for name in (*distribution.requires, *self._packaged_with(owner)):
            yield from self._required(name, by)

    def _owner(self, distribution: Distribution) -> Package | None:
        tops = (_real(self._root, top) for top in (distribution.metadata, *distribution.tops))
        owners = (self._subject.setting.packages.owner(top) for top in tops)
        return next((owner for owner in owners if owner), None)

    def _follow_all(self, distribution: Distribution) -> None:
        """The script is a program of this distribution, so that its parts are the program's, also those it loads late."""
        for top in distribution.tops:
            start = len(top.rpartition("/")[0]) + 1
            for path in islice(script_text.below(self._root, _real(self._root, top)), _OWN_LIMIT):
                if path.endswith(".py"):
                    is_package = path.endswith("/__init__.py")
                    name = path[start:].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                    self._likely.append(_Module(name, path, is_package))

    def _packaged_with(self, owner: Package | None) -> list[str]:
        """The distributions of the packages that a distribution's own package depends on."""
        packages = self._subject.setting.packages
        names = {item.name for item in packages.dependencies(owner)} if owner else set()
        return [item.name for item in self._distributions.all() if f"python3-{item.name.lower().replace('_', '-')}" in names]

    def _below(self, top: str, reason: Reason) -> Iterator[Need | Missing]:
        if top in self._whole:
            return
        self._whole.add(top)
        found = lead(self._root, top)
        for path in script_text.below(self._root, found.path) if found and found.node else ():
            yield Need(path, reason)

    def _entry_points(self, name: str, by: str) -> Iterator[Need | Missing]:
        """The modules that a script starts which asks a distribution for its entry point by the script's own name."""
        distribution = self._distributions.named(name)
        text = script_text.read(self._root, f"{distribution.metadata}/entry_points.txt") if distribution else ""
        own = self._subject.path.rpartition("/")[2]
        for script, module in _ENTRY_POINT.findall(text):
            for found in self._find(module) if script == own else ():
                yield from self._take(found, Reason("import", by, f"entry point `{script}` of {name}", "certain"))

    def _required(self, name: str, by: str) -> Iterator[Need | Missing]:
        """A distribution that another's metadata names."""
        distribution = self._distributions.named(name)
        if distribution is None or distribution.metadata in self._distributed:
            return
        reason = Reason("import", by, f"requires the distribution {name}", "likely")
        for top in distribution.tops:
            for found in self._find(top.rpartition("/")[2].split(".")[0])[:1]:
                yield from self._take(found, reason)
        yield from self._distribution(distribution, by)

    def _started(self, by: str, source: Source, confidence: Confidence) -> Iterator[Need]:
        """The programs that a module starts by constant names, and the commands that it gives a shell."""
        subject = self._subject
        for name in source.programs:
            path = find_program(self._root, name, subject.setting.search_path) if name.startswith("/") or "/" not in name else ""
            if path:
                yield Need(path, Reason("string", by, f"starts `{name}`", confidence))
        for text in source.shells if subject.setting.choices.shell != "none" else ():
            yield Need("/bin/sh", Reason("string", by, f"has a shell run `{text:.80}`", confidence))
            for need in shell.needs_of_text(subject, text, by=by):
                yield need._replace(reason=need.reason._replace(confidence=confidence))

    def _libraries(self, by: str, source: Source) -> Iterator[Need | Missing]:
        """The libraries that ctypes or cffi open by a constant name."""
        names = list(source.libraries)
        names += [name for text in source.found_libraries for name in _sonames(self._root, text)]
        for name in names:
            yield from library(self._subject, self._interpreter, by, name)

    def _top(self, found: _Module) -> str:
        """The module or package at the top of the folder of sys.path that a module was found in."""
        parts = found.name.split(".")
        folder = found.path
        for _ in range(len(parts) - (0 if found.path.endswith("/__init__.py") else 1)):
            folder = folder.rpartition("/")[0]
        return folder if len(parts) > 1 or found.is_package else found.path

    def _is_library(self, path: str) -> bool:
        library = self._layout.library
        return path.startswith(f"{library}/") and not path.startswith((f"{library}/dist-packages/", f"{library}/site-packages/"))

    def _find(self, name: str) -> list[_Module]:
        """The module of an absolute name, after the packages that it lies in; as far as they are there."""
        found: list[_Module] = []
        folders = self._path
        parts = name.split(".")
        for position, part in enumerate(parts):
            module = self._in_folders(folders, part, ".".join(parts[: position + 1])) if part.isidentifier() else None
            if module is None:
                return [item for item in found if not self._is_folder(item.path)]
            found.append(module)
            folders = [module.path.removesuffix("/__init__.py")] if module.is_package else []
        return [item for item in found if not self._is_folder(item.path)]

    def _in_folders(self, folders: list[str], part: str, name: str) -> _Module | None:
        namespace = None
        for folder in folders:
            names = self._listed(folder)
            if part in names and script_text.is_file(self._root, f"{folder}/{part}/__init__.py"):
                return _Module(name, f"{folder}/{part}/__init__.py", True)
            if f"{part}.py" in names:
                return _Module(name, f"{folder}/{part}.py", False)
            extension = next((item for item in sorted(names) if item.startswith(f"{part}.") and item.endswith(".so")), "")
            if extension:
                return _Module(name, f"{folder}/{extension}", False)
            if part in names and namespace is None and self._is_folder(f"{folder}/{part}"):
                namespace = _Module(name, f"{folder}/{part}", True)
        return namespace

    def _is_folder(self, path: str) -> bool:
        found = lead(self._root, path)
        return found is not None and found.node is not None and found.node.kind == "dir"

    def _listed(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            found = lead(self._root, folder)
            self._names[folder] = frozenset(self._root.listdir(found.path)) if found and found.node else frozenset()
        return self._names[folder]


def library(subject: Subject, interpreter: str, by: str, name: str) -> Iterator[Need | Missing]:
    """A library that an interpreter opens by dlopen(3), with what it needs in turn."""
    from jettison.closure import linker

    found = lead(subject.root, interpreter)
    if found is None or subject.read_elf(found.path) is None:
        return
    environment = linker.Environment(library_path=subject.setting.library_path)
    loading = linker.load(subject.root, found.path, environment, subject.read_elf)
    after = linker.dlopen(subject.root, loading, found.path, name, subject.read_elf)
    first, *rest = after.objects[len(loading.objects) :] or (None,)
    if first is not None:
        yield Need(first.path, Reason("dlopen", by, f"opens {name}, via {first.rule}", "likely"))
    for item in rest:
        if item is not None:
            yield Need(item.path, Reason("dlopen", item.by, f"{item.wanted_name} via {item.rule}", "likely"))


def _read(facts: Facts, root: Root, real: str, path: str) -> Source:
    return python_source.read(facts.data(root, real), path)


def _absolute(module: _Module, name: str) -> str:
    """A name with leading dots, as a module of this name asks for it."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parts = module.name.split(".")
    package = parts[: len(parts) - level + (1 if module.is_package else 0)]
    return ".".join([*package, *([name[level:]] if name[level:] else [])])


def _sonames(root: Root, name: str) -> list[str]:
    """What ctypes.util.find_library may find for a name: libNAME.so.*, the shortest."""
    folders = [folder for stem in _LIBRARY_FOLDERS for folder in (stem, *(f"{stem}/{item}" for item in _triplets(root, stem)))]
    names = {item for folder in folders for item in root.listdir(_real(root, folder)) if item.startswith(f"lib{name}.so.")}
    return sorted(names, key=lambda item: (len(item), item))[:1]


def _triplets(root: Root, folder: str) -> list[str]:
    return [name for name in root.listdir(_real(root, folder)) if "-linux-" in name]


def _real(root: Root, folder: str) -> str:
    found = lead(root, folder)
    return found.path if found and found.node else folder
