"""A file's kin: the package that owns it, and those which that one depends on."""

from collections.abc import Iterator

from jettison.closure.place import is_system, within
from jettison.closure.strings import is_for_people
from jettison.errors import HostError
from jettison.packages.package import Package, Packages
from jettison.tree.node import Node
from jettison.tree.root import Root, resolve


class Kin:
    """What the package of the file at `path`, and those that it depends on directly, ship in a Root."""

    def __init__(self, root: Root, packages: Packages, path: str) -> None:
        self._root = root
        self._packages = packages
        self.own = packages.owner(path) if is_system(path) else None  # no package has what lies elsewhere
        self._members = (self.own, *packages.dependencies(self.own)) if self.own else ()

    def shipper(self, path: str) -> Package | None:
        """The package of the kin that ships a path; of a folder the first one."""
        return next((package for package in self._members if path in self._packages.files(package)), None)

    def below(self, folder: str) -> Iterator[tuple[str, Package]]:
        """What the kin ships at or below a folder, with its package: what is there, may be read by all, and is not for people."""
        for package in self._members:
            files = self._packages.files(package)
            for path in files if folder in files else ():
                if within(path, (folder,)) and is_useful(self._root, path):
                    yield path, package

    def words(self, package: Package) -> str:
        """How a package of the kin stands to the file."""
        return f"of {package}, " + ("its own package" if package == self.own else "which its package depends on")


def is_useful(root: Root, path: str) -> bool:
    """Whether a path that a package ships leads somewhere, is nobody's secret, and is there for programs."""
    if is_for_people(path):
        return False
    try:
        node = root.lstat(path)
        if node is not None and node.kind == "symlink":
            node = resolve(root, path).node
    except HostError:  # in a folder that this user may not enter
        return False
    return node is not None and (node.kind == "dir" or is_public(node))


def is_public(node: Node) -> bool:
    """Whether everybody may read a file: of what only some may, nobody can say that it is no secret."""
    return bool(node.mode & 0o004)


def is_program(root: Root, path: str) -> bool:
    """Whether a path is a file to be started, and no library."""
    node = root.lstat(path)
    return node is not None and node.kind == "file" and bool(node.mode & 0o111) and ".so" not in path.rpartition("/")[2]


def leads_to_data(root: Root, path: str) -> bool:
    """Whether a path leads to a file that is no program, or to a folder: a device is neither."""
    found = resolve(root, path)
    return found.node is not None and found.node.kind in ("file", "dir") and not is_program(root, found.path)
