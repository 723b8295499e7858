"""Steps that few worlds take: a domain of its own, streams that nobody sees. Imported only where they are asked for."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.sandbox.enter import World


class Domainname(Operation):
    """The world's own domain, as NIS knows it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return f"call the world's domain `{self.name}`"

    def execute(self, world: "World") -> None:
        syscalls.set_domainname(self.name)


class Unattached(Operation):
    """What goes to these descriptors is seen by nobody."""

    def __init__(self, descriptors: "Sequence[int]") -> None:
        self.descriptors = descriptors

    def describe(self) -> str:
        return f"send {' and '.join(('stdin', 'stdout', 'stderr')[number] for number in self.descriptors)} to /dev/null"

    def execute(self, world: "World") -> None:
        null = os.open("/dev/null", os.O_WRONLY)
        for number in self.descriptors:
            os.dup2(null, number)
        os.close(null)
