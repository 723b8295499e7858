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

# e_machine of the ELF header; ppc64's byte order tells it from ppc64le.
_ELF_MACHINES = {
    3: "386",
    8: "mips64",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
    258: "loong64",
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
    def of_elf(machine: int, byte_order: str) -> "Platform":
        """The platform of an ELF file: `machine` is its e_machine, `byte_order` "little" or "big"."""
        architecture = _ELF_MACHINES.get(machine, f"elf{machine}")
        if architecture in ("ppc64", "mips64") and byte_order == "little":
            architecture += "le"
        return Platform("linux", architecture, {"arm64": "v8", "arm": "v7"}.get(architecture, ""))

    @staticmethod
    def host() -> "Platform":
        """The platform of this machine."""
        machine = os.uname().machine
        return Platform("linux", *_MACHINES.get(machine, (machine, "")))
