"""A package as its own database knows it, and what such a database answers."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class Owner(NamedTuple):
    """Name, version and architecture, as the package's manager writes them."""

    name: str
    version: str
    architecture: str


class Record(NamedTuple):
    """An installed package: the names that it depends on, alternatives side by side, the names that it answers to besides its
    own, and its configuration files, which the machine's owner may have changed."""

    owner: Owner
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    conffiles: tuple[str, ...] = ()


class Database(Protocol):
    """One manager's database in a Root, read when the first question comes. Paths are real, without links on the way."""

    def records(self) -> Sequence[Record]:
        """The installed packages."""

    def files(self, owner: Owner) -> Sequence[str]:
        """The paths that a package owns, in its list's order."""

    def owners(self, wanted: Collection[str] | None = None) -> dict[str, Owner]:
        """path → its package, of all paths or of those `wanted`, which is quicker."""
