"""What the names in a program's data mean in its Root: libraries that it opens, programs that it starts, what it reads."""

import re
from collections.abc import Iterator
from functools import cached_property

from jettison.closure.elf import Elf
from jettison.closure.facts import Finding, Subject
from jettison.closure.host import is_provided
from jettison.closure.kin import Kin, is_program, is_public, is_useful, leads_to_data
from jettison.closure.place import is_system, within
from jettison.closure.strings import commands, is_for_people, named_paths, words
from jettison.closure.why import Confidence, Missing, Need, Reason
from jettison.errors import HostError
from jettison.tree.node import Node
from jettison.tree.root import Root, resolve

LOADS = frozenset({"dlopen", "dlmopen"})
# Those of libc, and of the libraries that start programs for others: GLib, libuv, APR.
_STARTS = re.compile(
    r"(f?exec(v|ve|vp|vpe|veat|l|le|lp)|posix_spawnp?|system|popen|wordexp|g_spawn_\w+|uv_spawn|apr_proc_create)(64)?"
)
_SEARCHES_PATH = re.compile(r"exec(vp|vpe|lp)|posix_spawnp|system|popen|g_spawn_\w+|uv_spawn|apr_proc_create")
# What libc itself opens: rules say for which programs.
_LIBC = re.compile(r"/usr/lib(64)?/(\S+/)?(gconv|locale|ld-\S+\.so\.\d+)(/.*)?|/usr/share/(i18n|zoneinfo)(/.*)?")
_ALTERNATIVES = "/etc/alternatives/"  # update-alternatives(1): whichever the machine's owner prefers
_SHELLS = ("/bin/sh", "/usr/bin/sh")
_LOCAL = ("/opt", "/usr/local")
# Where an interpreter finds modules: site.py and the readers of scripts say which.
_MODULES = re.compile(r"/(gems|lua|node_modules|perl|perl5|perl-base|php|python\d?|ruby|site_ruby|tcltk|vendor_ruby)(/|$)")
_FOLDER_LIMIT = 5000
_FOLDER_LIMIT_BYTES = 64 << 20
_OTHERS_LIMIT_BYTES = 8 << 20  # terminfo has 2 MB, and who needs one entry names the folder


def findings(subject: Subject, program: Elf) -> Iterator[Finding]:
    """What `program`, which is the subject, names and the Root has."""
    names = _Names(subject, program)
    yield from names.libraries()
    for name, real in named_paths(subject.root, names.strings):
        yield from names.path(name, real)
    if subject.setting.choices.admits("hint") and not subject.is_loaded:
        yield from names.commands()


class _Names:
    """The names in one file's data."""

    def __init__(self, subject: Subject, program: Elf) -> None:
        self._subject = subject
        self._root = subject.root
        self._program = program
        self.strings = subject.setting.facts.strings(subject.root, subject.path)

    @cached_property
    def _kin(self) -> Kin:
        return Kin(self._root, self._subject.setting.packages, self._subject.path)

    @cached_property
    def _symbols(self) -> frozenset[str]:
        return self._subject.setting.facts.imported_symbols(self._root, self._subject.path)

    @cached_property
    def _starts_programs(self) -> bool:
        return any(map(_STARTS.fullmatch, self._symbols))

    def libraries(self) -> Iterator[Finding]:
        """The libraries that it can open by name, and has not as a need already."""
        noted = (soname for note in self._program.dlopen for soname in note.sonames)
        known = {*self._program.needed, self._program.soname, *noted}
        for name in self.strings.libraries:
            if name not in known and not LOADS.isdisjoint(self._symbols):
                yield from self._library(name)

    def _library(self, name: str) -> Iterator[Finding]:
        """A library that is there with what it needs; of others only what the host brings is worth a word."""
        from jettison.closure import linker

        subject = self._subject
        reason = Reason("string", subject.path, f"`{name}` in its data, and it calls dlopen", "likely")
        environment = linker.Environment(library_path=subject.setting.library_path)
        itself = linker.Loaded(subject.path, subject.path, subject.path, "", "program", self._program)
        alone = linker.Loading(itself, None, (), (), (), (), (), environment)
        after = linker.dlopen(self._root, alone, subject.path, name, subject.read_elf)
        if is_provided(name):
            yield Missing(name, reason)
        elif after.objects and not after.missing:
            found = after.objects[0]
            # What a library opens of a package that its own one does not depend on is for few of the programs that load it.
            is_optional = subject.is_loaded and self._kin.own and not self._kin.shipper(found.real)
            detail = f"{reason.detail}: via {found.rule}"
            yield Need(found.path, reason._replace(detail=detail, confidence="hint" if is_optional else "likely"))

    def path(self, name: str, real: str) -> Iterator[Need]:
        """A path that is there: a folder with what its kin ships below it, or a file."""
        node = self._root.lstat(real)
        if name in _SHELLS:
            yield from self._shell(name)
        if node is None or name in _SHELLS or not is_system(real) or _LIBC.fullmatch(real) or is_for_people(f"{real}/"):
            return
        if node.kind == "dir":
            yield from self._folder(name, real)
        elif node.kind == "file" and is_public(node):
            yield Need(name, self._reason(name, *self._judge(name, real, node)))

    def _shell(self, name: str) -> Iterator[Need]:
        """The shell, by the name that images have it under, of a program that starts others: make, tar, m4."""
        if self._starts_programs and not self._subject.is_loaded and self._subject.setting.choices.shell == "auto":
            yield Need("/bin/sh", self._reason(name, "and it starts programs", "likely"))

    def _folder(self, name: str, real: str) -> Iterator[Need]:
        shipped = dict(self._kin.below(real))
        for path, package in sorted(shipped.items()):
            is_others = package != self._kin.own and is_program(self._root, path)
            yield Need(path, self._reason(name, self._kin.words(package), "hint" if is_others else "likely"))
        is_local = self._kin.own is None and within(real, _LOCAL)
        reason = self._reason(name, "which no package ships" if is_local else "of others", "likely" if is_local else "hint")
        if self._subject.setting.choices.admits(reason.confidence) and (is_local or not _MODULES.search(real)):
            found = self._walk(real, _FOLDER_LIMIT_BYTES if is_local else _OTHERS_LIMIT_BYTES)
            # A program of others is started by its own name.
            others = [path for path in found if path not in shipped and (is_local or leads_to_data(self._root, path))]
            yield from (Need(path, reason) for path in others)

    def commands(self) -> Iterator[Need]:
        """The programs on PATH that its command lines start, and those of its kin whose bare names it has."""
        from jettison.closure.resolve import find_program

        setting = self._subject.setting
        if not any(map(_SEARCHES_PATH.fullmatch, self._symbols)):
            return
        facts, path = setting.facts, self._subject.path
        lines, alone = facts.read("commands", self._root, path, lambda: _read_commands(facts.data(self._root, path)), tuple)
        for word in dict.fromkeys((*lines, *(word for word in alone if word not in self._symbols))):
            program = find_program(self._root, word, setting.search_path)
            if program and (word in lines or self._kin.shipper(resolve(self._root, program).path)):
                yield Need(program, self._reason(word, "and it starts programs by their bare name", "hint"))

    def _judge(self, name: str, real: str, node: Node) -> tuple[str, Confidence]:
        """What a file is to this one, and how sure it is that it is needed."""
        package = self._kin.shipper(real)
        if package:
            return self._kin.words(package), "likely"
        if node.mode & 0o111 and self._starts_programs:
            return "which starts programs", "hint" if self._subject.is_loaded or self._is_alternative(name) else "likely"
        if LOADS.intersection(self._symbols) and ".so" in real:
            return "and it calls dlopen", "likely"
        is_users = self._kin.own is None and not self._subject.is_loaded and not within(real, ("/etc",))
        return "of others", "likely" if is_users else "hint"

    def _is_alternative(self, name: str) -> bool:
        """Whether the machine's owner chose what a name means."""
        return any(link.startswith(_ALTERNATIVES) for link in resolve(self._root, name).links)

    def _walk(self, folder: str, limit: int) -> list[str]:
        """What programs may want of a folder with everybody's files; nothing of one that has too many or too large ones."""
        todo, found, size = [folder], list[str](), 0
        while todo and len(found) < _FOLDER_LIMIT and size < limit:
            here = todo.pop()
            paths = _paths_in(self._root, here)
            if len(paths) > _FOLDER_LIMIT:
                return []
            nodes = {path: node for path in paths if (node := self._root.lstat(path)) is not None}
            found += [path for path, node in nodes.items() if node.kind != "dir" and is_useful(self._root, path)]
            todo += [path for path, node in nodes.items() if node.kind == "dir" and node.mode & 0o001]  # that all may enter
            size += sum(node.size for node in nodes.values())
        return [] if todo or size > limit else found

    def _reason(self, name: str, standing: str, confidence: Confidence) -> Reason:
        return Reason("string", self._subject.path, f"`{name}` in its data, {standing}", confidence)


def _read_commands(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return commands(data), words(data)


def _paths_in(root: Root, folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in root.listdir(folder)]
    except HostError:  # a folder that this user may not list
        return []
