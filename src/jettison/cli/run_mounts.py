"""`--mount` of `jettison run`: docker's keys and meanings."""

import csv
import os
import re

from jettison.cli.run_files import mount_target, named_volume
from jettison.errors import UsageError
from jettison.sandbox import syscalls
from jettison.sandbox.operations import Bind, Tmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.volumes import Volume

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_KEYS = {
    "bind": {"type", "source", "target", "readonly", "consistency", "bind-propagation"},
    "tmpfs": {"type", "target", "readonly", "consistency", "tmpfs-size", "tmpfs-mode"},
    "volume": {"type", "source", "target", "readonly", "consistency", "volume-nocopy"},
}
_SWITCHES = {"readonly", "volume-nocopy"}
_TRUTHS = {"": True, "1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_SIZE = re.compile(r"([0-9]{1,18})([kmgt]?)b?", re.ASCII | re.IGNORECASE)
_MODE = re.compile(r"0?[0-7]{1,4}", re.ASCII)


def mount(text: str, volumes: str) -> "Bind | Tmpfs | str":
    """One `--mount`; a text is the target of an anonymous volume. `volumes`: the folder of named ones. Errors: UsageError."""
    fields = _fields(text)
    kind = fields.get("type", "volume")
    if kind not in _KEYS:
        raise UsageError(f"mount `{text}` has an unknown type `{kind}`", "known are `bind`, `tmpfs` and `volume`")
    for key in fields:
        if key not in _KEYS[kind]:
            raise UsageError(f"mount `{text}` has an unknown key `{key}`", f"of type {kind} are {', '.join(sorted(_KEYS[kind]))}")
    if fields.get("bind-propagation", "rprivate") != "rprivate":
        raise UsageError(
            f"mount `{text}`: what is mounted later never comes in or out", "`bind-propagation=rprivate` alone is known"
        )
    if "target" not in fields:
        raise UsageError(f"mount `{text}` has no target", "as in `type=bind,source=/srv,target=/srv,readonly`")
    target = mount_target(fields["target"], text)
    if kind == "tmpfs":
        return _tmpfs(fields, target, text)
    return _bind(fields, target, text) if kind == "bind" else _volume(fields, target, text, volumes)


def _fields(text: str) -> "dict[str, str]":
    """docker reads a mount as a line of CSV: a field in quotes may hold a comma."""
    fields: dict[str, str] = {}
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise UsageError(f"mount `{text}` is no line of fields with commas between them: {error}") from error
    for field in words:
        word, equals, value = field.partition("=")
        key = _ALIASES.get(word.lower(), word.lower())
        if key in fields:
            raise UsageError(f"mount `{text}` says `{key}` twice")
        if not value and (equals or key not in _SWITCHES):
            raise UsageError(f"mount `{text}`: `{word}` needs a value", "as in `type=bind,source=/srv,target=/srv,readonly`")
        if key in _SWITCHES and value.lower() not in _TRUTHS:
            raise UsageError(f"mount `{text}`: `{value}` is not true or false")
        fields[key] = value
    return fields


def _is_on(fields: "dict[str, str]", key: str) -> bool:
    return key in fields and _TRUTHS[fields[key].lower()]


def _bind(fields: "dict[str, str]", target: str, text: str) -> Bind:
    """Unlike that of `-v`, a missing source is an error, as in docker."""
    source = fields.get("source", "")
    if not source or not os.path.exists(source):
        raise UsageError(f"mount `{text}`: there is no `{source}` to show", "make it first, or use `-v`, which makes it")
    return Bind(os.path.abspath(source), target, _is_on(fields, "readonly"))


def _tmpfs(fields: "dict[str, str]", target: str, text: str) -> Tmpfs:
    attributes = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
    attributes |= syscalls.ATTR_RDONLY if _is_on(fields, "readonly") else 0
    options = {}
    if "tmpfs-size" in fields:
        size = _SIZE.fullmatch(fields["tmpfs-size"])
        if not size:
            raise UsageError(f"mount `{text}`: `{fields['tmpfs-size']}` is no size", "as in `tmpfs-size=64m`")
        options["size"] = f"{size[1]}{size[2].lower()}"
    if "tmpfs-mode" in fields:
        if not _MODE.fullmatch(fields["tmpfs-mode"]):
            raise UsageError(f"mount `{text}`: `{fields['tmpfs-mode']}` is no mode", "as in `tmpfs-mode=1770`")
        options["mode"] = fields["tmpfs-mode"]
    return Tmpfs(target, attributes, options)


def _volume(fields: "dict[str, str]", target: str, text: str, volumes: str) -> "Volume | str":
    if "source" in fields:
        return named_volume(
            volumes, fields["source"], target, text, _is_on(fields, "readonly"), not _is_on(fields, "volume-nocopy")
        )
    if set(fields) - {"type", "target", "consistency"}:
        raise UsageError(f"mount `{text}` has no source: nothing of it would be kept", "name a volume: `source=NAME`")
    return target
