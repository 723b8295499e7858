"""A digest: the name of some bytes, and their proof."""

import hashlib
from typing import NamedTuple

from jettison.errors import HostileData

_PREFIX = "sha256:"
_DIGITS = frozenset("0123456789abcdef")


class Digest(NamedTuple):
    """`algorithm:hex`. Built only by `parse` and `of`, so that a Digest is always safe in a path or a URL."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """The first twelve digits, as docker shows them."""
        return self.hex[:12]

    @staticmethod
    def parse(text: str, what: str = "digest") -> "Digest":
        """Read `sha256:` and 64 lower-case hexadecimal digits; anything else is HostileData naming `what`."""
        digits = text.removeprefix(_PREFIX) if isinstance(text, str) else ""
        if len(digits) != 64 or len(text) != len(_PREFIX) + 64 or not _DIGITS.issuperset(digits):
            raise HostileData(f"refusing {what} `{text!r:.100}`: a digest is `sha256:` and 64 lower-case hex digits")
        return Digest("sha256", digits)

    @staticmethod
    def of(data: bytes) -> "Digest":
        """The SHA-256 digest of `data`."""
        return Digest("sha256", hashlib.sha256(data).hexdigest())
