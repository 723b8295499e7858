"""An image or a folder, with the closure of what it starts: what `weigh` and `why` look at."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from jettison.closure import document
from jettison.closure.entry import entries
from jettison.closure.facts import DEFAULT_PATH, Facts, Setting
from jettison.closure.resolve import resolve
from jettison.closure.system import made
from jettison.closure.why import Closure, Need, Reason
from jettison.image.image import Image
from jettison.image.layout import closure_digest
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.packages.package import Package, Packages, owners
from jettison.tree.disk import read_tree
from jettison.tree.root import Tree
from jettison.tree.root import resolve as follow

_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload")


class Examined(NamedTuple):
    """`name` as the user gave it; `packages`: path → its owner."""

    name: str
    tree: Tree
    closure: Closure
    packages: dict[str, Package]


def examine(target: str, store: LocalStore, programs: Sequence[str] = ()) -> Examined:
    """Look at an image of the store, or at a folder (a `target` with a slash that is one).

    The closure is the one that travels with the image, else that of `programs`, else that of the image's own command.
    Nothing is executed. Errors: NotFound, InvalidData, HostileData.
    """
    if os.path.isdir(target) and ("/" in target or target in (".", "..")):
        tree = read_tree(target)
        return Examined(target, tree, _closure(tree, programs, "/", ()), owners(tree))
    _, digest = store.resolve(target)
    image = store.image(digest)
    tree = image_tree(store, image)
    recorded = None if programs else _recorded(store, image)
    if recorded is not None:
        packages = {path: Package(*owner) for path, owner in recorded.packages.items()}
        return Examined(target, tree, recorded.closure, packages)
    config = image.config
    argv = (*config.entrypoint, *config.cmd)
    closure = _closure(tree, programs, config.working_dir or "/", config.env, argv)
    return Examined(target, tree, closure, owners(tree))


def _recorded(store: LocalStore, image: Image) -> document.Document | None:
    """The closure that travels with the image, if it does."""
    digest = closure_digest(image.manifest)
    if digest is None or not store.has(digest):
        return None
    return document.read(store.read(digest, document.LIMIT_BYTES), f"closure {digest}")


def _closure(
    tree: Tree,
    programs: Sequence[str],
    folder: str,
    env: Sequence[tuple[str, str]],
    argv: Sequence[str] = (),
) -> Closure:
    search_path = tuple(part for part in dict(env).get("PATH", "").split(":") if part) or DEFAULT_PATH
    commands: list[tuple[str, ...]] = [(program,) for program in programs] or ([tuple(argv)] if argv else [])
    seeds = [need for command in commands for need in entries(tree, command, search_path, folder)]
    if seeds:
        entry = follow(tree, seeds[0].path).path
        expected = [(item.path, item.detail) for item in made()]
        expected += [(path, "ld.so reads it") for path in _SYSTEM_FILES]
        seeds += [Need(path, Reason("rule", entry, detail)) for path, detail in expected if path in tree.nodes]
    return resolve(tree, seeds, Setting(Packages(tree), Facts(), tuple(env)))
