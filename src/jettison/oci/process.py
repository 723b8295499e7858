"""A process: what to execute, as whom, where, in which environment; and the record of an image that says so.

`run` reads these, so this module imports nothing that costs time.
"""

import os

from jettison.errors import InvalidData, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The keys of a run record: those of one value, and those that may come several times or never.
_ONCE = ("config-digest", "user", "uid", "gid", "home", "workdir", "stop-signal")
_REPEATED = ("layer", "env", "entrypoint", "cmd", "volume", "health")


def write_fields(pairs: "Sequence[tuple[str, str]]") -> bytes:
    """`key NUL value NUL key NUL value …`, as `read_fields` reads it. No text has a NUL byte."""
    return os.fsencode("\0".join(text for pair in pairs for text in pair))


def read_fields(raw: bytes) -> "dict[str, list[str]]":
    """The values of each key, in order."""
    texts = os.fsdecode(raw).split("\0")
    found: dict[str, list[str]] = {}
    for index in range(0, len(texts) - 1, 2):
        found.setdefault(texts[index], []).append(texts[index + 1])
    return found


class User:
    """Whom a process runs as, in the image's numbers, and where it is at home."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: "Sequence[int]" = (), home: str = "/") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = tuple(groups)
        self.home = home


class Record:
    """What `run` needs to know of an image, computed when the image arrives.

    `layers` are diff ids in hexadecimal, from the lowest to the topmost; texts are as os.fsdecode gives them. `health` is the
    image's HEALTHCHECK: four numbers (interval, timeout and start period in nanoseconds, retries), then its Test.
    """

    __slots__ = (
        "cmd", "config_digest", "entrypoint", "env", "health", "layers", "stop_signal", "user", "user_name", "volumes", "workdir",
    )  # fmt: skip

    def __init__(
        self,
        config_digest: str = "",
        layers: "Sequence[str]" = (),
        env: "Sequence[str]" = (),
        entrypoint: "Sequence[str]" = (),
        cmd: "Sequence[str]" = (),
        user_name: str = "",
        user: "User | None" = None,
        workdir: str = "",
        stop_signal: str = "",
        volumes: "Sequence[str]" = (),
        health: "Sequence[str]" = (),
    ) -> None:
        self.config_digest = config_digest
        self.layers = tuple(layers)
        self.env = tuple(env)
        self.entrypoint = tuple(entrypoint)
        self.cmd = tuple(cmd)
        self.user_name = user_name
        self.user = user or User(0, 0)
        self.workdir = workdir
        self.stop_signal = stop_signal
        self.volumes = tuple(volumes)
        self.health = tuple(health)

    @staticmethod
    def parse(raw: bytes) -> "Record":
        """Read a record's file, `key NUL value NUL key NUL value …`. Errors: InvalidData."""
        found = read_fields(raw)
        try:
            once = {key: found[key][-1] for key in _ONCE}
            groups = [int(group) for group in found.get("group", ())]
            user = User(int(once["uid"]), int(once["gid"]), groups, once["home"])
        except (KeyError, ValueError) as error:
            raise InvalidData(f"a run record is damaged: {error}", "`jettison prune` removes it; it is made anew") from error
        layers, env, entrypoint, cmd, *rest = (found.get(key, ()) for key in _REPEATED)
        return Record(
            once["config-digest"], layers, env, entrypoint, cmd, once["user"], user, once["workdir"], once["stop-signal"], *rest
        )


class Process:
    """`argv` in `cwd` with exactly `env` (NAME=VALUE texts) as `user`."""

    __slots__ = ("argv", "cwd", "env", "user")

    def __init__(self, argv: "Sequence[str]", env: "Sequence[str]", cwd: str, user: User) -> None:
        self.argv = tuple(argv)
        self.env = tuple(env)
        self.cwd = cwd
        self.user = user


def command(record: Record, arguments: "Sequence[str]", entrypoint: "str | None" = None) -> "tuple[str, ...]":
    """What to execute, by docker's rule: a given entrypoint drops the image's own and its command. Errors: UsageError."""
    own_entrypoint = record.entrypoint if entrypoint is None else ((entrypoint,) if entrypoint else ())
    own_cmd = record.cmd if entrypoint is None else ()
    argv = (*own_entrypoint, *(arguments or own_cmd))
    if not argv:
        raise UsageError("the image names no program, and none was given", "`jettison run IMAGE PROGRAM` names one")
    return argv


def environment(image: "Sequence[str]", given: "Sequence[str]", defaults: "Sequence[str]") -> "list[str]":
    """The image's variables, then the given ones, then of the defaults what is missing; NAME alone removes a variable."""
    variables: dict[str, str] = {}
    for text in (*image, *given):
        name, equals, _ = text.partition("=")
        if equals:
            variables[name] = text
        else:
            variables.pop(name, None)
    for text in defaults:
        variables.setdefault(text.partition("=")[0], text)
    return list(variables.values())
