"""dpkg's database: `status` and the lists of files, as dpkg-query(1) reads them."""

import re
from collections.abc import Collection, Iterator
from functools import cached_property

from jettison.errors import HostError, HostileData
from jettison.packages.owner import Owner, Record
from jettison.tree.root import Root, resolve

FOLDER = "/var/lib/dpkg"
STATUS_D = f"{FOLDER}/status.d"  # a file for each package, as bazel's rules write it for distroless images
_LIMIT_BYTES = 64 << 20  # with every package of Debian, `status` has 120 MB; with those of a full desktop 5
_PACKAGES_LIMIT = 100_000  # all of Debian has 65,000
_MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")  # links into /usr, where dpkg may know the old name
_SEARCHES = 4  # so many searches take as long as an index of all names, with which every further question is free
_FIELD = re.compile(r"^(Package|Status|Version|Architecture|Depends|Pre-Depends|Provides):[ \t]*(.*)", re.MULTILINE)
_CONFFILE = re.compile(r"^ (/\S+) ", re.MULTILINE)
_NAME = re.compile(r"(?:^|[,|])\s*([^\s,|:(]+)")  # of `libc6 (>= 2.36), perl:any | perl-base`


class Dpkg:
    """The database of one Root. Packages that are removed but not purged own nothing."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._real_names = RealNames(root)
        self._searches_left = _SEARCHES

    def records(self) -> list[Record]:
        return list(self._records.values())

    def files(self, owner: Owner) -> list[str]:
        return [self._real_names.of(path) for path in self._list(owner).split("\n") if is_path(path)]

    def owners(self, wanted: Collection[str] | None = None) -> dict[str, Owner]:
        if wanted is None:
            named = self._index.items()
            return {self._real_names.of(path): owner for path, owner in reversed(named) if is_path(path)}
        found = {path: self._owner(path) for path in wanted}
        return {path: owner for path, owner in found.items() if owner is not None}

    @cached_property
    def _records(self) -> dict[Owner, Record]:
        """In the order of the database."""
        found = (record for record, _ in paragraphs(self._root))
        return {record.owner: record for record in found}

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self._root.listdir(f"{FOLDER}/info"))

    @cached_property
    def _lists(self) -> dict[Owner, str]:
        """The lists of all packages, each with a line's end before and after it."""
        return {owner: f"\n{self._list(owner)}\n" for owner in self._records}

    @cached_property
    def _index(self) -> dict[str, Owner]:
        """What dpkg calls a path → its package; of a path of several packages the first one."""
        index: dict[str, Owner] = {}
        for owner, text in reversed(self._lists.items()):
            index.update(dict.fromkeys(text.split("\n"), owner))
        return index

    def _owner(self, path: str) -> Owner | None:
        names = self._real_names.aliases(path)
        if self._searches_left > 0:
            self._searches_left -= 1
            lines = [f"\n{name}\n" for name in names]
            return next((owner for owner, text in self._lists.items() for line in lines if line in text), None)
        return next((self._index[name] for name in names if name in self._index), None)

    def _list(self, owner: Owner) -> str:
        name = info_name(owner, self._names)
        if name:
            return read(self._root, f"{FOLDER}/info/{name}.list")
        return "\n".join(path for _, path in sums(read(self._root, f"{STATUS_D}/{owner.name}.md5sums")))


def paragraphs(root: Root) -> Iterator[tuple[Record, str]]:
    """The installed packages with their paragraphs of the database, in its order."""
    texts = read(root, f"{FOLDER}/status").split("\n\n", _PACKAGES_LIMIT + 1)
    names = [name for name in root.listdir(STATUS_D) if not name.endswith(".md5sums")]
    for count, text in enumerate((*texts, *(read(root, f"{STATUS_D}/{name}") for name in names))):
        if count > _PACKAGES_LIMIT:
            raise HostileData(f"refusing `{FOLDER}/status`: more than {_PACKAGES_LIMIT} packages")
        record = _record(text)
        if record is not None:
            yield record, text.strip("\n")


def info_name(owner: Owner, names: Collection[str]) -> str:
    """How a package's files in info/ are called, of which there are `names`; empty where there are none."""
    candidates = (owner.name, f"{owner.name}:{owner.architecture}")  # the second is Multi-Arch: same
    return next((name for name in candidates if f"{name}.list" in names), "")


def sums(text: str) -> Iterator[tuple[str, str]]:
    """(line, path) of a list of checksums, whose paths are written without their first slash."""
    for line in text.split("\n"):
        _, blank, path = line.partition("  ")
        if blank:
            yield line, "/" + path.removeprefix("./").lstrip("/")


class RealNames:
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


def _record(paragraph: str) -> Record | None:
    """A paragraph's package; None where it is not installed."""
    fields = dict(_FIELD.findall(paragraph))
    if not fields.get("Status", "install ok installed").endswith(" installed") or "Package" not in fields:
        return None
    owner = Owner(*(fields.get(key, "").strip() for key in ("Package", "Version", "Architecture")))
    depends = _NAME.findall(",".join(fields.get(key, "") for key in ("Pre-Depends", "Depends")))
    conffiles = _CONFFILE.findall(f"\n{paragraph}".partition("\nConffiles:")[2])
    return Record(owner, tuple(depends), tuple(_NAME.findall(fields.get("Provides", ""))), tuple(conffiles))


def is_path(line: str) -> bool:
    """Whether a line of a list is a path of the package's own: /lib is a folder of everybody's, also where it is a link."""
    return line.startswith("/") and line != "/." and line not in _MERGED


def read(root: Root, path: str) -> str:
    """A database file's text; empty where there is none."""
    node = root.lstat(path)
    if node is None or node.kind != "file" or node.size > _LIMIT_BYTES:
        return ""
    with root.open(path) as file:
        return file.read().decode("utf-8", "surrogateescape")
