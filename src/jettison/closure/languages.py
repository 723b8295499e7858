"""Which language a script is written in, and who reads it. A new language is a line in the tables."""

import re
from collections.abc import Iterable
from importlib import import_module

from jettison.closure.facts import Finding, Subject
from jettison.errors import InvalidData

# So starts the detail of an interpreter's reason whose command names the script.
WITH_SCRIPT = "the interpreter of"

# What interpreters are called, with or without a version.
_NAMES = {
    "awk": r"[gmn]?awk|original-awk",
    "guile": r"guile(-\d.*)?",
    "lua": r"lua(jit|\d.*)?|texlua",
    "node": r"node(js)?",
    "perl": r"perl(\d.*)?",
    "php": r"php(\d.*)?",
    "python": r"python(\d.*)?",
    "r": r"Rscript|littler|r",
    "ruby": r"ruby(\d.*)?",
    "shell": r"(ba|da|a|k|mk|rba|z)?sh|ksh93|busybox",
    "tcl": r"(tclsh|wish|expect)(\d.*)?",
}
_LANGUAGE = re.compile("|".join(f"(?P<{language}>{names})" for language, names in _NAMES.items()))
_SUFFIXES = {
    ".js": "node", ".lua": "lua", ".php": "php", ".pl": "perl", ".pm": "perl", ".py": "python", ".rb": "ruby", ".sh": "shell",
    ".tcl": "tcl",
}  # fmt: skip
# A shell script that becomes another language's: `exec perl -x -S "$0" "$@"`, perhaps in a here-document or a string.
_TRAMPOLINE = re.compile(rb"\bexec\s+(?:/usr/bin/env\s+)?(?:/\S*/)?([\w.]+)\s[^\n]*\$(?:0\b|\{0)")

# The module of each language's reader: needs(subject, language) -> Iterator[Finding].
_READERS = {
    "lua": "modules", "perl": "modules", "php": "modules", "python": "python", "ruby": "modules", "shell": "shell",
    "tcl": "modules",
}  # fmt: skip


def needs(subject: Subject) -> Iterable[Finding]:
    """What a script says that it needs; and what an interpreter that is packed by itself may be asked for."""
    if subject.head.startswith(b"\x7fELF"):
        is_alone = subject.reason.kind == "entry" and not subject.reason.detail.startswith(WITH_SCRIPT)
        language = of_name(subject.path.rpartition("/")[2]) if is_alone else ""
        yield from _reader("site").needs(subject, language) if language else ()
    else:
        for language in of_script(subject):
            if language in _READERS:
                yield from _reader(_READERS[language]).needs(subject, language)


def of_name(name: str) -> str:
    """The language of an interpreter by the name of its file; empty if it is none."""
    found = _LANGUAGE.fullmatch(name)
    return next((language for language, text in found.groupdict().items() if text is not None), "") if found else ""


def of_script(subject: Subject) -> list[str]:
    """The languages of a script: by its first line, by the program that it becomes, or by its name."""
    language = of_name(interpreter(subject).rpartition("/")[2])
    if language == "shell":
        start = subject.setting.facts.data(subject.root, subject.path)[:4096]
        others = (of_name(name.decode("ascii", "replace")) for name in _TRAMPOLINE.findall(start))
        return [language, *dict.fromkeys(other for other in others if other not in ("", "shell"))]
    if language or subject.head.startswith(b"#!"):
        return [language]
    suffix = re.search(r"\.\w+$", subject.path)
    return [_SUFFIXES[suffix[0]]] if suffix and suffix[0] in _SUFFIXES else []


def interpreter(subject: Subject) -> str:
    """The interpreter that a script's first line comes to, as it is written; empty without such a line."""
    from jettison.closure import script

    shebang = script.parse_shebang(subject.head)
    if shebang is None:
        return ""
    if shebang.interpreter.rpartition("/")[2] != "env" or not shebang.argument:
        return shebang.interpreter
    try:
        return script.env_command([shebang.argument, subject.path], subject.setting.search_path).program
    except InvalidData:
        return ""


def _reader(name: str):  # type: ignore[no-untyped-def]
    return import_module(f"jettison.closure.{name}")
