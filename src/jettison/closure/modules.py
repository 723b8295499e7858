"""What scripts need in the languages whose files name others in plain statements: Perl, Ruby, Lua, Tcl, PHP.

Each language is a value: what its statements look like, and where its interpreter looks for what they name.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from jettison.closure import script_text
from jettison.closure.facts import Finding, Subject
from jettison.closure.kin import Kin
from jettison.closure.rules import glob
from jettison.closure.why import Confidence, Need, Reason
from jettison.tree.root import Root, normalise

_Wanted = tuple[str, Confidence]

_FOLDERS: "WeakKeyDictionary[Root, dict[str, list[str]]]" = WeakKeyDictionary()  # a Root is one state of a filesystem
_FILES_LIMIT = 5000
_NAMES_LIMIT = 5000
_COMMANDS_LIMIT = 200

# `Foo::Bar` is asked for by a statement, or named anywhere as a class; "Foo::$name" asks for all that lie there.
_PERL_STATEMENT = re.compile(r"(?:^|[\s;{}(\"'])(?:use|require|no)\s{1,20}([A-Za-z_]\w*(?:::\w+)*)", re.MULTILINE)
_PERL_CLASS = re.compile(r"\b[A-Za-z_]\w*(?:::\w+)+")
_PERL_FILE = re.compile(r"\b(?:do|require)\s{0,20}\(?\s{0,20}([\"'])([\w./+-]+)\1")
_PERL_PREFIX = re.compile(r"[\"']([A-Za-z_]\w*(?:::\w+)*)::(?:\$|[\"'])")
_PERL_PARENT = re.compile(r"\buse\s{1,20}(?:parent|base|if\b[^;]{0,200}?,)\s{0,20}[^;]*")
_PERL_LIB = re.compile(r"\buse\s{1,20}lib\s{1,20}(?:qw[({/]\s{0,20})?[\"']?(/[\w./+-]+)|FindBin::(?:Real)?Bin\W*(/[\w./+-]*)")
_PERL_POD = re.compile(r"^=[a-zA-Z].*?(?:^=cut\b[^\n]*|\Z)", re.MULTILINE | re.DOTALL)
_PERL_COMPUTED = re.compile(r"\b(?:require|do)\s{0,20}\(?\s{0,20}(?:\$\w|\"[^\"\n]{0,200}\$)")
# What an interpreter brings itself, which knows other systems' programs too.
_CORE = re.compile(r"/perl/5[^/]*/|/perl-base/|/lib/ruby/([0-9]|vendor_ruby/rubygems)")
_PERL_END = re.compile(r"^__(?:END|DATA)__\s{0,20}$", re.MULTILINE)
_HASH_COMMENT = re.compile(r"^[ \t]{0,200}#.*", re.MULTILINE)

_RUBY = re.compile(r"\b(?:require|load|gem|autoload\s{0,20}\(?\s{0,20}:\w+\s{0,20},)\s{0,20}\(?\s{0,20}[\"']([\w./+-]+)[\"']")
_RUBY_RELATIVE = re.compile(r"\brequire_relative\s{0,20}\(?\s{0,20}[\"']([\w./+-]+)[\"']")
# What the commands of gems say, as RubyGems generates them.
_RUBY_GEM = re.compile(r"\bactivate_bin_path\s{0,20}\(?\s{0,20}[\"']([\w.-]+)[\"']")
_GEM_DOCUMENTATION = re.compile(r"/gems/[^/]+/(doc|man|spec|test)/|\.(adoc|md|rdoc)$")
_DOCUMENTATION = ("man ", "perldoc")  # what programs start for people who ask for help
# A command in backticks where a value can begin, not in prose; `system "..."`; "... |", which is opened.
_COMMANDS = re.compile(
    r"(?:(?:[=(,{;]|\breturn|\bchomp|\bsplit|\bunless|\bif)\s{0,20}`([^`\n]{1,200})`"
    r"|\b(?:qx|%x)\s{0,20}[{(/|]([^})/|\n]{1,200})"
    r"|\b(?:system|exec|popen|capture2e?|capture3)\b\s{0,20}\(?\s{0,20}[\"']([^\"'\n]{1,200})[\"']"
    r"|\bopen\b[^\"'\n;]{0,80}[\"'](?!-)([^\"'|<>\n]{1,200})\|\s{0,20}[\"']"
    r"|[\"']-\|[\"']\s{0,20},\s{0,20}[\"']([^\"'\n]{1,200})[\"'])"
)
_LUA = re.compile(r"\brequire\s{0,20}\(?\s{0,20}(?:[\"']|\[\[)([\w./+-]+)")
_TCL = re.compile(r"\bpackage\s{1,20}require\s{1,20}(?:-exact\s{1,20})?\{?\"?([\w:.-]+)")
_TCL_SOURCE = re.compile(r"\bsource\s[^\n;]{0,200}?([\w./+-]{1,200}\.tcl)\b")
_TCL_JOINED = re.compile(r"\[file\s{1,20}join\s{1,20}([\w.+/ \t-]{1,500})\]")
_TCL_PROVIDED = re.compile(r"\bpackage\s{1,20}ifneeded\s{1,20}\{?\"?([\w:.-]+)")
_PHP = re.compile(
    r"\b(?:require|include)(?:_once)?\b\s{0,20}\(?\s{0,20}(?:__DIR__\s{0,20}\.|dirname\s{0,20}\(\s{0,20}__FILE__\s{0,20}\)\s{0,20}\.)?\s{0,20}[\"']([^\"'$\n]+)[\"']"
)

_ABSOLUTE = re.compile(r"[\"'\s({=](/(?:etc|usr|lib|opt|var)/[\w./+-]+)")


class Language(NamedTuple):
    """`folders` are patterns of where the interpreter looks; `wanted` gives the names in a text; `paths` what a name may be below
    such a folder; `beside` tells whether names also count from the file's own folder."""

    folders: tuple[str, ...]
    wanted: Callable[[str], Iterator[_Wanted]]
    paths: Callable[[str], tuple[str, ...]]
    beside: bool = True


def needs(subject: Subject, language: str) -> Iterator[Finding]:
    """What a script in one of these languages needs, each file with the statement that names it.

    What a walk before this one has read is not read again: thousands of modules name each other.
    """
    if subject.setting.is_new(f"{language} {subject.path}"):
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
            yield from self._file(path, script_text.read(self._root, path))

    def _file(self, path: str, text: str) -> Iterator[Need]:
        if self._name == "perl":
            for statement in _PERL_LIB.finditer(text):
                folder = statement[1] or normalise(f"./{statement[2]}", self._script_folder)
                if folder not in self._folders and self._root.listdir(_real(self._root, folder)):
                    self._folders.insert(0, folder)
        wanted = list(dict(reversed(list(self._language.wanted(text)))).items())[:_NAMES_LIMIT]
        for name, confidence in reversed(wanted):
            for found in self._find(name, path):
                real = _real(self._root, found)
                if real != path and script_text.is_file(self._root, real):
                    self._follow(real, confidence)
                    yield Need(found, Reason("import", path, f"{self._name}: {name}", confidence))
        if self._name == "perl":
            yield from self._private_folder(path, text)
        if self._name == "ruby":
            yield from self._gems(path, text)
        if self._name in ("perl", "ruby") and not _CORE.search(path):
            yield from self._commands(path, text)
        if path == self._subject.path or not path.startswith(tuple(f"{folder}/" for folder in self._folders)):
            kin = Kin(self._root, self._subject.setting.packages, path)
            for name in _absolute_texts(text):
                yield from script_text.own_files(self._root, kin, name, path)

    def _private_folder(self, path: str, text: str) -> Iterator[Need]:
        """What the package of the module Foo.pm ships in Foo, where that one computes which files it loads."""
        if not path.endswith(".pm") or _CORE.search(path) or not _PERL_COMPUTED.search(_perl_code(text)):
            return
        folder = path.removesuffix(".pm")
        kin = Kin(self._root, self._subject.setting.packages, path)
        detail = f"perl: a computed name, and `{folder}` is of its own package"
        for found, package in sorted(kin.below(folder)):
            if package == kin.own and script_text.is_file(self._root, found):
                self._follow(found, "likely")
                yield Need(found, Reason("import", path, detail, "likely"))

    def _gems(self, path: str, text: str) -> Iterator[Need]:
        """The gems, whole, whose own command RubyGems computes."""
        gems = "|".join(map(re.escape, dict.fromkeys(_RUBY_GEM.findall(text))))
        for folder in self._folders if gems else ():
            if re.search(rf"/gems/({gems})-\d[^/]*/lib$", folder):
                for found in script_text.below(self._root, _real(self._root, folder.removesuffix("/lib"))):
                    if not _GEM_DOCUMENTATION.search(found):
                        self._follow(found, "likely")
                        yield Need(found, Reason("import", path, "ruby: Gem.activate_bin_path", "likely"))

    def _commands(self, path: str, text: str) -> Iterator[Need]:
        """What the shell is asked to start."""
        from jettison.closure.shell import needs_of_text

        code = _perl_code(text) if self._name == "perl" else _HASH_COMMENT.sub("", text)
        for command in list(dict.fromkeys(map("".join, _COMMANDS.findall(code))))[:_COMMANDS_LIMIT]:
            if not command.startswith(_DOCUMENTATION):
                yield from needs_of_text(self._subject, command, by=path)

    def _follow(self, path: str, confidence: Confidence) -> None:
        setting = self._subject.setting
        if not path.endswith(".so") and setting.choices.admits(confidence) and setting.is_new(f"{self._name} {path}"):
            self._todo.append(path)

    def _find(self, name: str, by: str) -> Iterator[str]:
        """The files of a name: the first that is there, with what belongs to it."""
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


def _perl_code(text: str) -> str:
    """A text without its documentation, its comments and what follows its end."""
    return _HASH_COMMENT.sub("", _PERL_POD.sub("", _PERL_END.split(text, maxsplit=1)[0]))


def _perl(text: str) -> Iterator[_Wanted]:
    text = _perl_code(text)
    yield from _certain(_PERL_STATEMENT.findall(text))
    for statement in _PERL_PARENT.findall(text):
        yield from _certain(re.findall(r"\b[A-Z]\w*(?:::\w+)*", statement))
    yield from _certain(found[1] for found in _PERL_FILE.findall(text))
    for name in _PERL_CLASS.findall(text):
        yield name, "likely"
        yield name.rpartition("::")[0], "likely"  # Foo::Bar::function
    for prefix in _PERL_PREFIX.findall(text):
        yield f"{prefix}::*", "likely"


def _perl_paths(name: str) -> tuple[str, ...]:
    if "/" in name or "." in name:
        return (name,)
    return (name.replace("::", "/"),) if name.endswith("*") else (f"{name.replace('::', '/')}.pm",)


def _ruby(text: str) -> Iterator[_Wanted]:
    text = _HASH_COMMENT.sub("", text)
    yield from _certain(f"./{name}" for name in _RUBY_RELATIVE.findall(text))
    yield from _certain(_RUBY.findall(text))


def _tcl(text: str) -> Iterator[_Wanted]:
    yield from _certain(_TCL.findall(text))
    yield from _certain(name.lstrip("/") for name in _TCL_SOURCE.findall(text))


def _php(text: str) -> Iterator[_Wanted]:
    yield from _certain(name if name.startswith("/usr/") else name.lstrip("/") for name in _PHP.findall(text))


def _lua_paths(name: str) -> tuple[str, ...]:
    path = name.replace(".", "/")
    return (f"{path}.lua", f"{path}/init.lua", f"{path}.so", f"{name.partition('.')[0]}.so")


def _certain(names: Iterable[str]) -> Iterator[_Wanted]:
    return ((name, "certain") for name in names)


LANGUAGES = {
    "perl": Language(
        (
            "/etc/perl", "/usr/local/lib/*/perl/5*", "/usr/local/share/perl/5*", "/usr/lib/*/perl5/5*", "/usr/share/perl5",
            "/usr/lib/*/perl-base", "/usr/lib/*/perl/5.[0-9]*", "/usr/share/perl/5.[0-9]*", "/usr/local/lib/site_perl",
            "/usr/lib/perl5/vendor_perl", "/usr/lib/perl5/core_perl", "/usr/share/perl5/vendor_perl",
            "/usr/share/perl5/core_perl",
            "/usr/lib64/perl5", "/usr/lib64/perl5/vendor_perl", "/usr/local/lib/perl5/5*", "/usr/local/lib/perl5/site_perl/5*",
        ),
        _perl, _perl_paths, beside=False,
    ),
    "ruby": Language(
        (
            "/usr/local/lib/site_ruby/[0-9]*", "/usr/local/lib/site_ruby", "/usr/lib/ruby/vendor_ruby/[0-9]*",
            "/usr/lib/*/ruby/vendor_ruby/[0-9]*", "/usr/lib/ruby/vendor_ruby", "/usr/lib/ruby/[0-9]*", "/usr/lib/*/ruby/[0-9]*",
            "/usr/local/lib/ruby/[0-9]*", "/usr/local/lib/ruby/[0-9]*/*-linux*", "/var/lib/gems/*/gems/*/lib",
            "/usr/share/rubygems-integration/*/gems/*/lib", "/usr/lib/ruby/gems/*/gems/*/lib",
            "/usr/local/lib/ruby/gems/*/gems/*/lib",
        ),
        _ruby, lambda name: (f"{name}.rb", f"{name}.so", name),
    ),
    "lua": Language(
        (
            "/usr/local/share/lua/5.*", "/usr/local/lib/lua/5.*", "/usr/share/lua/5.*", "/usr/lib/*/lua/5.*", "/usr/lib/lua/5.*",
        ),
        lambda text: _certain(_LUA.findall(text)), _lua_paths,
    ),
    "tcl": Language(
        (
            "/usr/share/tcltk/*", "/usr/share/tcltk", "/usr/lib/tcltk/*", "/usr/lib/tcltk/*/*", "/usr/lib/tcltk",
            "/usr/local/lib/tcltk", "/usr/lib/*/tcltk/*",
        ),
        _tcl, lambda name: (name,),
    ),
    "php": Language(("/usr/share/php",), _php, lambda name: (name,)),
}  # fmt: skip


def _absolute_texts(text: str) -> list[str]:
    return list(dict.fromkeys(_ABSOLUTE.findall(_HASH_COMMENT.sub("", text))))


def _real(root: Root, folder: str) -> str:
    found = script_text.lead(root, folder)
    return found.path if found and found.node else folder
