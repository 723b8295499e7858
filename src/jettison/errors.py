"""The error tree. The class says whose move it is; `cli` turns it into an exit status.

    JettisonError                 1
    ├── UsageError                2   the call was not understood: the caller changes it
    ├── NotFound                  1   a thing that was named does not exist
    ├── InvalidData               1   bytes that do not say what their specification says
    │   └── HostileData           1   bytes that would do harm: "refusing …"
    ├── HostError                 1   this machine refuses something: permission, disk, kernel
    └── InternalError            70   our own bug: please report it

`run` and `exec` give the process's own status; 125 when jettison failed before it, 126 when the
program cannot be executed, 127 when it is not there.
"""

import errno


class JettisonError(Exception):
    """What failed, on what, what was expected and found; `hint` is the next move, or empty."""

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JettisonError):
    """The call was not understood."""

    exit_status = 2


class NotFound(JettisonError):
    """Something that was named does not exist."""


class InvalidData(JettisonError):
    """Bytes do not say what their specification says."""


class HostileData(InvalidData):
    """Bytes that would do harm if they were followed; the message starts with "refusing"."""


class HostError(JettisonError):
    """This machine refuses something that was asked of it."""


class InternalError(JettisonError):
    """A promise inside jettison was broken: please report it."""

    exit_status = 70


TOO_FEW_DESCRIPTORS = "a start has about thirty files open: raise the limit with `ulimit -n 1024`"
_FULL = "free some space, or put the store elsewhere with --store DIR; the store is whole, `jettison prune` empties it"
_HINTS = {errno.EMFILE: TOO_FEW_DESCRIPTORS, errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}


def of_kernel(error: OSError) -> HostError:
    """What the kernel said, where nobody knew it better."""
    where = f": `{error.filename}`" if error.filename else ""
    return HostError(f"{error.strerror or error}{where}", _HINTS.get(error.errno or 0, ""))
