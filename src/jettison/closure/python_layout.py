"""Where a Python looks for modules, and which distribution a module belongs to: folders, `.pth` files, `*.dist-info`.

https://docs.python.org/3/library/site.html, https://packaging.python.org/en/latest/specifications/recording-installed-packages/;
Debian's folders are those of dh-python's policy: /usr/lib/python3/dist-packages for every Python 3.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jettison.closure import script_text
from jettison.tree.root import Root, lead, normalise

_VERSION = re.compile(r"(?:lib)?python(3\.\d+)t?(?:\.so(?:\.\d+)*)?")
_METADATA = (".dist-info", ".egg-info")
_PTH_LIMIT = 200
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)")

# What no program imports that was not written for it; a module that is asked for by its name comes all the same.
UNASKED = frozenset("__pycache__ ensurepip idlelib lib2to3 test tests tkinter turtledemo pydoc_data".split())


class Layout(NamedTuple):
    """`library` is the folder of the standard library, `sites` those of what was installed; `configuration` are the files that
    said so: a pyvenv.cfg, `.pth` files."""

    library: str
    sites: tuple[str, ...]
    configuration: tuple[str, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """sys.path without the script's own folder."""
        return (self.library, f"{self.library}/lib-dynload", *self.sites)


class Distribution(NamedTuple):
    """An installed distribution: its metadata's path, the paths at its site's top that it owns, and whom it requires."""

    name: str
    metadata: str
    tops: tuple[str, ...]
    requires: tuple[str, ...]


def library_of(root: Root, path: str) -> str:
    """The standard library of an interpreter, or of a libpython, at a real path; empty if there is none beside it."""
    found = _VERSION.fullmatch(path.rpartition("/")[2])
    folder = path.rpartition("/")[0]
    for base in ("../lib", "..", ".", "../lib64") if found else ():
        library = normalise(f"{base}/python{found[1] if found else ''}", folder)
        if script_text.is_file(root, f"{library}/os.py"):
            return library
    return ""


def layout(root: Root, interpreter: str) -> Layout | None:
    """The layout of the interpreter at `interpreter`, which may be a link of a virtual environment; None if it is no Python."""
    found = lead(root, interpreter)
    library = library_of(root, found.path) if found and found.node else ""
    if not library:
        return None
    name, sites = library.rpartition("/")[2], sites_of(library)
    configuration = normalise("../pyvenv.cfg", interpreter.rpartition("/")[0])
    if script_text.is_file(root, configuration):
        text = script_text.read(root, configuration)
        is_shared = re.search(r"(?im)^include-system-site-packages\s*=\s*true", text)
        sites = [f"{configuration.rpartition('/')[0]}/lib/{name}/site-packages", *(sites if is_shared else ())]
        return _with_paths(root, Layout(library, tuple(sites), (configuration,)))
    return _with_paths(root, Layout(library, tuple(sites)))


def sites_of(library: str) -> list[str]:
    """The folders of installed code that go with a standard library."""
    own = normalise("../..", library)
    folders = (f"{own}/local/lib/{library.rpartition('/')[2]}", f"{own}/lib/python3", library)
    return [f"{folder}/{kind}-packages" for folder in folders for kind in ("dist", "site")]


def _with_paths(root: Root, found: Layout) -> Layout:
    """With the folders that `.pth` files add."""
    sites, files = list(found.sites), list(found.configuration)
    for site in found.sites:
        for name in [name for name in root.listdir(_real(root, site)) if name.endswith(".pth")][:_PTH_LIMIT]:
            lines = script_text.read(root, f"{site}/{name}").splitlines()[:_PTH_LIMIT]
            folders = [line.strip() for line in lines if line.strip() and not line.startswith(("#", "import ", "import\t"))]
            files.extend([f"{site}/{name}"] if folders else [])
            sites.extend(normalise(folder, site) for folder in folders if "\0" not in folder)
    return Layout(found.library, tuple(dict.fromkeys(sites)), tuple(files))


class Distributions:
    """The distributions of a layout, read when the first is asked for."""

    def __init__(self, root: Root, sites: tuple[str, ...]) -> None:
        self._root = root
        self._sites = sites
        self._by_top: dict[str, Distribution] | None = None
        self._by_name: dict[str, Distribution] = {}

    def of_top(self, path: str) -> Distribution | None:
        """The distribution that owns a package's folder or a module at a site's top."""
        return self._all().get(path)

    def named(self, name: str) -> Distribution | None:
        """The distribution of a name, as metadata spells it."""
        self._all()
        return self._by_name.get(_normal(name))

    def all(self) -> Iterator[Distribution]:
        """Every one, by its name."""
        self._all()
        yield from (self._by_name[name] for name in sorted(self._by_name))

    def _all(self) -> dict[str, Distribution]:
        if self._by_top is None:
            self._by_top = {}
            for site in self._sites:
                names = self._root.listdir(_real(self._root, site))
                for name in (name for name in names if name.endswith(_METADATA)):
                    found = _distribution(self._root, site, name, names)
                    self._by_name.setdefault(_normal(found.name), found)
                    for top in found.tops:
                        self._by_top.setdefault(top, found)
        return self._by_top


def _distribution(root: Root, site: str, metadata: str, names: list[str]) -> Distribution:
    folder = f"{site}/{metadata}"
    name = metadata.rpartition(".")[0].split("-")[0]
    record = script_text.read(root, f"{folder}/RECORD")
    tops = {line.split("/")[0].split(",")[0] for line in record.splitlines()}
    tops |= {line for line in script_text.read(root, f"{folder}/top_level.txt").split() if "/" not in line}
    tops |= {name, name.lower(), name.lower().replace("-", "_")} if not record else set()
    wanted = {item for item in names if item in tops or (item.split(".")[0] in tops and item.endswith((".py", ".so")))}
    wanted -= {"__pycache__", "..", ""}
    headers = script_text.read(root, f"{folder}/METADATA") or script_text.read(root, f"{folder}/PKG-INFO")
    headers = headers or script_text.read(root, folder)  # an egg-info that is one file
    requires = [line.partition(":")[2] for line in headers.partition("\n\n")[0].splitlines() if line.startswith("Requires-Dist:")]
    requires += script_text.read(root, f"{folder}/requires.txt").partition("[")[0].splitlines()
    names_of = [_REQUIREMENT.match(line.strip()) for line in requires if "extra ==" not in line]
    owned = tuple(f"{site}/{item}" for item in sorted(wanted) if not item.endswith(_METADATA))
    return Distribution(name, folder, owned, tuple(item[1] for item in names_of if item))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _real(root: Root, folder: str) -> str:
    found = lead(root, folder)
    return found.path if found and found.node else folder
