"""A package, and the databases that say which files it owns."""

from collections.abc import Collection
from typing import NamedTuple

from jettison.packages import apk, dpkg
from jettison.packages.owner import Owner
from jettison.tree.root import Root

_OWNERS = {"dpkg": dpkg.owners, "apk": apk.owners}
_FILES = {"dpkg": dpkg.files, "apk": apk.files}


class Package(NamedTuple):
    """A package as its manager names it: `manager` is `dpkg` or `apk`."""

    manager: str
    name: str
    version: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


def owners(root: Root, wanted: Collection[str] | None = None) -> dict[str, Package]:
    """path → the package that owns it, over every database in the Root; of all paths, or of those `wanted`, which is quicker.

    Paths are real, without links on the way.
    """
    return {path: Package(manager, *owner) for manager, read in _OWNERS.items() for path, owner in read(root, wanted).items()}


def siblings(root: Root, path: str) -> frozenset[str]:
    """The real paths that the package of the file at `path` owns; none where no package owns it."""
    package = owners(root, [path]).get(path)
    return frozenset(_FILES[package.manager](root, Owner(*package[1:]))) if package else frozenset()
