"""`--device` of `jettison run`: SOURCE[:TARGET][:rwm], docker's syntax. A folder stands for the devices in it."""

import os

from jettison.cli.run_files import mount_target
from jettison.errors import UsageError
from jettison.sandbox.devices import Device, is_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def devices(texts: "Sequence[str]") -> "list[Device]":
    """The devices that were asked for. Errors: UsageError."""
    return [device for text in texts for device in _devices(text)]


def _devices(text: str) -> "list[Device]":
    source, target, permissions = _parts(text)
    if not source.startswith("/"):
        raise UsageError(f"device `{text}` has no absolute path", "`--device /dev/NAME`")
    if not {"r", "w"} <= set(permissions):
        hint = "`rw` or `rwm`; a node's owner and mode on this machine hold inside too"
        raise UsageError(f"device `{text}`: `{permissions}` alone cannot be enforced without a control group of devices", hint)
    target, source = mount_target(target, text), source.rstrip("/")
    found = [(path, target + path[len(source) :]) for path in _nodes(source, text)]
    if not found:
        raise UsageError(f"device `{text}`: there is no device in `{source}`")
    return [Device(*pair) for pair in found]


def _parts(text: str) -> "tuple[str, str, str]":
    """Source, target and permissions; what comes second is a target, if it is not made of permissions."""
    source, *rest = text.split(":")
    permissions = rest.pop() if rest and _are_permissions(rest[-1]) else "rwm"
    if len(rest) > 1 or "" in rest:
        raise UsageError(f"device `{text}` is not understood", "expected SOURCE[:TARGET][:rwm]")
    return source, rest[0] if rest else source, permissions


def _are_permissions(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _nodes(path: str, text: str) -> "list[str]":
    """The device itself, or those below a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"device `{text}`: {error.strerror}", "`ls /dev` lists this machine's") from error
    if is_device(mode):
        return [path]
    if not os.path.isdir(path):
        raise UsageError(f"device `{text}`: `{path}` is no device", "files and folders are shown with `-v`")
    below = [f"{folder}/{name}" for folder, _, names in os.walk(path) for name in names]
    return sorted(name for name in below if is_device(os.lstat(name).st_mode))
