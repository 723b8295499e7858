"""Caches that are made anew of what came into the image: the Root's own would name files that are not there.

A new one is a function in the table: the image's files, a Tree → path → the node that lies there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from jettison.errors import InvalidData
from jettison.tree.node import Node, made_file
from jettison.tree.root import Tree, resolve

if TYPE_CHECKING:
    from jettison.closure.elf import ByteOrder

_LIMIT_BYTES = 4 << 20
_LIBRARY_FOLDER = re.compile(r"(/usr|/usr/local)?/lib(32|64|x32)?(/[^/]+-linux-[^/]+)?")


def pixbuf_loaders(tree: Tree) -> dict[str, Node]:
    """GDK-Pixbuf's loaders.cache: a paragraph for every loader, whose first line is its path in quotes."""
    return dict(_kept(tree, "/loaders.cache", "\n\n", _names_a_loader))


def gio_modules(tree: Tree) -> dict[str, Node]:
    """GIO's giomodule.cache: `MODULE: extension points`, a line for every module of the folder."""
    return dict(_kept(tree, "/giomodule.cache", "\n", _names_a_module))


def linker_cache(tree: Tree) -> dict[str, Node]:
    """/etc/ld.so.cache of the image's libraries, by their sonames, as ldconfig(8) lists them."""
    from jettison.closure import cache, elf

    entries, byte_order = [], None
    for path, node in sorted(tree.nodes.items()):
        if node.kind == "file" and ".so" in path.rpartition("/")[2] and _LIBRARY_FOLDER.fullmatch(path.rpartition("/")[0]):
            with tree.open(path) as file:
                found = elf.read(file, path) if elf.is_elf(file.read(4)) else None
            link = f"{path.rpartition('/')[0]}/{found.soname}" if found and found.soname else ""
            if found and link in tree.nodes:
                byte_order = found.byte_order
                entries.append((found.soname, link, cache.flags_of(found)))
    return {"/etc/ld.so.cache": made_file(cache.write(entries, byte_order))} if byte_order else {}


def charsets(tree: Tree) -> dict[str, Node]:
    """gconv-modules and its cache, of the modules that came along; those that are built in stay as they are."""
    from jettison.closure import gconv, gconv_cache

    made: dict[str, Node] = {}
    for folder in gconv.folders(tree):
        modules = {name.removesuffix(".so"): f"{folder}/{name}" for name in tree.listdir(folder) if name.endswith(".so")}
        configuration = gconv.restricted(gconv.configuration(tree, folder), modules)
        made[f"{folder}/{gconv.CONFIGURATION}"] = gconv.node(configuration)
        byte_order = _byte_order(tree, min(modules.values(), default=""))
        if not byte_order:
            continue
        with suppress(InvalidData):  # then glibc reads gconv-modules
            made[f"{folder}/{gconv.CACHE}"] = made_file(gconv_cache.write(configuration, folder, byte_order))
    return made


REGENERATE: dict[str, Callable[[Tree], Mapping[str, Node]]] = {
    "gconv": charsets,
    "gdk-pixbuf": pixbuf_loaders,
    "gio": gio_modules,
    "ld.so.cache": linker_cache,
}


def _byte_order(tree: Tree, path: str) -> "ByteOrder | None":
    """The byte order of an ELF file; None where there is none."""
    from jettison.closure import elf

    if not path:
        return None
    with tree.open(path) as file:
        return elf.read(file, path).byte_order if elf.is_elf(file.read(4)) else None


def _kept(tree: Tree, ending: str, separator: str, keeps: Callable[[Tree, str, str], bool]) -> Iterator[tuple[str, Node]]:
    """The caches at paths with this ending, with those of their parts that name what is in the image."""
    for path in [path for path, node in tree.nodes.items() if path.endswith(ending) and node.kind == "file"]:
        with tree.open(path) as file:
            parts = file.read(_LIMIT_BYTES).decode("utf-8", "surrogateescape").split(separator)
        folder = path.rpartition("/")[0]
        text = separator.join(part for part in parts if keeps(tree, folder, part))
        yield path, made_file(text.encode("utf-8", "surrogateescape"))


def _names_a_loader(tree: Tree, folder: str, paragraph: str) -> bool:
    paths = [line.strip('"') for line in paragraph.splitlines() if line.startswith('"/') and line.endswith('.so"')]
    return all(resolve(tree, path).node is not None for path in paths)


def _names_a_module(tree: Tree, folder: str, line: str) -> bool:
    return not line or resolve(tree, f"{folder}/{line.partition(':')[0]}").node is not None
