"""The image's /etc/passwd and /etc/group: the users that every image has, and those of the Root that a program asks for."""

from collections.abc import Iterable, Sequence

from jettison.closure.system import GROUP, PASSWD
from jettison.tree.node import Node, made_file
from jettison.tree.root import Root, resolve

_LIMIT_BYTES = 4 << 20
# adduser.conf(5), login.defs(5): the ids that packages get for their servers' users.
_SYSTEM_IDS = range(100, 1000)


def databases(root: Root, names: Sequence[str]) -> dict[str, Node]:
    """path → the database, with the Root's lines of the users `names` that are there, and of their groups."""
    found = users(root, names)
    ids = {row[3] for row in found}
    groups = [row for row in _rows(_text(root, "/etc/group")) if len(row) == 4 and (row[0] in names or row[2] in ids)]
    return {
        "/etc/passwd": _database(_rows(PASSWD), found),
        "/etc/group": _database(_rows(GROUP), [[*row[:3], ""] for row in groups]),
    }


def users(root: Root, names: Sequence[str]) -> list[list[str]]:
    """The Root's lines of these users, as the seven fields of passwd(5)."""
    return [row for row in everybody(root) if row[0] in names]


def everybody(root: Root) -> list[list[str]]:
    """The Root's lines of all users, as the seven fields of passwd(5)."""
    return [row for row in _rows(_text(root, "/etc/passwd")) if len(row) == 7]


def system_users(root: Root) -> list[str]:
    """The names of the users that packages made for their servers."""
    rows = [row for row in _rows(_text(root, "/etc/passwd")) if len(row) == 7]
    return [row[0] for row in rows if row[2].isdecimal() and len(row[2]) == 3 and int(row[2]) in _SYSTEM_IDS]


def _rows(text: str) -> list[list[str]]:
    return [line.split(":") for line in text.splitlines()]


def _database(base: list[list[str]], more: Iterable[list[str]]) -> Node:
    """The lines of `base`, or the Root's in their place, then the others. No password comes along."""
    rows = {row[0]: row for row in base}
    rows |= {row[0]: [row[0], "x", *row[2:]] for row in more}
    return made_file("".join(":".join(row) + "\n" for row in rows.values()).encode("utf-8", "surrogateescape"))


def _text(root: Root, path: str) -> str:
    found = resolve(root, path)
    if found.node is None or found.node.kind != "file":
        return ""
    with root.open(found.path) as file:
        return file.read(_LIMIT_BYTES).decode("utf-8", "surrogateescape")
