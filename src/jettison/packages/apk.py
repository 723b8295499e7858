"""apk's database: one file with a paragraph for each package."""

import re
from collections.abc import Collection
from functools import cached_property

from jettison.packages.owner import Owner, Record
from jettison.tree.root import Root, resolve

DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_LIMIT_BYTES = 64 << 20
_NAME = re.compile(r"(?:^|\s)([^\s!<>=~][^\s<>=~]*)")  # of `so:libc.musl-x86_64.so.1 busybox>=1.36 !other`


class Apk:
    """The database of one Root."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def records(self) -> list[Record]:
        return [record for record, _ in self._packages.values()]

    def files(self, owner: Owner) -> list[str]:
        return self._packages[owner][1]

    def owners(self, wanted: Collection[str] | None = None) -> dict[str, Owner]:
        if wanted is None:
            return self._index
        return {path: self._index[path] for path in wanted if path in self._index}

    @cached_property
    def _packages(self) -> dict[Owner, tuple[Record, list[str]]]:
        read = map(self._package, _read(self._root).split("\n\n"))
        return {record.owner: (record, files) for record, files in read if record.owner.name}

    @cached_property
    def _index(self) -> dict[str, Owner]:
        return {path: owner for owner, (_, files) in self._packages.items() for path in files}

    def _package(self, paragraph: str) -> tuple[Record, list[str]]:
        """A paragraph's package and its files: `F:` names a folder, `R:` a file in it."""
        fields: dict[str, str] = {}
        files: list[str] = []
        folder = ""
        for line in paragraph.split("\n"):
            key, _, value = line.partition(":")
            if key == "F":
                folder = resolve(self._root, f"/{value}").path.rstrip("/")
            elif key == "R":
                files.append(f"{folder}/{value}")
            elif len(key) == 1:
                fields[key] = value
        depends, provides = (tuple(_NAME.findall(fields.get(key, ""))) for key in "Dp")
        conffiles = tuple(path for path in files if path.startswith("/etc/"))  # what apk protects from upgrades
        owner = Owner(fields.get("P", ""), fields.get("V", ""), fields.get("A", ""))
        return Record(owner, depends, provides, conffiles), files


def _read(root: Root) -> str:
    return next((text for path in DATABASES if (text := read(root, path))), "")


def read(root: Root, path: str) -> str:
    """A database's text; empty where there is none."""
    found = resolve(root, path)
    if found.node is None or found.node.kind != "file" or found.node.size > _LIMIT_BYTES:
        return ""
    with root.open(found.path) as file:
        return file.read().decode("utf-8", "surrogateescape")
