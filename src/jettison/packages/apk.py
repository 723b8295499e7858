"""apk's database: one file with a paragraph for each package."""

from jettison.tree.root import Root, resolve

_DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_LIMIT_BYTES = 256 << 20


def owners(root: Root) -> dict[str, tuple[str, str, str]]:
    """path → (name, version, architecture). `F:` names a folder, `R:` a file in it."""
    found: dict[str, tuple[str, str, str]] = {}
    for paragraph in _read(root).split("\n\n"):
        fields: dict[str, str] = {}
        folder = ""
        for line in paragraph.split("\n"):
            key, _, value = line.partition(":")
            if key == "F":
                folder = value
            elif key == "R":
                path = resolve(root, f"/{folder}/{value}", follow_last=False).path
                found[path] = (fields.get("P", ""), fields.get("V", ""), fields.get("A", ""))
            elif len(key) == 1:
                fields[key] = value
    return found


def _read(root: Root) -> str:
    for path in _DATABASES:
        node = resolve(root, path).node
        if node is not None and node.kind == "file" and node.size <= _LIMIT_BYTES:
            with root.open(resolve(root, path).path) as file:
                return file.read().decode("utf-8", "surrogateescape")
    return ""
