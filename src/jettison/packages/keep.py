"""The part of a package database that is true of fewer files, so that scanners see exactly the packages whose files are there."""

from collections.abc import Collection, Iterator

from jettison.packages import apk, dpkg
from jettison.tree.node import Node, made_file
from jettison.tree.root import Root, resolve

RPM_FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")


def database(root: Root, kept: Collection[str]) -> dict[str, Node]:
    """path → a file of the package database as it is of the `kept` paths alone; what is in no database has none.

    `kept` are real paths of files and links, and of folders.
    """
    return {**dict(_dpkg(root, frozenset(kept))), **dict(_apk(root, frozenset(kept)))}


def has_rpm(root: Root) -> bool:
    """Whether packages are in a database that is not kept yet."""
    return any(root.listdir(folder) for folder in RPM_FOLDERS)


def _dpkg(root: Root, kept: frozenset[str]) -> Iterator[tuple[str, Node]]:
    """The paragraphs of packages with a file among `kept`, their lists of files and of checksums."""
    real_names = dpkg.RealNames(root)
    names = frozenset(root.listdir(f"{dpkg.FOLDER}/info"))
    shown = []
    for record, paragraph in dpkg.paragraphs(root):
        name = dpkg.info_name(record.owner, names)
        lines = dpkg.read(root, f"{dpkg.FOLDER}/info/{name}.list").split("\n") if name else []
        present = [line for line in lines if line.startswith("/") and (line == "/." or real_names.of(line) in kept)]
        if any(_is_file(root, real_names.of(line)) for line in filter(dpkg.is_path, present)):
            shown.append(paragraph)
            yield f"{dpkg.FOLDER}/info/{name}.list", _file("".join(f"{line}\n" for line in present))
            sums = _sums(root, f"{dpkg.FOLDER}/info/{name}.md5sums", kept, real_names)
            if sums:
                yield f"{dpkg.FOLDER}/info/{name}.md5sums", _file(sums)
    if shown:
        yield f"{dpkg.FOLDER}/status", _file("".join(f"{paragraph}\n\n" for paragraph in shown))
    for name in root.listdir(dpkg.STATUS_D):
        left = _sums(root, f"{dpkg.STATUS_D}/{name}.md5sums", kept, real_names)
        if left:
            yield f"{dpkg.STATUS_D}/{name}", _file(dpkg.read(root, f"{dpkg.STATUS_D}/{name}"))
            yield f"{dpkg.STATUS_D}/{name}.md5sums", _file(left)


def _sums(root: Root, path: str, kept: frozenset[str], real_names: dpkg.RealNames) -> str:
    """The lines of a list of checksums that are of what is kept."""
    return "".join(f"{line}\n" for line, named in dpkg.sums(dpkg.read(root, path)) if real_names.of(named) in kept)


def _apk(root: Root, kept: frozenset[str]) -> Iterator[tuple[str, Node]]:
    """The paragraphs with a file among `kept`, with these files."""
    for path in apk.DATABASES:
        text = apk.read(root, path)
        paragraphs = [left for paragraph in text.split("\n\n") if (left := _apk_paragraph(root, paragraph, kept))]
        if paragraphs:
            yield resolve(root, path).path, _file("".join(f"{paragraph}\n\n" for paragraph in paragraphs))


def _apk_paragraph(root: Root, paragraph: str, kept: frozenset[str]) -> str:
    """`F:` names a folder, `R:` a file in it; what follows, `M:`, `a:` and `Z:`, is of the line before."""
    lines: list[str] = []
    folder, shows, has_file = "", True, False
    for line in paragraph.split("\n"):
        key, _, value = line.partition(":")
        if key == "F":
            folder = value
            shows = resolve(root, f"/{folder}").path in kept
        elif key == "R":
            shows = resolve(root, f"/{folder}/{value}", follow_last=False).path in kept
            has_file = has_file or shows
        if shows:
            lines.append(line)
    return "\n".join(lines).strip("\n") if has_file else ""


def _is_file(root: Root, path: str) -> bool:
    node = root.lstat(path)
    return node is not None and node.kind != "dir"


def _file(text: str) -> Node:
    return made_file(text.encode("utf-8", "surrogateescape"))
