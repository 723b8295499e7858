"""Devices of the machine that were asked for: their own nodes, as nobody in a user namespace can make any."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation, require_place
from jettison.sandbox.places import mount_point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.enter import World

_FORMAT, _DEVICES = 0o170000, (0o020000, 0o060000)  # stat(2), without the module `stat`


class Device(Operation):
    """A device node of the machine inside the world, with the owner and the mode that it has there."""

    hint = "see `ls -l` of it on this machine"

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target

    def describe(self) -> str:
        return f"show the device `{self.source}` as `{self.target}`"

    def execute(self, world: "World") -> None:
        descriptor = os.open(self.source, os.O_PATH)
        # What is looked at is what is shown: the path is not followed again.
        if not is_device(os.fstat(descriptor).st_mode):
            raise Failure(f"refusing `{self.source}`: it is no device")
        tree = syscalls.clone_tree(descriptor)
        syscalls.set_attributes(tree, syscalls.ATTR_NOSUID | syscalls.ATTR_NOEXEC, propagation=syscalls.MS_PRIVATE)
        target = mount_point(world.root, self.target, is_folder=False)
        require_place(world, target, self.target)
        syscalls.attach(tree, target)


def is_device(mode: int) -> bool:
    """Whether a file's mode is that of a device."""
    return mode & _FORMAT in _DEVICES
