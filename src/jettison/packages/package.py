"""A package, and the databases that say which files it owns."""

from collections.abc import Callable
from typing import NamedTuple

from jettison.packages import apk, dpkg
from jettison.tree.root import Root


class Package(NamedTuple):
    """A package as its manager names it: `manager` is `dpkg` or `apk`."""

    manager: str
    name: str
    version: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


READERS: dict[str, Callable[[Root], dict[str, tuple[str, str, str]]]] = {"dpkg": dpkg.owners, "apk": apk.owners}


def owners(root: Root) -> dict[str, Package]:
    """path → the package that owns it, over every database in the Root; paths are real, without links on the way."""
    return {path: Package(manager, *owner) for manager, read in READERS.items() for path, owner in read(root).items()}
