"""A digest: the name of some bytes, and their proof."""

import hashlib
import re
from typing import NamedTuple

from jettison.errors import HostileData

_PATTERN = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


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
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise HostileData(f"refusing {what} `{text!r:.100}`: a digest is `sha256:` and 64 lower-case hex digits")
        return Digest("sha256", match[1])

    @staticmethod
    def of(data: bytes) -> "Digest":
        """The SHA-256 digest of `data`."""
        return Digest("sha256", hashlib.sha256(data).hexdigest())
