"""A package as its own database knows it."""

from typing import NamedTuple


class Owner(NamedTuple):
    """Name, version and architecture, as the package's manager writes them."""

    name: str
    version: str
    architecture: str
