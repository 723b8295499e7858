"""A platform: operating system, processor and variant, in Go's words."""

import os
from typing import NamedTuple

from jettison.errors import UsageError

_MACHINES = {
    "x86_64": ("amd64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "ppc64le": ("ppc64le", ""),
    "ppc64": ("ppc64", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
    "mips64": ("mips64", ""),
}


class Platform(NamedTuple):
    """`os/architecture[/variant]`."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    @staticmethod
    def parse(text: str) -> "Platform":
        """Read `linux/amd64` or `linux/arm64/v8`. Errors: UsageError."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(part.isalnum() and part.isascii() for part in parts):
            raise UsageError(f"`{text}` is not a platform", "a platform is like `linux/amd64` or `linux/arm64/v8`")
        return Platform(*parts)

    @staticmethod
    def host() -> "Platform":
        """The platform of this machine."""
        machine = os.uname().machine
        return Platform("linux", *_MACHINES.get(machine, (machine, "")))
