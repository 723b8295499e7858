"""What a text in Perl, Ruby, Lua, Tcl or PHP says: the modules that it asks for, where it looks for them, what it starts.

Patterns start with a letter where they can, which `re` finds many times as fast as a word's edge: what stands before the word
is looked at behind it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jettison.closure.why import Confidence

Wanted = tuple[str, Confidence]

_NAMES_LIMIT = 5000
_COMMANDS_LIMIT = 200
_BEFORE_LIMIT = 30  # characters


def _words(words: str, before: str = r"\w") -> str:
    """A group for any of `words` that stands behind no character of the class `before`."""
    return "(?:" + "|".join(f"{word}(?<!{before}{word})" for word in words.split()) + ")"


# `Foo::Bar` is asked for by a statement, or named anywhere as a class; "Foo::$name" asks for all that lie there.
_PERL_STATEMENT = re.compile(_words("use require no", r"[^\s;{}(\"']") + r"\s{1,20}([A-Za-z_]\w*(?:::\w+)*)")
_PERL_CLASS = re.compile(r"\b[A-Za-z_]\w*(?:::\w+)+")
_PERL_FILE = re.compile(_words("do require") + r"\s{0,20}\(?\s{0,20}([\"'])([\w./+-]+)\1")
_PERL_PREFIX = re.compile(r"[\"']([A-Za-z_]\w*(?:::\w+)*)::(?:\$|[\"'])")
_PERL_PARENT = re.compile(_words("use") + r"\s{1,20}(?:parent|base|if\b[^;]{0,200}?,)\s{0,20}[^;]*")
_PERL_CLASS_NAME = re.compile(r"\b[A-Z]\w*(?:::\w+)*")
_PERL_LIB = re.compile(_words("use") + r"\s{1,20}lib\s{1,20}(?:qw[({/]\s{0,20})?[\"']?(/[\w./+-]+)")
_PERL_OWN_LIB = re.compile(r"FindBin::(?:Real)?Bin\W*(/[\w./+-]*)")
_PERL_POD = re.compile(r"^=[a-zA-Z].*?(?:^=cut\b[^\n]*|\Z)", re.MULTILINE | re.DOTALL)
_PERL_COMPUTED = re.compile(_words("do require") + r"\s{0,20}\(?\s{0,20}(?:\$\w|\"[^\"\n]{0,200}\$)")
_PERL_END = re.compile(r"^__(?:END|DATA)__\s{0,20}$", re.MULTILINE)
_HASH_COMMENT = re.compile(r"^[ \t]{0,200}#.*", re.MULTILINE)

_RUBY = re.compile(_words("require load gem") + r"\s{0,20}\(?\s{0,20}[\"']([\w./+-]+)[\"']")
_RUBY_AUTOLOAD = re.compile(_words("autoload") + r"\s{0,20}\(?\s{0,20}:\w+\s{0,20},\s{0,20}[\"']([\w./+-]+)[\"']")
_RUBY_RELATIVE = re.compile(_words("require_relative") + r"\s{0,20}\(?\s{0,20}[\"']([\w./+-]+)[\"']")
# What the commands of gems say, as RubyGems generates them.
_RUBY_GEM = re.compile(_words("activate_bin_path") + r"\s{0,20}\(?\s{0,20}[\"']([\w.-]+)[\"']")

_DOCUMENTATION = ("man ", "perldoc")  # what programs start for people who ask for help
# A command in backticks where a value can begin, not in prose.
_BACKTICKS = re.compile(r"`([^`\n]{1,200})`")
_VALUE = re.compile(r"(?:[=(,{;]|\breturn|\bchomp|\bsplit|\bunless|\bif)\s{0,20}\Z")
# `system "..."`; "... |", which is opened.
_COMMANDS = re.compile(
    "|".join(
        (
            r"qx(?<!\wqx)\s{0,20}[{(/|]([^})/|\n]{1,200})",
            r"%x(?<=[\s=(,]%x)[{(/|]([^})/|\n]{1,200})",
            *(
                rf"{word}(?<!\w{word})\b\s{{0,20}}\(?\s{{0,20}}[\"']([^\"'\n]{{1,200}})[\"']"
                for word in ("system", "exec", "popen", "capture2", "capture2e", "capture3")
            ),
            r"open(?<!\wopen)\b[^\"'\n;]{0,80}[\"'](?!-)([^\"'|<>\n]{1,200})\|\s{0,20}[\"']",
            r"-\|(?<=[\"']-\|)[\"']\s{0,20},\s{0,20}[\"']([^\"'\n]{1,200})[\"']",
        )
    )
)
_LUA = re.compile(_words("require") + r"\s{0,20}\(?\s{0,20}(?:[\"']|\[\[)([\w./+-]+)")
_TCL = re.compile(_words("package") + r"\s{1,20}require\s{1,20}(?:-exact\s{1,20})?\{?\"?([\w:.-]+)")
_TCL_SOURCE = re.compile(_words("source") + r"\s[^\n;]{0,200}?([\w./+-]{1,200}\.tcl)\b")
_PHP = re.compile(
    _words("require include") + r"(?:_once)?\b\s{0,20}\(?\s{0,20}"
    r"(?:__DIR__\s{0,20}\.|dirname\s{0,20}\(\s{0,20}__FILE__\s{0,20}\)\s{0,20}\.)?\s{0,20}[\"']([^\"'$\n]+)[\"']"
)
_ABSOLUTE = re.compile(r"[\"'\s({=](/(?:etc|usr|lib|opt|var)/[\w./+-]+)")


class Text(NamedTuple):
    """What one text says: `wanted` are the modules that it names, in the language's own words; `folders` are added to where they
    are looked for, `own_folders` from the script's own; `gems` are the ones whose command it is; `is_computed` tells whether it
    loads what it computes the name of; `commands` are for the shell; `paths` are absolute."""

    wanted: tuple[Wanted, ...] = ()
    folders: tuple[str, ...] = ()
    own_folders: tuple[str, ...] = ()
    gems: tuple[str, ...] = ()
    is_computed: bool = False
    commands: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def read(language: str, text: str, has_commands: bool) -> Text:
    """What a text of one of the LANGUAGES says; without the commands unless it `has_commands`."""
    code = _perl_code(text) if language == "perl" else text
    plain = _HASH_COMMENT.sub("", text)
    # Of a name that is given twice the first place counts, and the surest word.
    wanted = dict(reversed(list(LANGUAGES[language](plain if language == "ruby" else code))))
    found = Text(tuple(reversed(list(wanted.items())[:_NAMES_LIMIT])), paths=_once(_ABSOLUTE.findall(plain)))
    if language == "perl":
        folders, own_folders = tuple(_PERL_LIB.findall(text)), tuple(_PERL_OWN_LIB.findall(text))
        found = found._replace(folders=folders, own_folders=own_folders, is_computed=bool(_PERL_COMPUTED.search(code)))
    if language == "ruby":
        found = found._replace(gems=_once(_RUBY_GEM.findall(text)))
    if has_commands and language in ("perl", "ruby"):
        found = found._replace(commands=tuple(_commands(code if language == "perl" else plain)))
    return found


def text_of(values: Sequence[Any]) -> Text:
    """A Text from what it became as JSON."""
    wanted, folders, own_folders, gems, is_computed, commands, paths = values
    pairs = tuple((name, confidence) for name, confidence in wanted)
    return Text(pairs, tuple(folders), tuple(own_folders), tuple(gems), is_computed, tuple(commands), tuple(paths))


def _perl_code(text: str) -> str:
    """A text without its documentation, its comments and what follows its end."""
    return _HASH_COMMENT.sub("", _PERL_POD.sub("", _PERL_END.split(text, maxsplit=1)[0]))


def _perl(code: str) -> Iterator[Wanted]:
    yield from _certain(_PERL_STATEMENT.findall(code))
    for statement in _PERL_PARENT.findall(code):
        yield from _certain(_PERL_CLASS_NAME.findall(statement))
    yield from _certain(found[1] for found in _PERL_FILE.findall(code))
    for name in _PERL_CLASS.findall(code):
        yield name, "likely"
        yield name.rpartition("::")[0], "likely"  # Foo::Bar::function
    for prefix in _PERL_PREFIX.findall(code):
        yield f"{prefix}::*", "likely"


def _ruby(code: str) -> Iterator[Wanted]:
    yield from _certain(f"./{name}" for name in _RUBY_RELATIVE.findall(code))
    yield from _certain(_RUBY.findall(code))
    yield from _certain(_RUBY_AUTOLOAD.findall(code))


def _lua(text: str) -> Iterator[Wanted]:
    yield from _certain(_LUA.findall(text))


def _tcl(text: str) -> Iterator[Wanted]:
    yield from _certain(_TCL.findall(text))
    yield from _certain(name.lstrip("/") for name in _TCL_SOURCE.findall(text))


def _php(text: str) -> Iterator[Wanted]:
    yield from _certain(name if name.startswith("/usr/") else name.lstrip("/") for name in _PHP.findall(text))


LANGUAGES: dict[str, Callable[[str], Iterator[Wanted]]] = {
    "lua": _lua,
    "perl": _perl,
    "php": _php,
    "ruby": _ruby,
    "tcl": _tcl,
}


def _commands(code: str) -> Iterator[str]:
    """What the shell is asked to start."""
    commands = _once((*_in_backticks(code), *map("".join, _COMMANDS.findall(code))))
    return (command for command in commands[:_COMMANDS_LIMIT] if not command.startswith(_DOCUMENTATION))


def _in_backticks(code: str) -> Iterator[str]:
    at = code.find("`")
    while at >= 0:
        found = _BACKTICKS.match(code, at)
        is_value = found is not None and _VALUE.search(code, max(0, at - _BEFORE_LIMIT), at) is not None
        if found is not None and is_value:
            yield found[1]
        at = code.find("`", found.end() if found is not None and is_value else at + 1)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _certain(names: Iterable[str]) -> Iterator[Wanted]:
    return ((name, "certain") for name in names)
