"""Where a further program enters a world whose first one may mount, and is locked into a second user namespace for it."""

import os

from jettison.errors import HostError
from jettison.sandbox.state import SPACES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANGED = ("user", "mnt", "uts")  # of `locked.LockedMounts`


def after_lock(pid: int, spaces: "Sequence[int]") -> "Sequence[int]":
    """Descriptors of the namespaces that the init is in now, for those that it was born in: there nothing is locked.

    Errors: HostError.
    """
    if not is_machines_root():
        return spaces
    try:
        now = {name: os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in _CHANGED}
    except FileNotFoundError:  # it has ended already, and nobody enters a world without an init
        return spaces
    except PermissionError as error:
        hint = "CAP_SYS_PTRACE is missing here; leave out `--cap-add SYS_ADMIN`"
        raise HostError("cannot look at the namespaces of a program that may mount", hint) from error
    for name, descriptor in zip(SPACES, spaces, strict=True):
        if name in now:
            os.close(descriptor)
    return [now.get(name, descriptor) for name, descriptor in zip(SPACES, spaces, strict=True)]


def in_order(spaces: "dict[str, int]") -> "dict[str, int]":
    """As they can be entered: by the machine's root the users come last, as the second ones have no power over the first
    ones' namespaces."""
    if not is_machines_root():
        return spaces
    return dict(sorted(spaces.items(), key=lambda space: space[0] == "user"))


def is_machines_root() -> bool:
    """Whether we are the user to whom the settings in /proc/sys belong."""
    return os.geteuid() == 0 == os.stat("/proc/sys").st_uid
