"""A package, and the databases that say which files it owns."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from jettison.packages.owner import Database, Owner, Record
from jettison.tree.notes import NoNotes, Notes, key_of, noted
from jettison.tree.root import Root

_STATES = ("/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/apk/db/installed")  # written anew by every change
# Where packages put files. What lies elsewhere nobody owns, and no database has to be read to know it.
_SHIPPED = frozenset("bin boot etc gnu lib lib32 lib64 libx32 opt sbin srv usr var".split())


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
    return Packages(root).owners(wanted)


class Packages:
    """Who owns what in a Root; its databases are read when the first question comes, and no more of them than it takes.

    With `notes` a question that was asked before of the same database is answered by them.
    """

    def __init__(self, root: Root, notes: Notes | None = None) -> None:
        self._root = root
        self._notes = notes or NoNotes()
        keys = [key_of("owners", node) for path in _STATES if (node := root.lstat(path)) is not None]
        self._key = " ".join(keys) if all(keys) else ""
        self._owner = _owners_of(self._notes.get(self._key))
        self._files: dict[Package, frozenset[str]] = {}

    @cached_property
    def _databases(self) -> dict[str, Database]:
        """What lies outside the system no package owns: then no reader of a database is imported."""
        from jettison.packages.apk import Apk
        from jettison.packages.dpkg import Dpkg

        return {"dpkg": Dpkg(self._root), "apk": Apk(self._root)}

    def owner(self, path: str) -> Package | None:
        """The package that owns the file at a real path."""
        return self._owner[path] if path in self._owner else self.owners([path]).get(path)

    def owners(self, wanted: Collection[str] | None = None) -> dict[str, Package]:
        """path → the package that owns it, of all paths or of those `wanted`, which is quicker."""
        if wanted is None:
            return self._ask(None)
        new = [path for path in wanted if path not in self._owner]
        if new:
            found = self._ask([path for path in new if path.split("/", 2)[1] in _SHIPPED])
            self._owner |= {path: found.get(path) for path in new}
            if self._key:
                self._notes.put(self._key, self._owner)
        return {path: owner for path in wanted if (owner := self._owner[path]) is not None}

    def files(self, package: Package) -> frozenset[str]:
        """The real paths that a package owns."""
        if package not in self._files:
            self._files[package] = frozenset(self._databases[package.manager].files(Owner(*package[1:])))
        return self._files[package]

    def siblings(self, path: str) -> frozenset[str]:
        """The real paths that the package of the file at `path` owns; none where no package owns it."""
        package = self.owner(path)
        return self.files(package) if package else frozenset()

    def conffiles(self, package: Package) -> tuple[str, ...]:
        """The configuration files that a package brings, as its manager names them."""
        return tuple(self._noted("conffiles", package, lambda: self._records[package].conffiles))

    def dependencies(self, package: Package) -> tuple[Package, ...]:
        """The installed packages that a package depends on, each alternative that is there; not what these depend on."""
        return tuple(Package(*item) for item in self._noted("dependencies", package, lambda: self._dependencies(package)))

    def _dependencies(self, package: Package) -> Sequence[Package]:
        found = (item for name in self._records[package].depends for item in self._by_name.get((package.manager, name), ()))
        return list(dict.fromkeys(item for item in found if _may_serve(item, package)))

    def _noted(self, kind: str, package: Package, read: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """What `read` gives; noted, so that the next command need not read every package for the answer about one."""
        return noted(self._notes, " ".join((kind, *package, self._key)) if self._key else "", read)

    @cached_property
    def _records(self) -> dict[Package, Record]:
        return {
            Package(manager, *record.owner): record
            for manager, database in self._databases.items()
            for record in database.records()
        }

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], list[Package]]:
        """(manager, name) → the packages of that name, and those that provide it."""
        named: dict[tuple[str, str], list[Package]] = {}
        for package, record in self._records.items():
            for name in (package.name, *record.provides):
                named.setdefault((package.manager, name), []).append(package)
        return named

    def _ask(self, wanted: Collection[str] | None) -> dict[str, Package]:
        databases: dict[str, Database] = self._databases if wanted is None or wanted else {}
        found = {manager: database.owners(wanted) for manager, database in databases.items()}
        return {path: Package(manager, *owner) for manager, known in found.items() for path, owner in known.items()}


def _owners_of(noted: object) -> dict[str, Package | None]:
    return {path: Package(*owner) if owner else None for path, owner in noted.items()} if isinstance(noted, dict) else {}


def _may_serve(item: Package, package: Package) -> bool:
    """Whether a dependency is of the architecture that the package needs."""
    return item != package and (item.architecture == package.architecture or "all" in (item.architecture, package.architecture))
