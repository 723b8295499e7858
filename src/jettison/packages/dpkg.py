"""dpkg's database: `status` and the lists of files, as dpkg-query(1) reads them."""

from jettison.errors import HostError, NotFound
from jettison.tree.root import Root, resolve

_FOLDER = "/var/lib/dpkg"
_LIMIT_BYTES = 256 << 20


def owners(root: Root) -> dict[str, tuple[str, str, str]]:
    """path → (name, version, architecture). Packages that are removed but not purged own nothing."""
    found: dict[str, tuple[str, str, str]] = {}
    real_folders: dict[str, str] = {}
    for name, version, architecture in installed(root):
        for path in _files(root, name, architecture):
            folder, _, base = path.rpartition("/")
            if folder not in real_folders:  # dpkg says /lib/…, a merged root has it in /usr/lib/…
                real_folders[folder] = _real_folder(root, folder)
            found.setdefault(f"{real_folders[folder]}/{base}", (name, version, architecture))
    return found


def _real_folder(root: Root, folder: str) -> str:
    try:
        return resolve(root, folder or "/").path.rstrip("/")
    except HostError:  # a folder of a package that this user may not enter holds nothing that we could be asked for
        return folder


def installed(root: Root) -> list[tuple[str, str, str]]:
    """(name, version, architecture) of each installed package, in the order of the database."""
    packages = []
    for paragraph in _read(root, f"{_FOLDER}/status").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and not line.startswith(" "))
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            packages.append((fields["Package"], fields.get("Version", ""), fields.get("Architecture", "")))
    return packages


def _files(root: Root, name: str, architecture: str) -> list[str]:
    for stem in (name, f"{name}:{architecture}"):  # Multi-Arch: same packages have their architecture in the name
        text = _read(root, f"{_FOLDER}/info/{stem}.list")
        if text:
            return [line for line in text.split("\n") if line.startswith("/") and line != "/."]
    return []


def _read(root: Root, path: str) -> str:
    """A database file's text; empty where there is none."""
    node = root.lstat(path)
    if node is None or node.kind != "file" or node.size > _LIMIT_BYTES:
        return ""
    try:
        with root.open(path) as file:
            return file.read().decode("utf-8", "surrogateescape")
    except NotFound:
        return ""
