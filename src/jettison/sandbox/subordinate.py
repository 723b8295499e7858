"""Subordinate ids: an ordinary user's further users, which newuidmap(1) and newgidmap(1) give to a user namespace.

Root of the world is the caller, the users from 1 on are the caller's ranges in subuid(5), one after the other: docker's and
podman's rule.
"""

import os

from jettison.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SUBUID, SUBGID = "/etc/subuid", "/etc/subgid"
_TOOLS = ("newgidmap", "newuidmap")


def write_maps(pid: int) -> bool:
    """Say who the users of a process's namespace are. False where the caller has no further ones, or nobody who may give them:
    nothing is said then.

    Errors: HostError where one map could be written and the other could not.
    """
    maps = [_map(os.getegid(), ranges(SUBGID)), _map(os.geteuid(), ranges(SUBUID))]
    if not all(maps):
        return False
    started = [_start([tool, str(pid), *words]) for tool, words in zip(_TOOLS, maps, strict=True)]  # both at once: 2 ms each
    written = [_ended_well(helper) for helper in started]
    if any(written) and not all(written):
        failed = _TOOLS[written.index(False)]
        raise HostError(f"`{failed}` refused the ranges of {SUBUID} and {SUBGID}", f"try it: `{failed} {pid} 0 …`; see subuid(5)")
    return all(written)


def ranges(path: str) -> "list[tuple[str, str]]":
    """The caller's ranges: first id and count. Lines are NAME:FIRST:COUNT, the name may be a number."""
    lines = [line.split(":") for line in _lines(path)]
    if not lines:
        return []
    names = _names(str(os.geteuid()))
    return [(line[1], line[2]) for line in lines if line[0] in names and len(line) == 3 and (line[1] + line[2]).isdigit()]


def _names(uid: str) -> "set[str]":
    """All that the caller is called, its number among it; without asking anybody but the file."""
    accounts = [line.split(":") for line in _lines("/etc/passwd")]
    return {uid, *(account[0] for account in accounts if account[2:3] == [uid])}


def _map(own: int, found: "Sequence[tuple[str, str]]") -> "list[str]":
    """A map in the tools' words; empty where there is nobody but the caller."""
    words = ["0", str(own), "1"]
    inside = 1
    for first, count in found:
        words += [str(inside), first, count]
        inside += int(count)
    return words if found else []


def _start(command: "list[str]") -> int:
    """A tool's process id, 0 where there is no such tool. What it says would help nobody who has one user as before."""
    silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]
    try:
        return os.posix_spawnp(command[0], command, os.environ, file_actions=silent, setsigmask=[])
    except OSError:
        return 0


def _ended_well(pid: int) -> bool:
    return pid != 0 and os.waitpid(pid, 0)[1] == 0


def _lines(path: str) -> "list[str]":
    try:
        with open(path, "rb", 0) as stream:
            return os.fsdecode(stream.read()).splitlines()
    except OSError:
        return []
