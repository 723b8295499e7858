"""What scripts need in the languages whose files name others in plain statements: Perl, Ruby, Lua, Tcl, PHP.

Each language is a value: where its interpreter looks for what a text names, and under which names.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from jettison.closure import module_text, script_text
from jettison.closure.facts import Finding, Subject
from jettison.closure.kin import Kin
from jettison.closure.module_text import Text
from jettison.closure.rules import glob
from jettison.closure.why import Confidence, Need, Reason
from jettison.tree.root import Root, lead, normalise

# A Root is one state of a filesystem.
_FOLDERS: "WeakKeyDictionary[Root, dict[str, list[str]]]" = WeakKeyDictionary()
_FOUND: "WeakKeyDictionary[Root, dict[tuple[str, ...], list[str]]]" = WeakKeyDictionary()
_FILES_LIMIT = 5000

# What an interpreter brings itself, which knows other systems' programs too.
_CORE = re.compile(r"/perl/5[^/]*/|/perl-base/|/lib/ruby/([0-9]|vendor_ruby/rubygems)")
_TABLES = "/unicore/"  # hundreds of files with numbers, which Perl's Unicode computes the names of
_GEM_DOCUMENTATION = re.compile(r"/gems/[^/]+/(doc|man|spec|test)/|\.(adoc|md|rdoc)$")
_TCL_JOINED = re.compile(r"\[file\s{1,20}join\s{1,20}([\w.+/ \t-]{1,500})\]")
_TCL_PROVIDED = re.compile(r"package\s{1,20}ifneeded\s{1,20}\{?\"?([\w:.-]+)")


class Language(NamedTuple):
    """`folders` are patterns of where the interpreter looks; `paths` what a name may be below such a folder; `beside` tells
    whether names also count from the file's own folder."""

    folders: tuple[str, ...]
    paths: Callable[[str], tuple[str, ...]]
    beside: bool = True


def needs(subject: Subject, language: str) -> Iterator[Finding]:
    """What a script in one of these languages needs, each file with the statement that names it.

    What a walk before this one has read is not read again: thousands of modules name each other.
    """
    if _TABLES not in subject.path and subject.setting.is_new(f"{language} {subject.path}"):
        yield from _Walk(subject, LANGUAGES[language], language).needs()


def folders(root: Root, language: str) -> list[str]:
    """Where the interpreters of a language look for modules, as far as it is there."""
    known = _FOLDERS.setdefault(root, {})
    if language not in known:
        paths = [path for pattern in LANGUAGES[language].folders for path in sorted(glob(root, pattern))]
        known[language] = [path for path in paths if root.listdir(_real(root, path))]
    return list(known[language])


class _Walk:
    """The files that were named, and those that are still to be read."""

    def __init__(self, subject: Subject, language: Language, name: str) -> None:
        self._subject = subject
        self._root = subject.root
        self._language = language
        self._name = name
        self._script_folder = subject.path.rpartition("/")[0] or "/"
        self._folders = folders(subject.root, name)
        self._tcl_index: dict[str, str] | None = None
        self._todo = deque([subject.path])
        self._read: set[str] = set()

    def needs(self) -> Iterator[Finding]:
        while self._todo and len(self._read) < _FILES_LIMIT:
            path = self._todo.popleft()
            self._read.add(path)
            yield from self._file(path, self._text(path))

    def _text(self, path: str) -> Text:
        """What the text of the file at `path` says."""
        has_commands = not _CORE.search(path)
        read = partial(_read, self._root, self._name, path, has_commands)
        kind = f"{self._name} {has_commands}"
        return self._subject.setting.facts.read(kind, self._root, _real(self._root, path), read, module_text.text_of)

    def _file(self, path: str, text: Text) -> Iterator[Need]:
        for folder in (*text.folders, *(normalise(f"./{folder}", self._script_folder) for folder in text.own_folders)):
            if folder not in self._folders and self._root.listdir(_real(self._root, folder)):
                self._folders.insert(0, folder)
        for name, confidence in text.wanted:
            for found in self._find(name, path):
                real = _real(self._root, found)
                if real != path and script_text.is_file(self._root, real):
                    self._follow(real, confidence)
                    yield Need(found, Reason("import", path, f"{self._name}: {name}", confidence))
        if text.is_computed:
            yield from self._private_folder(path)
        if text.gems:
            yield from self._gems(path, text.gems)
        yield from self._commands(path, text.commands)
        if path == self._subject.path or not path.startswith(tuple(f"{folder}/" for folder in self._folders)):
            kin = Kin(self._root, self._subject.setting.packages, path)
            for name in text.paths:
                yield from script_text.own_files(self._root, kin, name, path)

    def _private_folder(self, path: str) -> Iterator[Need]:
        """What the package of the module Foo.pm ships in Foo, where that one computes which files it loads."""
        if not path.endswith(".pm") or _CORE.search(path):
            return
        folder = path.removesuffix(".pm")
        kin = Kin(self._root, self._subject.setting.packages, path)
        detail = f"perl: a computed name, and `{folder}` is of its own package"
        for found, package in sorted(kin.below(folder)):
            if package == kin.own and script_text.is_file(self._root, found):
                self._follow(found, "likely")
                yield Need(found, Reason("import", path, detail, "likely"))

    def _gems(self, path: str, names: Sequence[str]) -> Iterator[Need]:
        """The gems, whole, whose own command RubyGems computes."""
        gems = "|".join(map(re.escape, names))
        for folder in self._folders:
            if re.search(rf"/gems/({gems})-\d[^/]*/lib$", folder):
                for found in script_text.below(self._root, _real(self._root, folder.removesuffix("/lib"))):
                    if not _GEM_DOCUMENTATION.search(found):
                        self._follow(found, "likely")
                        yield Need(found, Reason("import", path, "ruby: Gem.activate_bin_path", "likely"))

    def _commands(self, path: str, commands: Sequence[str]) -> Iterator[Need]:
        """What the commands start."""
        from jettison.closure.shell import needs_of_text

        for command in commands:
            yield from needs_of_text(self._subject, command, by=path)

    def _follow(self, path: str, confidence: Confidence) -> None:
        setting = self._subject.setting
        if (
            not path.endswith(".so")
            and _TABLES not in path
            and setting.choices.admits(confidence)
            and setting.is_new(f"{self._name} {path}")
        ):
            self._todo.append(path)

    def _find(self, name: str, by: str) -> Iterable[str]:
        """The files of a name: the first that is there, with what belongs to it. Most names are asked for by many files."""
        if self._language.beside:
            return self._search(name, by)
        known, key = _FOUND.setdefault(self._root, {}), (self._name, name, *self._folders)
        if key not in known:
            known[key] = list(self._search(name, by))
        return known[key]

    def _search(self, name: str, by: str) -> Iterator[str]:
        if self._name == "tcl" and not name.endswith(".tcl"):
            yield from self._tcl_package(name)
            return
        beside = [by.rpartition("/")[0] or "/", self._script_folder] if self._language.beside else []
        for relative in self._language.paths(name):
            for folder in [""] if relative.startswith("/") else [*beside, *self._folders]:
                path = normalise(relative, folder or "/")
                if relative.endswith("/*") and self._root.listdir(_real(self._root, path[:-2])):
                    yield from (
                        f"{path[:-2]}/{item}" for item in self._root.listdir(_real(self._root, path[:-2])) if item.endswith(".pm")
                    )
                elif script_text.is_file(self._root, path):
                    yield path
                    yield from self._compiled(relative)
                    return

    def _compiled(self, relative: str) -> Iterator[str]:
        """Of a Perl module the library that it loads, and the functions that were split off."""
        if self._name != "perl" or not relative.endswith(".pm"):
            return
        for folder in self._folders:
            auto = f"{folder}/auto/{relative[:-3]}"
            yield from (
                f"{auto}/{item}" for item in self._root.listdir(_real(self._root, auto)) if item.endswith((".so", ".al", ".ix"))
            )

    def _tcl_package(self, name: str) -> Iterator[str]:
        """The folder whose pkgIndex.tcl says how to load a package, whole."""
        if self._tcl_index is None:
            self._tcl_index = {}
            patterns = [f"{folder}/{below}pkgIndex.tcl" for folder in self._folders for below in ("", "*/")]
            for index in (path for pattern in patterns for path in glob(self._root, pattern)):
                for provided in _TCL_PROVIDED.findall(script_text.read(self._root, index)):
                    self._tcl_index.setdefault(provided, index)
        index = self._tcl_index.get(name, "")
        if index:
            folder = index.rpartition("/")[0]
            yield from script_text.below(self._root, _real(self._root, folder))
            for words in _TCL_JOINED.findall(script_text.read(self._root, index)):
                yield normalise("/".join(words.split()), folder)
            above = f"{folder.rpartition('/')[0]}/pkgIndex.tcl"
            if script_text.is_file(self._root, above):
                yield above


def _perl_paths(name: str) -> tuple[str, ...]:
    if "/" in name or "." in name:
        return (name,)
    return (name.replace("::", "/"),) if name.endswith("*") else (f"{name.replace('::', '/')}.pm",)


def _lua_paths(name: str) -> tuple[str, ...]:
    path = name.replace(".", "/")
    return (f"{path}.lua", f"{path}/init.lua", f"{path}.so", f"{name.partition('.')[0]}.so")


LANGUAGES = {
    "perl": Language(
        (
            "/etc/perl", "/usr/local/lib/*/perl/5*", "/usr/local/share/perl/5*", "/usr/lib/*/perl5/5*", "/usr/share/perl5",
            "/usr/lib/*/perl-base", "/usr/lib/*/perl/5.[0-9]*", "/usr/share/perl/5.[0-9]*", "/usr/local/lib/site_perl",
            "/usr/lib/perl5/vendor_perl", "/usr/lib/perl5/core_perl", "/usr/share/perl5/vendor_perl",
            "/usr/share/perl5/core_perl",
            "/usr/lib64/perl5", "/usr/lib64/perl5/vendor_perl", "/usr/local/lib/perl5/5*", "/usr/local/lib/perl5/site_perl/5*",
        ),
        _perl_paths, beside=False,
    ),
    "ruby": Language(
        (
            "/usr/local/lib/site_ruby/[0-9]*", "/usr/local/lib/site_ruby", "/usr/lib/ruby/vendor_ruby/[0-9]*",
            "/usr/lib/*/ruby/vendor_ruby/[0-9]*", "/usr/lib/ruby/vendor_ruby", "/usr/lib/ruby/[0-9]*", "/usr/lib/*/ruby/[0-9]*",
            "/usr/local/lib/ruby/[0-9]*", "/usr/local/lib/ruby/[0-9]*/*-linux*", "/var/lib/gems/*/gems/*/lib",
            "/usr/share/rubygems-integration/*/gems/*/lib", "/usr/lib/ruby/gems/*/gems/*/lib",
            "/usr/local/lib/ruby/gems/*/gems/*/lib",
        ),
        lambda name: (f"{name}.rb", f"{name}.so", name),
    ),
    "lua": Language(
        (
            "/usr/local/share/lua/5.*", "/usr/local/lib/lua/5.*", "/usr/share/lua/5.*", "/usr/lib/*/lua/5.*", "/usr/lib/lua/5.*",
        ),
        _lua_paths,
    ),
    "tcl": Language(
        (
            "/usr/share/tcltk/*", "/usr/share/tcltk", "/usr/lib/tcltk/*", "/usr/lib/tcltk/*/*", "/usr/lib/tcltk",
            "/usr/local/lib/tcltk", "/usr/lib/*/tcltk/*",
        ),
        lambda name: (name,),
    ),
    "php": Language(("/usr/share/php",), lambda name: (name,)),
}  # fmt: skip


def _read(root: Root, language: str, path: str, has_commands: bool) -> Text:
    return module_text.read(language, script_text.read(root, path), has_commands)


def _real(root: Root, folder: str) -> str:
    found = lead(root, folder)
    return found.path if found and found.node else folder
