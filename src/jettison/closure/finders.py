"""The finders: each reads one file and says what it needs. A new ecosystem is a new function in the list.

A finder imports its reader when it has something to read: a static program starts none of them.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jettison.closure.elf_file import MAGIC
from jettison.closure.facts import Finder, Finding, Subject
from jettison.closure.place import is_system
from jettison.closure.why import Confidence, Make, Missing, Need, Reason
from jettison.errors import InvalidData
from jettison.tree.node import made_symlink
from jettison.tree.root import resolve as follow

if TYPE_CHECKING:
    from jettison.closure.elf import DlopenNote, Priority
    from jettison.closure.linker import Loaded, Loading

_SILENT = re.compile(r"ld-.*\.so.*|lib(c|m|pthread|dl|rt|resolv)\.so\.\d+|libc\.musl-.*")  # what every program loads
_START_A_SHELL = frozenset({"popen", "system", "wordexp"})
_PRIORITIES: "dict[Priority, Confidence]" = {"required": "certain", "recommended": "likely", "suggested": "hint"}


def elf_needs(subject: Subject) -> Iterable[Need | Missing]:
    """The interpreter, and every library that ld.so would map, with the rule that finds it."""
    program = subject.read_elf(subject.path)
    if program is None or not (program.is_dynamic or program.interpreter) or subject.is_loaded:
        return
    if program.interpreter:
        reason = Reason("interpreter", subject.path, f"PT_INTERP {program.interpreter}")
        yield from _need_or_missing(subject, program.interpreter, reason)
    from jettison.closure import linker

    environment = linker.Environment(library_path=subject.setting.library_path)
    loading = linker.load(subject.root, subject.path, environment, subject.read_elf)
    yield from _loaded(loading.objects, loading.again)
    yield from loading.missing
    yield from loading.problems
    for item in (loading.program, *loading.objects):
        for note in item.elf.dlopen:
            yield from _noted_library(subject, loading, item.real, note)


def script_needs(subject: Subject) -> Iterable[Need | Missing]:
    """A script's interpreter, and the program that `env` starts."""
    if subject.is_script:
        from jettison.closure import script

        needs, missing = script.needs(subject.root, subject.path, subject.head, subject.setting.search_path)
        yield from needs
        yield from missing


def language_needs(subject: Subject) -> Iterable[Finding]:
    """What a script's text says that it needs, or the machine has for an interpreter that is packed by itself."""
    if subject.is_script or subject.reason.kind in ("entry", "string", "kept"):
        from jettison.closure import languages

        yield from languages.needs(subject)


def rule_needs(subject: Subject) -> Iterable[Finding]:
    """What the rules bring that this file sets off."""
    from jettison.closure.rules import findings

    return findings(subject)


def locale_needs(subject: Subject) -> Iterable[Finding]:
    """The locales that the user chose, and their translations."""
    if not subject.setting.choices.locales:
        return ()
    from jettison.closure.readers import locales

    return locales.chosen(subject)


def string_needs(subject: Subject) -> Iterable[Finding]:
    """What a program or a library names in its data: libraries, programs, folders and files that the Root has."""
    program = subject.read_elf(subject.path)
    if program is None or program.type not in ("exec", "dyn") or _SILENT.fullmatch(subject.path.rpartition("/")[2]):
        return ()
    from jettison.closure import named

    return named.findings(subject, program)


def package_needs(subject: Subject) -> Iterable[Need]:
    """What a program's own package brings for it."""
    if not (is_system(subject.path) and _is_started(subject)) or subject.setting.packages.owner(subject.path) is None:
        return ()
    from jettison.closure import own_package

    return own_package.needs(subject)


def shell_needs(subject: Subject) -> Iterable[Finding]:
    """The shell of a program that starts one, and the one that the user chose."""
    chosen = subject.setting.choices.shell
    if subject.reason.kind == "entry" and chosen.startswith("/"):
        reason = Reason("kept", subject.path, f"--shell {chosen}")
        yield Need(chosen, reason)
        yield Need("/bin", reason, follow_last=False)
        yield Make("/bin/sh", made_symlink(chosen), reason)
    elif chosen == "auto" and subject.head.startswith(MAGIC) and not _SILENT.fullmatch(subject.path.rpartition("/")[2]):
        symbols = subject.setting.facts.imported_symbols(subject.root, subject.path)
        for symbol in sorted(_START_A_SHELL & symbols)[:1]:
            yield Need("/bin/sh", Reason("symbol", subject.path, f"{symbol}(3) starts a command with /bin/sh", "likely"))


LINKING: tuple[Finder, ...] = (elf_needs, script_needs)  # what starting a program takes
FINDERS: tuple[Finder, ...] = (*LINKING, locale_needs, rule_needs, language_needs, string_needs, package_needs, shell_needs)


def _is_started(subject: Subject) -> bool:
    """Whether a file is a program that people or other programs start by its name, or the one that was packed."""
    if subject.reason.kind == "entry":
        return True
    node = subject.root.lstat(subject.path)
    folder = subject.path.rpartition("/")[0]
    return node is not None and bool(node.mode & 0o111) and folder.endswith(("/bin", "/sbin", "/games"))


def _need_or_missing(subject: Subject, path: str, reason: Reason) -> Iterable[Need | Missing]:
    try:
        found = follow(subject.root, path).node
    except InvalidData:
        found = None
    yield Need(path, reason) if found is not None else Missing(path, reason)


def _loaded(objects: "Iterable[Loaded]", again: "Iterable[Loaded]") -> Iterable[Need]:
    for item in (*objects, *again):
        yield Need(item.path, Reason("needed", item.by, f"{item.wanted_name} via {item.rule}"))


def _noted_library(subject: Subject, loading: "Loading", by: str, note: "DlopenNote") -> Iterable[Need | Missing]:
    """The first of a note's sonames that is there, with what it needs in turn."""
    from jettison.closure import linker

    detail = f".note.dlopen {note.priority}: {note.description or note.feature}"
    confidence = _PRIORITIES[note.priority]
    for soname in note.sonames:
        after = linker.dlopen(subject.root, loading, by, soname, subject.read_elf)
        new = after.objects[len(loading.objects) :]
        again = after.again[len(loading.again) :]
        if new or again:
            first = (*new, *again)[0]
            yield Need(first.path, Reason("dlopen", by, f"{soname} via {first.rule}; {detail}", confidence))
            if subject.setting.choices.admits(confidence):
                yield from _loaded(new[1:], again)
            return
    yield Missing(" or ".join(note.sonames), Reason("dlopen", by, detail, confidence))
