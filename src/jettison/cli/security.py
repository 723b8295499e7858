"""`--security-opt` of `jettison run`, in docker's syntax."""

from jettison.errors import UsageError
from jettison.sandbox.seccomp import UNCONFINED, Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What holds for every world; docker has words to ask for it.
_ALWAYS = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true", "apparmor=unconfined", "label=disable"}


def system_calls(texts: "Sequence[str]", capabilities: int) -> "Filter | None":
    """The filter of system calls that was asked for, for programs with these capabilities; None for the usual one.

    Errors: UsageError, InvalidData, HostError.
    """
    chosen = None
    for text in texts:
        if text in _ALWAYS:
            continue
        name, value = _parts(text)
        if name == "no-new-privileges":
            hint = "leave it out; no set-user-id file gives any privilege"
            raise UsageError(f"`{text}` cannot be had: `no_new_privs` is what makes the system call filter hold", hint)
        if name != "seccomp" or not value:
            raise UsageError(f"there is no security option `{text}`", "`seccomp=FILE`, `seccomp=unconfined`, `no-new-privileges`")
        chosen = _filter(value, capabilities)
    return chosen


def _parts(text: str) -> "tuple[str, str]":
    """NAME=VALUE, or docker's old NAME:VALUE."""
    name, separator, value = text.partition("=")
    return (name, value) if separator else (text.partition(":")[0], text.partition(":")[2])


def _filter(value: str, capabilities: int) -> "Filter | None":
    if value == "builtin":
        return None
    if value == "unconfined":
        return UNCONFINED
    from jettison.sandbox.profile import read_profile

    return read_profile(value, capabilities=capabilities)
