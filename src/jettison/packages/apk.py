"""apk's database: one file with a paragraph for each package."""

from collections.abc import Collection

from jettison.packages.owner import Owner
from jettison.tree.root import Root, resolve

_DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_LIMIT_BYTES = 256 << 20


def owners(root: Root, wanted: Collection[str] | None = None) -> dict[str, Owner]:
    """path → its package, of all paths or of those `wanted`. `F:` names a folder, `R:` a file in it."""
    found: dict[str, Owner] = {}
    for paragraph in _read(root).split("\n\n"):
        fields: dict[str, str] = {}
        folder = ""
        for line in paragraph.split("\n"):
            key, _, value = line.partition(":")
            if key == "F":
                folder = value
            elif key == "R":
                path = resolve(root, f"/{folder}/{value}", follow_last=False).path
                found[path] = Owner(fields.get("P", ""), fields.get("V", ""), fields.get("A", ""))
            elif len(key) == 1:
                fields[key] = value
    return found if wanted is None else {path: found[path] for path in wanted if path in found}


def files(root: Root, package: Owner) -> list[str]:
    """The real paths of the files that a package owns."""
    return [path for path, owner in owners(root).items() if owner == package]


def _read(root: Root) -> str:
    for path in _DATABASES:
        found = resolve(root, path)
        if found.node is not None and found.node.kind == "file" and found.node.size <= _LIMIT_BYTES:
            with root.open(found.path) as file:
                return file.read().decode("utf-8", "surrogateescape")
    return ""
