"""Who a container runs as: the `user` of a configuration, looked up in the image's own passwd(5) and group(5)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jettison.errors import InvalidData

# Numbers are never looked up as names: an image could call a user of uid 0 `1000` (CVE-2016-3697).
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", re.ASCII)
_ID_LIMIT = (1 << 32) - 2
_EXAMPLE = "--user 1000:1000"


class Account(NamedTuple):
    """Numeric ids. `groups` are all groups of the process, its `gid` first (CVE-2022-2989)."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_account(user: str, passwd: str, group: str) -> Account:
    """Resolve `user`: empty (root), `NAME`, `UID`, `NAME:GROUP`, `UID:GID` and so on.

    Docker's rules: an explicit group replaces the supplementary ones; a uid that passwd does not know has gid 0 and the home
    `/`. Errors: InvalidData for a name that is not there.
    """
    name, colon, group_name = user.partition(":")
    entry = _user(name or "0", passwd)
    uid, gid, home = entry[1:] if entry else (int(name or "0"), 0, "/")
    if colon and group_name:
        gid = _group(group_name, group)
        return Account(uid, gid, (gid,), home)
    members = [found[1] for found in _groups(group) if entry and entry[0] in found[2].split(",")]
    return Account(uid, gid, tuple(dict.fromkeys([gid, *members])), home)


def find_groups(names: Sequence[str], group: str) -> list[int]:
    """The numbers of groups that are given by name or number. Errors: InvalidData for a name that is not there."""
    return [_group(name, group, "--group-add 44") for name in names]


def _user(name: str, passwd: str) -> tuple[str, int, int, str] | None:
    """The passwd entry of a name or number; None for a number that is not there."""
    number = _number_or_name(name, "user")
    field, wanted = (0, name) if number is None else (2, str(number))
    for line in passwd.split("\n"):
        parts = line.split(":")
        if len(parts) >= 6 and parts[field] == wanted and _is_id(parts[2]) and _is_id(parts[3]):
            return parts[0], int(parts[2]), int(parts[3]), parts[5] or "/"
    if number is None:
        raise _absent("user", name, "/etc/passwd")
    return None


def _group(name: str, group: str, example: str = _EXAMPLE) -> int:
    number = _number_or_name(name, "group")
    if number is not None:
        return number
    for found, gid, _ in _groups(group):
        if found == name:
            return gid
    raise _absent("group", name, "/etc/group", example)


def _groups(group: str) -> list[tuple[str, int, str]]:
    lines = (line.split(":") for line in group.split("\n"))
    return [(parts[0], int(parts[2]), parts[3]) for parts in lines if len(parts) >= 4 and _is_id(parts[2])]


def _is_id(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and int(text) <= _ID_LIMIT


def _number_or_name(text: str, what: str) -> int | None:
    """The number that `text` is; None if it is a name."""
    if _is_id(text):
        return int(text)
    if not _NAME.fullmatch(text):
        raise InvalidData(f"`{text!r:.60}` is no {what}: expected a name, or a number from 0 to {_ID_LIMIT}")
    return None


def _absent(what: str, name: str, file: str, example: str = _EXAMPLE) -> InvalidData:
    return InvalidData(f"the image's {file} has no {what} `{name}`", f"give a number instead, as in `{example}`")
