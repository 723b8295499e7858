"""What a program or a library says in its read-only data, as whole strings: absolute paths, and names of libraries."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jettison.tree.root import Root, lead

# A whole string that is a path, or a list of them with colons between, as search paths are. It starts with what is quick to
# search for.
_PATHS = re.compile(rb"\0(/(?:bin|etc|lib|lib64|opt|sbin|usr|var)/[\x21-\x7e\x80-\xff]{2,1000})(?=\0)")
_LIBRARIES = re.compile(rb"\0(lib[0-9A-Za-z_.+-]{1,100}\.so\.[0-9][0-9.]{0,20})(?=\0)")
_WORDS = re.compile(rb"\0([a-z][0-9a-z+._-]{2,30})(?=\0)")
# The first word of a line with an option, a redirection, or only places to fill in: `host "%s" too long` and `convert <file>` are
# for people to read, and `size <= 0` is what assert(3) says. How a file was compiled is no command either.
_COMMANDS = re.compile(
    rb"\0(?!(?:cc|c\+\+|clang|gcc|g\+\+) )([a-z][0-9a-z+._-]{2,30})"
    rb" (?:-[A-Za-z]|<<|[<>|] ?[\"'$%&/]|['\"]%s['\"](?: (?:2>|[-\"'$%&/<>|])[^\0 ]{0,100}){0,20}(?=\0))"
)
# More is a table of names, and no program opens all of them.
_COUNT_LIMIT = 4096
_LIBRARIES_LIMIT = 256

# What packages bring for people and for compilers, and no program needs.
_FOR_PEOPLE = (
    "/usr/include/", "/usr/lib/debug/", "/usr/share/bug/", "/usr/share/doc/", "/usr/share/doc-base/", "/usr/share/gtk-doc/",
    "/usr/share/help/", "/usr/share/info/", "/usr/share/lintian/", "/usr/share/locale/", "/usr/share/man/",
)  # fmt: skip
_FOR_PEOPLE_NAMES = (".a", ".debug", ".h", ".hpp", ".la", ".pc")
_FOR_PEOPLE_FOLDERS = re.compile(r"/(demos?|docs?|examples?|include|man|LC_MESSAGES|X11/locale/(?!C/|en_US)[^/]+)/")
# Folders of everybody: that a program names them says nothing.
COMMON = re.compile(
    r"/(usr|lib|lib64|bin|sbin|etc|var|opt|usr/lib/[^/]+-linux-[^/]+|var/\w+)"
    r"|/usr/(local/)?(bin|sbin|lib|lib64|libexec|share|include|games|local|src|X11R6)"
    r"|/etc/(alternatives|default|init\.d|skel|systemd)|/usr/share/(doc|info|locale|man)"
)


class Strings(NamedTuple):
    """`paths` are absolute; `libraries` are names with a version, as dlopen(3) takes them. Sorted, each once."""

    paths: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


def read(data: bytes) -> Strings:
    """The strings of a file's data."""
    paths = {path for text in set(_PATHS.findall(data)) for path in text.split(b":") if path.startswith(b"/")}
    return Strings(_sorted(paths), _sorted(set(_LIBRARIES.findall(data)))[:_LIBRARIES_LIMIT])


def alone(data: bytes, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are a whole string in a file's data."""
    if not names:
        return ()
    pattern = b"|".join(re.escape(name.encode("utf-8", "surrogateescape")) for name in names)
    return _sorted(set(re.findall(b"\0(%b)(?=\0)" % pattern, data)))


def words(data: bytes) -> tuple[str, ...]:
    """The words that stand alone in a file's data, and could be a command's name."""
    return _sorted(set(_WORDS.findall(data)))


def commands(data: bytes) -> tuple[str, ...]:
    """The first words of what looks like a command line."""
    return _sorted(set(_COMMANDS.findall(data)))


def named_paths(root: Root, strings: Strings) -> Iterator[tuple[str, str]]:
    """(name, real path) of the paths that are there, each real path once; folders of everybody are left out."""
    known: set[str] = set()
    for name in strings.paths:
        found = lead(root, name)
        if found is not None and found.node is not None and found.path not in known and not COMMON.fullmatch(found.path):
            known.add(found.path)
            yield name, found.path


def is_for_people(path: str) -> bool:
    """Whether a file is documentation, a translation, an example, a header, or what debuggers and compilers read."""
    return (
        path.startswith(_FOR_PEOPLE)
        or path.endswith(_FOR_PEOPLE_NAMES)
        or (path.startswith("/usr/") and bool(_FOR_PEOPLE_FOLDERS.search(path)))
    )


def _sorted(texts: set[bytes]) -> tuple[str, ...]:
    return tuple(text.decode("utf-8", "surrogateescape") for text in sorted(texts)[:_COUNT_LIMIT])
