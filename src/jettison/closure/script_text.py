"""What the readers of scripts share: a script's text, and the files that it names."""

import re
from collections.abc import Iterator

from jettison.closure.kin import Kin, is_useful
from jettison.closure.strings import COMMON
from jettison.closure.why import Confidence, Need, Reason
from jettison.tree.root import Root, lead

LIMIT_BYTES = 1 << 20
_DATA_PACKAGE = re.compile(r"-(base|common|core|data|files)$")


def read(root: Root, path: str) -> str:
    """The first MiB of the file that `path` leads to; empty where there is none."""
    found = lead(root, path)
    if found is None or found.node is None or found.node.kind != "file":
        return ""
    with root.open(found.path) as file:
        return file.read(LIMIT_BYTES).decode("utf-8", "surrogateescape")


def is_file(root: Root, path: str) -> bool:
    """Whether a path leads to a file."""
    found = lead(root, path)
    return found is not None and found.node is not None and found.node.kind == "file"


def own_files(root: Root, kin: Kin, text: str, by: str) -> Iterator[Need]:
    """The file at the path `text` where the kin ships it, or what lies below that folder; not what folders of everybody hold."""
    found = lead(root, text) if "\0" not in text else None
    if found is None or found.node is None or COMMON.fullmatch(found.path):
        return
    detail = f"`{text}` in its text, "
    if found.node.kind == "file":
        shipper = kin.shipper(found.path)
        if shipper is not None and is_useful(root, found.path):
            yield Need(text, Reason("string", by, detail + kin.words(shipper), "likely"))
        return
    for path, package in sorted(kin.below(found.path)) if found.node.kind == "dir" else ():
        if package == kin.own or _DATA_PACKAGE.search(package.name):
            # That a folder is named does not say that every program in it will be started.
            confidence: Confidence = "hint" if _is_program(root, path) else "likely"
            yield Need(path, Reason("string", by, detail + kin.words(package), confidence))


def _is_program(root: Root, path: str) -> bool:
    node = root.lstat(path)
    return node is not None and node.kind == "file" and bool(node.mode & 0o111) and ".so" not in path


def below(root: Root, folder: str, limit: int = 20_000) -> Iterator[str]:
    """The files below a folder; what Python keeps of itself is left out, links are not walked through."""
    todo = [folder]
    while todo and limit:
        here = todo.pop()
        node = root.lstat(here)
        if node is None or here.endswith("/__pycache__"):
            continue
        if node.kind == "dir":
            todo.extend(f"{here}/{name}" for name in root.listdir(here))
        elif node.kind in ("file", "symlink"):
            limit -= 1
            yield here
