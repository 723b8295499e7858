"""dpkg's database: `status` and the lists of files, as dpkg-query(1) reads them."""

from collections.abc import Collection, Iterator

from jettison.errors import HostError
from jettison.packages.owner import Owner
from jettison.tree.root import Root, resolve

_FOLDER = "/var/lib/dpkg"
_LIMIT_BYTES = 256 << 20
_MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")  # links into /usr, where dpkg may know the old name


def owners(root: Root, wanted: Collection[str] | None = None) -> dict[str, Owner]:
    """path → its package, of all paths or of those `wanted`. Packages that are removed but not purged own nothing."""
    found: dict[str, Owner] = {}
    real_names = _Real(root)
    names = None if wanted is None else {alias for path in wanted for alias in real_names.aliases(path)}
    for package, path in _owned(root, names):
        found.setdefault(real_names.of(path), package)
    return found


def files(root: Root, package: Owner) -> list[str]:
    """The real paths that a package owns, folders too, in its list's order."""
    real_names = _Real(root)
    names = set(root.listdir(f"{_FOLDER}/info"))
    return [real_names.of(path) for path in _paths(_lines(root, package, names))]


def installed(root: Root) -> list[Owner]:
    """The installed packages, in the order of the database."""
    packages = []
    for paragraph in _read(root, f"{_FOLDER}/status").split("\n\n"):
        fields = {key: _field(paragraph, key) for key in ("Package", "Status", "Version", "Architecture")}
        if fields["Status"].endswith(" installed"):
            packages.append(Owner(fields["Package"], fields["Version"], fields["Architecture"]))
    return packages


class _Real:
    """Real names of what dpkg knows by its old name: /lib/… of a root whose /lib is a link to usr/lib."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._folders: dict[str, str] = {}

    def of(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._resolve(folder)
        return f"{self._folders[folder]}/{name}"

    def _resolve(self, folder: str) -> str:
        try:
            return resolve(self._root, folder or "/").path.rstrip("/")
        except HostError:  # a folder of a package that this user may not enter holds nothing that we could be asked for
            return folder

    def aliases(self, path: str) -> Iterator[str]:
        """The names under which dpkg may know a real path."""
        yield path
        for link in _MERGED:
            target = self.of(f"{link}/x").removesuffix("/x")
            if target != link and path.startswith(f"{target}/"):
                yield link + path[len(target) :]


def _owned(root: Root, wanted: set[str] | None) -> Iterator[tuple[Owner, str]]:
    names = set(root.listdir(f"{_FOLDER}/info"))
    for package in installed(root):
        lines = _lines(root, package, names)
        yield from ((package, path) for path in (_paths(lines) if wanted is None else wanted.intersection(lines)))


def _lines(root: Root, package: Owner, names: set[str]) -> list[str]:
    for name in (f"{package.name}.list", f"{package.name}:{package.architecture}.list"):  # the second is Multi-Arch: same
        if name in names:
            return _read(root, f"{_FOLDER}/info/{name}").split("\n")
    return []


def _paths(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("/") and line != "/."]


def _field(paragraph: str, key: str) -> str:
    """A field of one line; empty where there is none."""
    return f"\n{paragraph}".partition(f"\n{key}:")[2].partition("\n")[0].strip()


def _read(root: Root, path: str) -> str:
    """A database file's text; empty where there is none."""
    node = root.lstat(path)
    if node is None or node.kind != "file" or node.size > _LIMIT_BYTES:
        return ""
    with root.open(path) as file:
        return file.read().decode("utf-8", "surrogateescape")
