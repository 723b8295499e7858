"""iconv's modules: those that the user chose, those that the program names, and how glibc finds them."""

import re
from collections.abc import Iterator

from jettison.closure import gconv
from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Confidence, Make, Need, Reason

# What converts only between UTF-8 and the charset of the locale, which is built in where that is UTF-8: file names, messages.
_LOCALE_ONLY = re.compile(
    r"bash|bison|cmp|diff3?|sdiff|env|envsubst|factor|gencat|m4|n?gettext|printf|ptx|tar|preconv|pinentry-\w+|xdg-user-dirs-update"
    r"|(libapt-pkg|libaprutil-1|libfuse3?|libgettext(lib|src)-[0-9.]+|libglib-2\.0|libidn2?|libparted|libpopt|libpsl|libpulse"
    r"|libstdc\+\+|libunistring|libSDL\d?-.*)\.so.*"
)


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The modules of the charsets; those beside them that they load are found as any library."""
    program = subject.read_elf(subject.path)
    choice = subject.setting.choices.charsets
    if program is None or choice == "none":
        return
    is_for_locale = bool(_LOCALE_ONLY.fullmatch(subject.path.rpartition("/")[2]))
    confidence: Confidence = "hint" if is_for_locale else reason.confidence
    if subject.setting.is_new(f"charsets {confidence}"):
        for folder in gconv.folders(subject.root):
            yield from modules(subject, folder, reason._replace(confidence=confidence), choice == "all")


def modules(subject: Subject, folder: str, reason: Reason, is_all: bool) -> Iterator[Finding]:
    """What a folder has, where its modules are for the machine that the program is for."""
    configuration = gconv.configuration(subject.root, folder)
    names = sorted({module for _, _, module in configuration.modules})
    there = [name for name in names if subject.root.lstat(f"{folder}/{name}.so") is not None]
    first = subject.read_elf(f"{folder}/{there[0]}.so") if there else None
    program = subject.read_elf(subject.path)
    if first is None or program is None or (first.machine, first.bits) != (program.machine, program.bits):
        return
    yield Make(f"{folder}/{gconv.CONFIGURATION}", gconv.node(configuration), reason)
    yield from (Need(f"{folder}/{name}.so", reason) for name in there if is_all or gconv.is_common(name))
