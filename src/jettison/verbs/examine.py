"""An image or a folder, with the closure of what it starts: what `weigh` and `why` look at."""

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from jettison.closure.behaviour import Command
from jettison.closure.choices import Choices
from jettison.closure.removed import Removed
from jettison.closure.why import Closure
from jettison.errors import UsageError
from jettison.image.opened import is_oci_folder, open_image
from jettison.image.store import LocalStore
from jettison.oci.config import Pairs
from jettison.packages.package import Package, owners
from jettison.tree.disk import read_tree
from jettison.tree.root import Tree
from jettison.verbs.slim import Thinning, command_of, recorded, thin_out


class Examined(NamedTuple):
    """`name` as the user gave it; `packages`: path → its owner; `removed`: what the image had before it was slimmed."""

    name: str
    tree: Tree
    closure: Closure
    packages: dict[str, Package]
    removed: Mapping[str, Removed] = MappingProxyType({})


def examine(target: str, store: LocalStore, programs: Sequence[str] = (), choices: Choices | None = None) -> Examined:
    """Look at an image of the store or in an archive, or at a folder (a `target` with a slash that is one).

    The closure is the one that travels with the image, unless there are `programs` or `choices`; else the one that `slim` would
    make, of `programs` in place of the image's own command. Nothing is executed. Errors: NotFound, InvalidData, HostileData.
    """
    thinning = Thinning(tuple(programs), choices=choices or Choices())
    if os.path.isdir(target) and ("/" in target or target in (".", "..")) and not is_oci_folder(target):
        return _computed(target, read_tree(target), Command(), (), thinning)
    with open_image(target, store) as (image, tree):
        known = None if programs or choices else recorded(store, image)
        if known is not None:
            packages = {path: Package(*owner) for path, owner in known.packages.items()}
            return Examined(target, tree, known.closure, packages, known.removed)
        command = command_of(tree, image)
        command = command._replace(argv=(), health=()) if programs else command
        return _computed(target, tree, command, image.config.env, thinning)


def _computed(target: str, tree: Tree, command: Command, env: Pairs, thinning: Thinning) -> Examined:
    """What slim would leave; nothing, where nothing is started."""
    try:
        thin = thin_out(tree, command, env, thinning, refuses=False)
    except UsageError:
        return Examined(target, tree, Closure({}), owners(tree))
    return Examined(target, tree, thin.closure, thin.packages)
