"""The mounts locked: what the machine's root may not uncover although it may mount."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.departure import write_own_maps
from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.enter import World

_NAMESPACES = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS


class LockedMounts(Operation):
    """A second user namespace in the first. The mounts that it is born with hang together (mount_namespaces(7)): nobody in it
    can remove what hides a part of /proc, make a read-only mount writable, or mount a /proc that shows more.

    Only where the machine's root is among the users: the settings in /proc/sys are that user's own files, and some of them start
    programs on the machine. Anybody else finds behind the covers what they may read anyway.
    """

    def describe(self) -> str:
        return "lock the mounts, where the machine's root is among the users"

    def execute(self, world: "World") -> None:
        if not world.has_machines_root():
            return
        gate, gate_writer = os.pipe()
        helper = os.fork()
        if helper == 0:
            os.close(gate_writer)
            _write_maps(os.getppid(), gate)
        syscalls.unshare(_NAMESPACES)
        os.close(gate)
        os.close(gate_writer)
        if os.waitpid(helper, 0)[1]:
            raise Failure("cannot say who the users of a second user namespace are")


def _write_maps(pid: int, gate: int) -> None:
    """In the helper, which stayed in the first: the second one has the same users. It ends here."""
    try:
        os.read(gate, 1)
        write_own_maps(pid)
        os._exit(0)
    except OSError:
        os._exit(1)
