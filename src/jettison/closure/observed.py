"""What was seen of a running program → needs: what of it belongs into an image, and what never does.

Files of the system do, and those beside the program. What is the machine's own, the user's or a secret does not, whoever read it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jettison.closure.place import is_system, within
from jettison.closure.strings import COMMON
from jettison.closure.system import made
from jettison.closure.why import Need, Reason
from jettison.errors import HostError, InvalidData, NotFound
from jettison.tree.node import Node
from jettison.tree.observation import Observation, settled
from jettison.tree.root import Root, resolve

_HEAD_BYTES = 65536
_COMMAND_LENGTH = 60

_VERBS = {"executed": "started", "read": "opened", "listed": "listed", "looked": "looked at"}

# What the runtime or the image brings of its own: never the machine's, and nobody needs to be told.
_RUNTIMES = ("/dev", "/proc", "/sys")
_TEMPORARY = ("/run", "/tmp", "/var/run", "/var/tmp", "/var/lock")
_LINKERS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload")
_MACHINES = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/localtime", "/etc/timezone")
_SECRETS = re.compile(
    r"/etc/g?shadow.*|/etc/sudoers(\.d/.*)?|/etc/ssl/private(/.*)?"
    r"|/etc/ssh/ssh_host_.*_key|/etc/(krb5\.keytab|security/opasswd)|/var/lib/(sss|NetworkManager)/.*"
)
# Whole lines: what tells keys from other files, as libmagic, has such texts too.
_PRIVATE_KEY = re.compile(rb"^-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----\s*$", re.MULTILINE)
_HOMES = ("/home", "/root")
_SHIPPED = ("file", "dir", "symlink")
_IMPORTS_BY_LISTING = re.compile(
    r"/(python|pypy)[\d.]*$"
)  # to know what is there, it lists each folder that it looks for modules in
_SHOWN_LIMIT = 256
_SHOWN_LIMIT_BYTES = 1 << 20


class LeftOut(NamedTuple):
    """A path that the program used and the image does not get, and why."""

    path: str
    cause: str


class Observed(NamedTuple):
    """`needs` of kind observed; what was left out; and the folders of the system that were written to, which are needs too,
    without their content."""

    needs: tuple[Need, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    writes: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()


def observed(
    root: Root, observation: Observation, entry: str, folder: str = "", home: str = "", is_machine: bool = True
) -> Observed:
    """The needs in what was seen. `entry`: the program's real path; `folder`: where it lies, if it is not one of the system's;
    `home`: the user's, of which nothing is taken that does not lie in `folder`. Of a Root that `is_machine` not, an image,
    everything is taken: it was put there for the program.
    """
    look = _Look(root, settled(observation), entry, folder, home, is_machine)
    needs = {need.path: need for need in look.needs()}
    writes = look.writes()
    reason = Reason("observed", entry, f"written to by {look.said}")
    for path in writes:
        if _is_folder(root, path):
            needs.setdefault(path, Need(path, reason))
    return Observed(tuple(needs.values()), tuple(look.left_out), writes, tuple(sorted(observation.connected)))


def union(each: Iterable[Observed]) -> Observed:
    """All of them, everything once."""
    needs: list[Need] = []
    left_out: list[LeftOut] = []
    writes: list[str] = []
    sockets: list[str] = []
    for item in each:
        needs += item.needs
        left_out += item.left_out
        writes += item.writes
        sockets += item.sockets
    return Observed(*(tuple(dict.fromkeys(column)) for column in (needs, left_out, writes, sockets)))  # type: ignore[arg-type]


class _Look:
    """One look at an observation."""

    def __init__(self, root: Root, seen: Observation, entry: str, folder: str, home: str, is_machine: bool) -> None:
        self._root = root
        self._seen = seen
        self._entry = entry
        # A program that lies in the home itself, or in /tmp, does not make all of it its own.
        self._folder = "" if folder in ("/", home, *_TEMPORARY, *_HOMES) else folder
        self._home = home
        self._is_machine = is_machine
        self._own = {item.path for item in made() if item.node.kind == "file"} if is_machine else set()
        self.left_out: list[LeftOut] = []
        self.said = _shortened(seen.commands)

    def needs(self) -> Iterator[Need]:
        """Every path that belongs into the image."""
        programs = {self._entry, *(self._real(path) for path in self._seen.executed)}
        for kind, verb in _VERBS.items():
            for path, by in sorted(getattr(self._seen, kind).items()):
                found = self._look_up(path)
                if found is None or not self._is_wanted(path, *found, kind in ("executed", "read")):
                    continue
                program = self._real(by) if by else self._entry
                program = program if program in programs and program != found[0] else self._entry
                reason = Reason("observed", program, f"{verb} by {self.said}")
                if found[0] != self._entry:
                    yield Need(path, reason)
                if kind == "listed" and not _IMPORTS_BY_LISTING.search(program):
                    yield from (Need(item, reason) for item in self._shown(*found))

    def _shown(self, folder: str, node: Node) -> list[str]:
        """The files that a list of a folder shows; not those of everybody's folders, or of large ones."""
        if node.kind != "dir" or folder == "/" or COMMON.fullmatch(folder) or (self._is_machine and not is_system(folder)):
            return []
        paths = [f"{folder}/{name}" for name in self._root.listdir(folder)[: _SHOWN_LIMIT + 1]]
        found = {path: item for path in paths if (item := self._look_up(path)) is not None and item[1].kind == "file"}
        size_bytes = sum(item.size for _, item in found.values())
        if len(paths) > _SHOWN_LIMIT or size_bytes > _SHOWN_LIMIT_BYTES:
            return []
        return [path for path, item in found.items() if self._is_wanted(path, *item, is_told=False)]

    def writes(self) -> tuple[str, ...]:
        """The folders that were written to, without those in others."""
        folders = set()
        for path in self._seen.changed:
            found = self._look_up(path)
            real = found[0] if found else path
            folder = real if found is None or found[1].kind == "dir" else real.rpartition("/")[0]
            if _is_state(folder):
                folders.add(folder)
        return tuple(sorted(path for path in folders if not any(path != other and within(path, (other,)) for other in folders)))

    def _look_up(self, path: str) -> tuple[str, Node] | None:
        try:
            found = resolve(self._root, path)
        except (InvalidData, HostError):
            return None
        return (found.path, found.node) if found.node is not None else None

    def _real(self, path: str) -> str:
        found = self._look_up(path)
        return found[0] if found else path

    def _is_wanted(self, path: str, real: str, node: Node, is_told: bool) -> bool:
        if within(real, _RUNTIMES) or within(real, _LINKERS) or path in self._own or real in self._own:
            return False
        cause = self._cause(path, real, node)
        if cause and is_told:
            self.left_out.append(LeftOut(path, cause))
        return not cause

    def _cause(self, path: str, real: str, node: Node) -> str:
        """Why it stays out; empty where it does not."""
        if not self._is_machine:
            return "" if node.kind in _SHIPPED else f"a {node.kind}"
        if self._folder and within(real, (self._folder,)) and within(path, (self._folder,)):
            return self._content_cause(real, node)
        for each in (path, real):
            if within(each, _TEMPORARY):
                return "a temporary file"
            if within(each, _HOMES) or (self._home and within(each, (self._home,))):
                return "in a user's home"
            if _SECRETS.fullmatch(each):
                return "a secret"
            if within(each, _MACHINES):
                return "the machine's own"
            if not is_system(each):
                return "neither the system's nor beside the program"
        if node.kind == "file" and real in self._seen.changed and within(real, ("/var", "/srv")):
            return "data that was written to"
        return self._content_cause(real, node)

    def _content_cause(self, real: str, node: Node) -> str:
        if node.kind != "file":
            return "" if node.kind in _SHIPPED else f"a {node.kind}"
        try:
            with self._root.open(real) as file:
                return "a private key" if _PRIVATE_KEY.search(file.read(_HEAD_BYTES)) else ""
        except (HostError, NotFound, OSError):
            return "unreadable"


def _is_state(folder: str) -> bool:
    """Whether what is written here is a program's state, which a volume or memory would hold."""
    return is_system(folder) and not within(folder, ("/usr", "/lib", "/bin", "/sbin", *_TEMPORARY)) and folder != "/"


def _is_folder(root: Root, path: str) -> bool:
    node = resolve(root, path).node
    return node is not None and node.kind == "dir"


def _shortened(commands: Iterable[str]) -> str:
    """The first command, as a reason names it."""
    texts = [" ".join(command.split()) for command in commands]
    if not texts:
        return "the observed program"
    first = texts[0] if len(texts[0]) <= _COMMAND_LENGTH else f"{texts[0][: _COMMAND_LENGTH - 1]}…"
    return f"`{first}`" + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
