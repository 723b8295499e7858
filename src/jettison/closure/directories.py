"""The folders and tables in which a system's dynamic linker looks by itself: those of glibc, and those of musl.

glibc's ld.so has its default directories compiled in, so they are read out of the ld.so that the program names; ld.so.cache
adds what ldconfig found in the directories of ld.so.conf. musl has /etc/ld-musl-ARCH.path.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple
from weakref import WeakKeyDictionary

from jettison.closure import cache
from jettison.closure.elf import Elf
from jettison.errors import InvalidData, NotFound
from jettison.tree.root import Root, normalise, resolve, unreadable

CONFIGURATION = "/etc/ld.so.conf"
GLIBC_PRELOAD = "/etc/ld.so.preload"

_CODE_LIMIT = 4 << 20
_CACHE_LIMIT = 16 << 20
_CONF_LIMIT = 1 << 20
_CONF_FILES_LIMIT = 1000
_CONF_DEPTH_LIMIT = 20
_MUSL_DEFAULT = ("/lib", "/usr/local/lib", "/usr/lib")

# Two or more NUL-terminated texts side by side that start and end with `/`, and name a lib folder.
_COMPILED_IN = re.compile(rb"\0((?:/(?:[!-~]{1,200}/)?lib[!-~]{0,200}/\0)+)")

# (machine, bits, byte order): Debian's name of it, and where its ld.so is by its ABI.
_MACHINES = {
    (3, 32, "little"): ("i386-linux-gnu", "/lib/ld-linux.so.2"),
    (8, 64, "little"): ("mips64el-linux-gnuabi64", "/lib64/ld.so.1"),
    (21, 64, "little"): ("powerpc64le-linux-gnu", "/lib64/ld64.so.2"),
    (22, 64, "big"): ("s390x-linux-gnu", "/lib/ld64.so.1"),
    (40, 32, "little"): ("arm-linux-gnueabihf", "/lib/ld-linux-armhf.so.3"),
    (62, 64, "little"): ("x86_64-linux-gnu", "/lib64/ld-linux-x86-64.so.2"),
    (183, 64, "little"): ("aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1"),
    (243, 64, "little"): ("riscv64-linux-gnu", "/lib/ld-linux-riscv64-lp64d.so.1"),
    (258, 64, "little"): ("loongarch64-linux-gnu", "/lib64/ld-linux-loongarch-lp64d.so.1"),
}


class Configured(NamedTuple):
    """A directory that a file of ld.so.conf(5) names."""

    directory: str
    file: str


class Glibc(NamedTuple):
    """What one ld.so of glibc looks in: `configured` only where there is no cache. `notes` is what was wrong with it."""

    default: tuple[str, ...]
    cache: dict[str, list[cache.Entry]]
    configured: tuple[Configured, ...]
    notes: tuple[str, ...] = ()


_KNOWN: WeakKeyDictionary[Root, dict[tuple[object, ...], Glibc]] = WeakKeyDictionary()


def glibc(root: Root, interpreter: str, elf: Elf) -> Glibc:
    """Where the ld.so at `interpreter` looks (the usual one of the machine if that is empty) for what `elf` needs.

    A Root is one state of a filesystem, so that it is read once.
    """
    known = _KNOWN.setdefault(root, {})
    key = (interpreter, elf.machine, elf.bits, elf.byte_order, elf.abi_flags)
    if key not in known:
        known[key] = _glibc(root, interpreter, elf)
    return known[key]


def musl(root: Root, interpreter: str) -> tuple[tuple[str, ...], str]:
    """Where musl's loader at `interpreter` looks, and the file that says so; no file for its default."""
    # The prefix is what stands before the last two parts: of /usr/local/musl/lib/ld-musl-x86_64.so.1 it is /usr/local/musl.
    folder, _, name = interpreter.rpartition("/")
    path = f"{folder.rpartition('/')[0]}/etc/{name.partition('.so')[0]}.path"
    data = read_file(root, path, _CONF_LIMIT)
    if data is None:
        return _MUSL_DEFAULT, ""
    return tuple(part for part in re.split("[:\n]", os.fsdecode(data)) if part), path


def configured(root: Root, path: str = CONFIGURATION) -> tuple[Configured, ...]:
    """The directories that ld.so.conf and the files it includes name, in their order, each once."""
    found: dict[str, str] = {}
    for directory, file in _configured(root, path, set(), 0):
        found.setdefault(directory, file)
    return tuple(Configured(directory, file) for directory, file in found.items())


def read_file(root: Root, path: str, limit: int) -> bytes | None:
    """The first `limit` bytes of a regular file; None where there is none. Errors: HostError."""
    try:
        found = resolve(root, path)
        if found.node is None or found.node.kind != "file":
            return None
        with root.open(found.path) as file:
            return file.read(limit)
    except (InvalidData, NotFound):  # a ring of links, or it went away since
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def _glibc(root: Root, interpreter: str, elf: Elf) -> Glibc:
    triplet, usual = _MACHINES.get((elf.machine, elf.bits, elf.byte_order), ("", "/lib/ld.so.1"))
    code = read_file(root, interpreter or usual, _CODE_LIMIT) or b""
    entries, notes = _cache(root, _compiled_in_cache(code) or cache.PATH, elf)
    default = _compiled_in(code) or _usual_directories(triplet, elf.bits)
    return Glibc(default, entries or {}, configured(root) if entries is None else (), notes)


def _compiled_in(code: bytes) -> tuple[str, ...]:
    longest = max((match[1] for match in _COMPILED_IN.finditer(code)), key=len, default=b"")
    return tuple(os.fsdecode(part).rstrip("/") for part in longest.split(b"\0") if part)


def _compiled_in_cache(code: bytes) -> str:
    """The path of the cache, which is not everywhere in /etc: on NixOS it is beside glibc. Empty where there is none."""
    end = code.find(b"/ld.so.cache\0")
    folder = os.fsdecode(code[code.rfind(b"\0", 0, end) + 1 : end]) if end >= 0 else ""
    return f"{folder}/ld.so.cache" if folder.startswith("/") else ""


def _usual_directories(triplet: str, bits: int) -> tuple[str, ...]:
    """Debian's, Fedora's and everybody's, for an ld.so that does not tell."""
    names = [f"lib/{triplet}"] * bool(triplet) + ["lib64"] * (bits == 64) + ["lib"]
    return tuple(f"{prefix}/{name}" for name in names for prefix in ("", "/usr"))


def _cache(root: Root, path: str, elf: Elf) -> tuple[dict[str, list[cache.Entry]] | None, tuple[str, ...]]:
    """The entries of the cache for objects like `elf`, by soname; None where there is no cache. ld.so ignores a damaged one."""
    data = read_file(root, path, _CACHE_LIMIT)
    if data is None:
        return None, ()
    try:
        parsed = cache.parse(data, path)
    except InvalidData as error:
        return None, (f"{error.message}: ignored, as ld.so does",)
    if parsed.byte_order != elf.byte_order:
        return None, (f"`{path}` is {parsed.byte_order} endian, the program is not: ignored, as ld.so does",)
    by_soname: dict[str, list[cache.Entry]] = {}
    wanted = cache.flags_of(elf)
    for entry in parsed.entries:
        if entry.flags == wanted and entry.path.startswith("/"):
            by_soname.setdefault(entry.soname, []).append(entry)
    return by_soname, ()


def _configured(root: Root, path: str, seen: set[str], depth: int) -> Iterator[tuple[str, str]]:
    """(directory, file that names it). A file is read once, so that includes may form a ring."""
    if path in seen or len(seen) >= _CONF_FILES_LIMIT or depth > _CONF_DEPTH_LIMIT:
        return
    seen.add(path)
    for line in os.fsdecode(read_file(root, path, _CONF_LIMIT) or b"").split("\n"):
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                for file in _glob(root, normalise(pattern, path.rpartition("/")[0])):
                    yield from _configured(root, file, seen, depth + 1)
        elif words and words[0] != "hwcap" and words[0].startswith("/"):
            # `/lib=libc6` is an old way to say what kind of libraries are there.
            yield normalise(" ".join(words).partition("=")[0]), path


def _glob(root: Root, pattern: str) -> list[str]:
    """The paths of a Root that match a pattern, sorted."""
    found = [""]
    for part in pattern.split("/")[1:]:
        if re.search(r"[*?\[]", part):
            found = [f"{folder}/{name}" for folder in found for name in _matching(root, folder or "/", part)]
        else:
            found = [f"{folder}/{part}" for folder in found]
        found = found[:_CONF_FILES_LIMIT]
    return found


def _matching(root: Root, folder: str, pattern: str) -> list[str]:
    try:
        names = root.listdir(resolve(root, folder).path)
    except InvalidData:  # a ring of links
        return []
    return [name for name in names if fnmatchcase(name, pattern) and (pattern[0] == "." or name[0] != ".")]
