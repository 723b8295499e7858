"""What makes a fat image behave as it does, and no file of it names: its own application, its author's files, its state folders.

All of it is data of the image and of its configuration; nothing is executed.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from jettison.closure.entry import entries
from jettison.closure.facts import DEFAULT_PATH
from jettison.closure.place import within
from jettison.closure.system import made
from jettison.closure.why import Closure, Need, Reason
from jettison.errors import InvalidData
from jettison.packages.package import Packages
from jettison.tree.node import Node
from jettison.tree.root import Root, Tree, normalise, resolve

# hier(7): folders that hold more than one application.
_SHARED = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr"
    " /usr/bin /usr/lib /usr/libexec /usr/local /usr/local/bin /usr/local/lib /usr/local/sbin /usr/sbin /usr/share /usr/src"
    " /var /var/cache /var/lib /var/lock /var/log /var/mail /var/opt /var/run /var/spool /var/tmp /var/www".split()
)
_SITE_DATA = ("/srv", "/var/www")  # hier(7): data for services that this system offers
_STATE = ("/run", "/srv", "/var")
# Settings that a package's tools write, and that belong to the whole system rather than to one program.
_SYSTEM_SETTINGS = (
    "/etc/alternatives", "/etc/apt", "/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/etc/default", "/etc/dpkg",
    "/etc/init.d", "/etc/ld.so.conf.d", "/etc/logrotate.d", "/etc/profile.d", "/etc/security", "/etc/skel", "/etc/ssl",
    "/etc/systemd", "/etc/ca-certificates", "/etc/init", "/etc/update-motd.d", "/etc/ufw", "/etc/apparmor.d",
)  # fmt: skip
_RELEASES = (  # os-release(5), and the files that scanners knew before it
    "/etc/os-release", "/usr/lib/os-release", "/etc/debian_version", "/etc/alpine-release", "/etc/lsb-release",
    "/etc/redhat-release", "/etc/system-release",
)  # fmt: skip
_FILE_LIMIT = 200_000


class Command(NamedTuple):
    """What an image starts: `argv` with `search_path` in `folder`, and what looks after its health; `volumes` and `home`."""

    argv: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    search_path: tuple[str, ...] = DEFAULT_PATH
    folder: str = "/"
    volumes: tuple[str, ...] = ()
    home: str = "/"


def starts(root: Root, command: Command) -> list[Need]:
    """The entry points: the command's, and its health check's."""
    calls = [call for call in (command.argv, command.health) if call]
    return [need for call in calls for need in entries(root, call, command.search_path, command.folder)]


def additions(root: Root, command: Command, seeds: Sequence[Need], packages: Packages) -> list[Need]:
    """What an image has for its entry points besides what they name: the system's files, the application's folder, volumes."""
    entry = resolve(root, seeds[0].path).path if seeds else ""
    needs = []
    for path, detail in _expected(command):
        if _lies(root, path) is not None:
            needs.append(Need(path, Reason("rule", entry, detail)))
    for folder, detail in _own_folders(root, command, seeds, packages):
        needs += _all_below(root, folder, Reason("kept", entry, detail))
    return needs


def state(root: Root, found: Closure, packages: Packages) -> list[Need]:
    """What the packages of a closure expect to find although no file of theirs is there: folders to write to, settings that the
    image's author made."""
    owned = packages.owners()
    by_package: dict[object, str] = {}
    for path in found.reasons:
        package = owned.get(path)
        if package is not None and not _is_folder(root, path):
            by_package.setdefault(package, path)
    needs: dict[str, Need] = {}
    for path, package in owned.items():
        by = by_package.get(package)
        if by is not None and _is_folder(root, path):
            for need in _of_folder(root, path, by, str(package), owned):
                needs.setdefault(need.path, need)
    for need in _service_folders(root, needs):
        needs.setdefault(need.path, need)
    return [need for path, need in sorted(needs.items()) if path not in found.reasons]


def base_links(root: Root, tree: Tree) -> dict[str, Node]:
    """The links of the root folder that lead to folders of the image, as /bin → usr/bin, and /var/run, which programs name."""
    names = [*(f"/{name}" for name in root.listdir("/")), "/var/run", "/var/lock"]
    links = {}
    for path in names:
        node = root.lstat(path)
        if node is not None and node.kind == "symlink" and tree.lstat(path) is None:
            target = _lies(root, path)
            if target is not None and target in tree.nodes:
                links[path] = node
    return links


def _expected(command: Command) -> Iterator[tuple[str, str]]:
    yield from ((item.path, item.detail) for item in made())
    yield from ((path, "the system's name, by which scanners know its packages") for path in _RELEASES)
    yield "/etc/ld.so.preload", "ld.so reads it"
    yield command.folder, "the folder that the image's command starts in"
    yield command.home, "the home of the image's user"


def _own_folders(root: Root, command: Command, seeds: Sequence[Need], packages: Packages) -> Iterator[tuple[str, str]]:
    """The folders that are kept whole. A folder that packages share, or that one of them owns, is not an application's own."""
    scripts = [need.path.rpartition("/")[0] or "/" for need in seeds]
    candidates = [(folder, f"beside `{need.path}`, which no package owns") for folder, need in zip(scripts, seeds, strict=True)]
    candidates.append((command.folder, "the application's folder: the image's command starts in it"))
    for folder, detail in candidates:
        real = _lies(root, folder)
        if real is not None and not _is_shared(real) and packages.owner(real) is None:
            yield real, detail
    for volume in command.volumes:
        real = _lies(root, normalise(volume))
        if real is not None and real != "/":
            yield real, f"a volume starts with what the image has in it: {volume}"
    for folder in _SITE_DATA:
        if root.listdir(folder):
            yield folder, "data of the services that the image offers (hier(7))"


def _is_shared(folder: str) -> bool:
    return folder in _SHARED or within(folder, ("/dev", "/proc", "/sys", "/etc")) or "bin" in folder.split("/")


def _all_below(root: Root, path: str, reason: Reason) -> Iterator[Need]:
    """A folder with everything in it; devices are left out."""
    todo, count = [path], 0
    while todo:
        here = todo.pop()
        node = root.lstat(here)
        count += 1
        if count > _FILE_LIMIT:
            raise InvalidData(f"`{path}` has more than {_FILE_LIMIT} files", "leave parts of it out with --exclude")
        if node is None or node.kind in ("char", "block"):
            continue
        yield Need(here, reason, follow_last=False)
        if node.kind == "dir":
            todo.extend(f"{here.rstrip('/')}/{name}" for name in reversed(root.listdir(here)))


def _of_folder(root: Root, folder: str, by: str, package: str, owned: Collection[str]) -> Iterator[Need]:
    """What is kept of a folder that a package of the closure owns, besides what the closure has of it."""
    if within(folder, _STATE) and folder not in _STATE and folder not in _SHARED:
        yield Need(folder, Reason("rule", by, f"a folder of {package} for what changes while it runs"), follow_last=False)
        yield from _device_links(root, folder, by)
    if folder.startswith("/etc/") and not within(folder, _SYSTEM_SETTINGS):
        yield Need(folder, Reason("rule", by, f"a folder of {package} for settings"), follow_last=False)
        for name in root.listdir(folder):
            path = f"{folder}/{name}"
            node = root.lstat(path)
            if node is not None and node.kind in ("file", "symlink") and path not in owned:
                detail = f"a setting of the image's own, in a folder of {package}"
                yield Need(
                    path, Reason("rule", by, detail, "likely"), follow_last=node.kind == "symlink" and bool(_lies(root, path))
                )


def _device_links(root: Root, folder: str, by: str) -> Iterator[Need]:
    """Logs that are links to the program's own output, as images have them."""
    for name in root.listdir(folder):
        node = root.lstat(f"{folder}/{name}")
        if node is not None and node.kind == "symlink" and node.target.startswith("/dev/"):
            yield Need(f"{folder}/{name}", Reason("rule", by, f"a log that is a link to {node.target}"), follow_last=False)


def _service_folders(root: Root, needs: dict[str, Need]) -> Iterator[Need]:
    """Folders below /run, and those in /var of users who own a folder of the closure's packages: installing made them."""
    users: dict[int, str] = {}
    for path, need in needs.items():
        node = root.lstat(path)
        if node is not None and node.kind == "dir" and node.uid:
            users.setdefault(node.uid, need.reason.by)
    any_by = next((need.reason.by for need in needs.values()), "")
    for base in ("/run", "/var/cache", "/var/lib", "/var/log"):
        for path in _folders_below(root, base, 3):
            node = root.lstat(path)
            if node is None or path in needs:
                continue
            if node.uid in users:
                detail = "a folder of the same user as a folder of its package"
                yield Need(path, Reason("rule", users[node.uid], detail), follow_last=False)
            elif base == "/run" and any_by:
                yield Need(path, Reason("rule", any_by, "services keep their sockets and process ids here"), follow_last=False)


def _folders_below(root: Root, base: str, depth: int) -> Iterator[str]:
    todo = [(base, depth)]
    while todo:
        folder, left = todo.pop()
        for name in root.listdir(folder)[:10_000]:
            path = f"{folder}/{name}"
            if _is_folder(root, path):
                yield path
                if left > 1:
                    todo.append((path, left - 1))


def _is_folder(root: Root, path: str) -> bool:
    node = root.lstat(path)
    return node is not None and node.kind == "dir"


def _lies(root: Root, path: str) -> str | None:
    """The real path of something that is there; None where there is nothing, or a ring of links."""
    try:
        found = resolve(root, path)
    except InvalidData:
        return None
    return found.path if found.node is not None else None
