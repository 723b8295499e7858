"""What an interpreter may be asked for that is packed by itself.

The code that it will run is not known; the modules are that the machine has for it.

A unit is what one package of the system installed for the language, or one folder of what no package owns. It weighs its files
and the libraries that these would load. Of packages of modules, not of programs, the lightest come first, and all that fits is
likely; the rest is a hint.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jettison.closure import modules, script_text
from jettison.closure.facts import Finding, Subject
from jettison.closure.python_layout import layout
from jettison.closure.resolve import find_program
from jettison.closure.rules import glob
from jettison.closure.strings import is_for_people
from jettison.closure.why import Need, Reason
from jettison.errors import InvalidData
from jettison.tree.root import lead

UNIT_BYTES = 48 << 20
TOTAL_BYTES = 128 << 20

# Debian's policies for each language say how packages of modules are called; other packages keep their own programs' parts there.
_LIBRARIES = re.compile(
    r"python3?-.+|lib.+-(perl|tcl)|tcl.*|.+tcl|ruby-.+|(lib)?lua\d?\.?\d?-.+|php-.+|node-.+|r-.+|guile-.+|/.+"
)

# POSIX.1-2017, XCU 4: what a shell's text usually starts.
_UTILITIES = (
    "awk basename bc cat chgrp chmod chown cmp comm cp cut date dd df diff dirname du env expand expr false find fold grep head"
    " id join kill ln logname ls mkdir mkfifo mktemp mv nice nl nohup od paste pathchk pr printf ps pwd readlink rm rmdir sed seq"
    " sh sleep sort split stat stty tail tee test touch tr true tsort tty uname unexpand uniq wc which xargs"
).split()
# What belongs to the language itself, and is no part of what one more package installed.
_CORE = {
    "perl": (
        "/usr/share/perl/5.*", "/usr/share/perl/5.*/**", "/usr/lib/*/perl/5.*", "/usr/lib/*/perl/5.*/**",
        "/usr/share/perl5/core_perl/**", "/usr/lib/perl5/core_perl/**",
    ),
}  # fmt: skip
# Where modules lie besides those folders that modules.py knows; the library of the interpreter itself comes by its rule.
_FOLDERS = {
    "guile": ("/usr/share/guile/site/*", "/usr/lib/*/guile/*/site-ccache"),
    "node": ("/usr/share/nodejs", "/usr/lib/*/nodejs", "/usr/lib/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules"),
    "ruby": ("/usr/share/rubygems-integration", "/usr/lib/ruby/gems", "/var/lib/gems", "/usr/lib/*/rubygems-integration"),
}


class _Unit(NamedTuple):
    """A package, or a folder, with its files."""

    name: str
    paths: tuple[str, ...]


def needs(subject: Subject, language: str) -> Iterator[Finding]:
    """The modules that an interpreter may be asked for."""
    if language == "shell":
        yield from _utilities(subject)
        return
    core = [path for pattern in _CORE.get(language, ()) for path in sorted(glob(subject.root, pattern))]
    own = Reason("import", subject.path, f"{language} may be asked to import what comes with it", "likely")
    yield from (Need(path, own) for path in core if not is_for_people(path))
    units = _units(subject, _folders(subject, language), set(core))
    for unit, is_light in _chosen(subject, units):
        detail = f"{language} may be asked to import what {unit.name} installed"
        reason = Reason("import", subject.path, detail, "likely" if is_light else "hint")
        for path in unit.paths:
            yield Need(path, reason)


def _chosen(subject: Subject, units: list[_Unit]) -> Iterator[tuple[_Unit, bool]]:
    """The units, the lightest first, and whether each still fits: a library counts for the first that loads it."""
    loaded, left = set(_libraries(subject, subject.path)), TOTAL_BYTES
    weighed = [(_size(subject, unit.paths), _unit_libraries(subject, unit), unit) for unit in units]
    for size, libraries, unit in sorted(weighed, key=lambda item: (item[0] + _size(subject, item[1]), item[2].name)):
        weight = size + _size(subject, libraries - loaded)
        is_light = weight <= UNIT_BYTES and weight <= left and bool(_LIBRARIES.fullmatch(unit.name))
        if is_light:
            left -= weight
            loaded |= libraries
        yield unit, is_light


def _utilities(subject: Subject) -> Iterator[Need]:
    for name in _UTILITIES:
        path = find_program(subject.root, name, subject.setting.search_path)
        if path:
            yield Need(path, Reason("string", subject.path, f"a shell may be asked to start `{name}`", "hint"))


def _folders(subject: Subject, language: str) -> list[str]:
    """The real folders, each once, that modules of a language are installed to."""
    root = subject.root
    if language == "python":
        found = layout(root, subject.path)
        paths = list(found.sites) if found else []
    else:
        paths = [path for pattern in _FOLDERS.get(language, ()) for path in glob(root, pattern)]
        paths += modules.folders(root, language) if language in modules.LANGUAGES else []
    leads = (lead(root, path) for path in paths)
    return list(dict.fromkeys(found.path for found in leads if found and found.node and found.node.kind == "dir"))


def _units(subject: Subject, folders: list[str], core: set[str]) -> list[_Unit]:
    """The files below the folders besides those of `core`, by who installed them."""
    found: dict[str, dict[str, None]] = {}
    for folder in folders:
        for path in script_text.below(subject.root, folder):
            if path not in core and not is_for_people(path):
                owner = subject.setting.packages.owner(path)
                name = owner.name if owner else f"{folder}/{path[len(folder) + 1 :].split('/')[0]}"
                found.setdefault(name, {})[path] = None
    return [_Unit(name, tuple(paths)) for name, paths in sorted(found.items())]


def _size(subject: Subject, paths: Iterable[str]) -> int:
    return sum(node.size for node in map(subject.root.lstat, paths) if node)


def _unit_libraries(subject: Subject, unit: _Unit) -> set[str]:
    """The libraries outside of a unit that its modules load."""
    modules_of = [path for path in unit.paths if path.endswith(".so")]
    return {library for path in modules_of for library in _libraries(subject, path)}.difference(unit.paths)


def _libraries(subject: Subject, path: str) -> list[str]:
    """The real paths of the libraries that come with an ELF file."""
    from jettison.closure import linker

    try:
        found = lead(subject.root, path)
        if found is None or subject.read_elf(found.path) is None:
            return []
        return [item.real for item in linker.load(subject.root, found.path, read=subject.read_elf).objects]
    except InvalidData:  # a broken module is shipped as it is, and brings nothing
        return []
