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


class Packages:
    """Who owns what in a Root; its databases are read when the first question comes, and no more of them than it takes."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._asked: dict[str, Package | None] = {}
        self._all: dict[str, Package] | None = None
        self._files: dict[Package, frozenset[str]] = {}

    def owner(self, path: str) -> Package | None:
        """The package that owns the file at a real path."""
        if path not in self._asked:
            if self._asked and self._all is None:  # one question is answered by a search, the second by reading it all
                self._all = owners(self._root)
            known = owners(self._root, [path]) if self._all is None else self._all
            self._asked[path] = known.get(path)
        return self._asked[path]

    def files(self, package: Package) -> frozenset[str]:
        """The real paths that a package owns."""
        if package not in self._files:
            self._files[package] = frozenset(_FILES[package.manager](self._root, Owner(*package[1:])))
        return self._files[package]

    def siblings(self, path: str) -> frozenset[str]:
        """The real paths that the package of the file at `path` owns; none where no package owns it."""
        package = self.owner(path)
        return self.files(package) if package else frozenset()
