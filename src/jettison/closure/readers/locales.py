"""Locales: those that the user chose, else those that the machine was set up with, and the translations of the chosen ones."""

import re
from collections.abc import Iterable, Iterator

from jettison.closure import locales
from jettison.closure.facts import Finding, Subject
from jettison.closure.locales import Locale
from jettison.closure.why import Make, Need, Reason, Regenerate, Variable
from jettison.errors import UsageError
from jettison.tree.node import Node
from jettison.tree.root import resolve

_LIMIT_BYTES = 8 << 20  # two or three locales: most machines have their users' one
# setlocale(3), newlocale(3), and std::locale's constructor with a name.
_ASKS = frozenset({"setlocale", "newlocale", "_ZNSt6localeC1EPKc", "_ZNSt6localeC2EPKc"})
_SETTINGS = ("/etc/default/locale", "/etc/locale.conf")  # locale(5) of Debian, locale.conf(5) of systemd
_SETTING = re.compile(r"""^\s*(?:export\s+)?(?:LANG|LC_[A-Z]+)=["']?([^\s"']+)""", re.MULTILINE)
_SETTING_BYTES = 64 << 10
_TRANSLATIONS = ("/usr/share/locale", "/usr/share/locale-langpack")


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The machine's locales, for a program that sorts or writes by one: what it was set up with where all are too large."""
    symbols = subject.setting.facts.imported_symbols(subject.root, subject.path)
    is_for_others = subject.path.rpartition("/")[2].startswith("libstdc++.so")  # what std::locale is made of
    if _ASKS.isdisjoint(symbols) or is_for_others or not subject.setting.is_new("locales"):
        return
    found = {name: item for name, item in locales.locales(subject.root).items() if not locales.is_built_in(name)}
    if _size(subject, found.values()) > _LIMIT_BYTES:
        wanted = {locales.normalised(name) for name in _settings(subject)}
        found = {name: item for name, item in found.items() if name in wanted}
    yield from (finding for item in found.values() for finding in _brought(subject, item, reason))


def chosen(subject: Subject) -> Iterator[Finding]:
    """The locales of `--locale`, and the translations of each file's package. Errors: UsageError for one that is not there."""
    names = subject.setting.choices.locales
    if subject.reason.kind == "entry" and subject.setting.is_new("chosen locales"):
        reason = Reason("kept", subject.path, f"--locale {' --locale '.join(names)}")
        yield Variable("LANG", names[0], reason)
        there = locales.locales(subject.root)
        for name in (name for name in names if not locales.is_built_in(name)):
            yield from _brought(subject, _of_name(there, name), reason)
            yield from (Need(path, reason) for path in _translations(subject, name, ["libc"]))
    owner = subject.setting.packages.owner(subject.path)
    for name in names if owner else ():
        reason = Reason("kept", subject.path, f"--locale {name}: messages of {owner}")
        domains = [owner.name if owner else "", subject.path.rpartition("/")[2]]
        own = subject.setting.packages.siblings(subject.path)
        yield from (Need(path, reason) for path in _translations(subject, name, domains, own))


def _of_name(there: dict[str, Locale], name: str) -> Locale:
    if locales.normalised(name) in there:
        return there[locales.normalised(name)]
    known = ", ".join(sorted(item.name for item in there.values())) or "none"
    hint = f"make it on that machine with `locale-gen` or `localedef`; it has {known}"
    raise UsageError(f"`--locale {name}`: no such locale in {locales.FOLDER}", hint)


def _brought(subject: Subject, locale: Locale, reason: Reason) -> Iterator[Finding]:
    yield from (Need(path, reason) for path in locale.paths)
    yield from (Make(path, node, reason) for path, node in locale.made.items())
    codeset = locales.codeset(subject.root, locale)
    if codeset not in ("", "UTF-8"):
        yield from _charset(subject, codeset, reason)


def _charset(subject: Subject, charset: str, reason: Reason) -> Iterator[Finding]:
    """The module by which libc reads and writes a locale's texts."""
    from jettison.closure import gconv

    for folder in gconv.folders(subject.root):
        found = gconv.configuration(subject.root, folder)
        yield Make(f"{folder}/{gconv.CONFIGURATION}", gconv.node(found), reason)
        yield from (Need(f"{folder}/{name}.so", reason) for name in sorted(gconv.modules_of(found, charset)))
        yield Regenerate("gconv", reason)


def _size(subject: Subject, items: Iterable[Locale]) -> int:
    """How large locales are together, what they share counted once."""
    nodes: list[Node | None] = [node for item in items for node in item.made.values()]
    nodes += [resolve(subject.root, path).node for item in items for path in item.paths]
    return sum({node.inode or id(node): node.size for node in nodes if node}.values())


def _settings(subject: Subject) -> list[str]:
    """The locales that the program's environment or the machine's settings name."""
    variables = subject.setting.environment
    names = [value for name, value in variables if name == "LANG" or name.startswith("LC_")]
    for path in _SETTINGS:
        found = resolve(subject.root, path)
        if found.node is not None and found.node.kind == "file":
            with subject.root.open(found.path) as file:
                names += _SETTING.findall(file.read(_SETTING_BYTES).decode("utf-8", "replace"))
    return names


def _translations(subject: Subject, locale: str, domains: list[str], own: Iterable[str] = ()) -> Iterator[str]:
    """The catalogues of messages for a locale: those of these domains, and those of `own` paths."""
    for folder in (f"{base}/{language}/LC_MESSAGES/" for base in _TRANSLATIONS for language in locales.languages(locale)):
        yield from sorted(path for path in own if path.startswith(folder) and subject.root.lstat(path))
        paths = (f"{folder}{domain}.mo" for domain in domains)
        yield from (path for path in paths if path not in own and subject.root.lstat(path))
