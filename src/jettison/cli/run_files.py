"""What `run` mounts, in docker's syntax. Imported only where something is."""

import os

from jettison.errors import UsageError
from jettison.sandbox import syscalls
from jettison.sandbox.operations import Bind, Tmpfs
from jettison.verbs.run import is_name, store_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.cli.flags import Values
    from jettison.sandbox.volumes import Volume

_TMPFS_OPTIONS = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"}
_ATTRIBUTES = {
    "ro": (syscalls.ATTR_RDONLY, True), "rw": (syscalls.ATTR_RDONLY, False),
    "nosuid": (syscalls.ATTR_NOSUID, True), "suid": (syscalls.ATTR_NOSUID, False),
    "nodev": (syscalls.ATTR_NODEV, True), "dev": (syscalls.ATTR_NODEV, False),
    "noexec": (syscalls.ATTR_NOEXEC, True), "exec": (syscalls.ATTR_NOEXEC, False),
}  # fmt: skip
# docker's other volume options: labels of SELinux, propagation that is always private here, and hints.
_VOLUME_OPTIONS = {"rw", "z", "Z", "private", "rprivate", "nocopy", "consistent", "cached", "delegated"}


def mounts(values: "Values") -> "list[Bind | Tmpfs | str]":
    """All that is mounted; a text is the target of an anonymous volume, as throw-away as all the rest."""
    folder = f"{store_path(values.text('store'))}/volumes"
    found: list[Bind | Tmpfs | str] = [_volume(text, folder) for text in values.texts("volume")]
    found += [_tmpfs(text) for text in values.texts("tmpfs")]
    if values.has("mount"):
        from jettison.cli.run_mounts import mount

        found += [mount(text, folder) for text in values.texts("mount")]
    return found


def _volume(text: str, volumes: str) -> "Bind | str":
    """SOURCE:TARGET[:OPTIONS]; TARGET alone is an anonymous volume. `volumes`: the folder of named ones."""
    source, colon, rest = text.partition(":")
    if not colon:
        return mount_target(text, text)
    target, _, option_text = rest.partition(":")
    options = [option for option in option_text.split(",") if option]
    for option in options:
        if option != "ro" and option not in _VOLUME_OPTIONS:
            raise UsageError(f"volume `{text}` has an unknown option `{option}`", "known are `ro` and `rw`")
    if not source.startswith(("/", ".")):
        return named_volume(volumes, source, mount_target(target, text), text, "ro" in options, "nocopy" not in options)
    path = os.path.abspath(source)
    if not os.path.exists(path):
        os.makedirs(path)  # as docker does
    return Bind(path, mount_target(target, text), "ro" in options)


def named_volume(volumes: str, name: str, target: str, text: str, read_only: bool, copies: bool) -> "Volume":
    """A volume by its name. Errors: UsageError where it is none."""
    if not is_name(name):
        hint = "letters, digits, `_`, `.` and `-`, a letter or digit first; a folder of this machine starts with `/` or `.`"
        raise UsageError(f"volume `{text}`: `{name}` is no name for a volume", hint)
    from jettison.sandbox.volumes import Volume

    return Volume(volumes, name, target, read_only, copies)


def _tmpfs(text: str) -> Tmpfs:
    """TARGET[:OPTIONS], the options those of tmpfs(5)."""
    target, _, option_text = text.partition(":")
    attributes = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
    options = {}
    for option in filter(None, option_text.split(",")):
        name, _, value = option.partition("=")
        if name in _ATTRIBUTES:
            attribute, is_set = _ATTRIBUTES[name]
            attributes = attributes | attribute if is_set else attributes & ~attribute
        elif name in _TMPFS_OPTIONS and value:
            options[name] = value
        else:
            raise UsageError(f"tmpfs `{text}` has an unknown option `{option}`", "known are size=, mode=, uid=, gid=, ro, exec …")
    return Tmpfs(mount_target(target, text), attributes, options)


def mount_target(path: str, text: str) -> str:
    """A mount's place inside. Nothing may lie on what hides parts of /proc."""
    clean = os.path.normpath(path)
    if not path.startswith("/") or clean in ("/", "//"):
        raise UsageError(f"`{text}` has no usable target: `{path}` is no absolute path below `/`")
    if clean == "/proc" or clean.startswith("/proc/"):
        raise UsageError(f"`{text}` would lie in /proc, which belongs to the kernel")
    return clean
