"""The operations that make a world's filesystem. What comes from the image is touched by descriptor, never by a path twice."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.enter import Failure
from jettison.sandbox.places import FOLDER, PATH_ONLY, is_folder, make_folder, mount_point, own_mount_point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.sandbox.enter import World

_QUIET = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC

_FORMAT, _IS_DEVICE = 0o170000, 0o020000  # stat(2), without the module `stat`
_ENODEV = 19  # errno(3)
_FILE_LIMIT_BYTES = 1 << 20


class Operation:
    """A step into the new world."""

    hint = ""

    def describe(self) -> str:
        """What it does, after "cannot" or as a line of the plan."""
        raise NotImplementedError

    def execute(self, world: "World") -> None:
        """Do it. Errors: OSError, Failure."""
        raise NotImplementedError


class Workspace(Operation):
    """Memory that holds what the program writes, and vanishes with it. Mounted where only this world sees it."""

    hint = "see `jettison doctor`"

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def describe(self) -> str:
        return f"mount a workspace in memory on `{self.folder}`"

    def execute(self, world: "World") -> None:
        syscalls.mount("tmpfs", self.folder, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0700")
        os.chdir(self.folder)
        for name in ("root", "lower", "upper", "work", "empty"):
            os.mkdir(name)


class OverlayRoot(Operation):
    """The layers on each other, and a throw-away layer on top. `layers`: host folders, from the lowest to the topmost.

    The folders get short names in the workspace: mount(2) takes one page of options, in which `:` and `,` are special.
    """

    hint = "an overlay in a user namespace needs Linux 5.11 or later; `jettison doctor` tries it"

    def __init__(self, layers: "Sequence[str]") -> None:
        # The kernel refuses a folder twice (ELOOP); the topmost hides the others.
        self.layers = list(dict.fromkeys(reversed(layers)))

    def describe(self) -> str:
        return f"lay {len(self.layers)} layers on each other, a throw-away one on top"

    def execute(self, world: "World") -> None:
        for number, layer in enumerate(self.layers):
            os.symlink(layer, f"lower/{number}")
        lower = ":".join(f"lower/{number}" for number in range(len(self.layers))) or "empty"
        if self.layers:
            self._look_like("lower/0", world.has_many_users)
        options = f"lowerdir={lower},upperdir=upper,workdir=work,userxattr"
        syscalls.mount("overlay", "root", "overlay", syscalls.MS_NOSUID | syscalls.MS_NODEV, options)
        world.root = os.open("root", FOLDER)

    def _look_like(self, topmost: str, has_many_users: bool) -> None:
        """The upper folder's owner and mode are those of `/`."""
        status = os.stat(topmost)
        if has_many_users:
            os.chown("upper", status.st_uid, status.st_gid)
        os.chmod("upper", status.st_mode & 0o7777)


class Proc(Operation):
    """The processes of the world, and no others."""

    hint = "a container that hides parts of its /proc may not mount another (docker: --security-opt systempaths=unconfined)"

    def describe(self) -> str:
        return "mount /proc"

    def execute(self, world: "World") -> None:
        world.mounts["proc"] = tree = syscalls.new_filesystem("proc", _QUIET)
        syscalls.attach(tree, own_mount_point(world.root, "proc"))


class Sys(Operation):
    """The devices, to be read: of the own network where there is one, else the machine's."""

    def __init__(self, own_network: bool) -> None:
        self.own_network = own_network

    def describe(self) -> str:
        return "mount /sys, read-only"

    def execute(self, world: "World") -> None:
        world.mounts["sys"] = tree = self._tree()
        syscalls.attach(tree, own_mount_point(world.root, "sys"))

    def _tree(self) -> int:
        attributes = _QUIET | syscalls.ATTR_RDONLY
        if self.own_network:
            try:
                return syscalls.new_filesystem("sysfs", attributes)
            except PermissionError:  # the /sys around us is hidden in places, so the kernel shows no other
                pass
        tree = syscalls.clone_host_tree("/sys")
        syscalls.set_attributes(tree, attributes, recursive=True, propagation=syscalls.MS_PRIVATE)
        return tree


class Cgroups(Operation):
    """The own control group as /sys/fs/cgroup, to be read; nothing where the kernel has no version 2."""

    def describe(self) -> str:
        return "mount /sys/fs/cgroup, read-only"

    def execute(self, world: "World") -> None:
        try:
            target = syscalls.open_in_root(world.mounts["sys"], "fs/cgroup", FOLDER)
        except OSError:
            return
        try:
            tree = syscalls.new_filesystem("cgroup2", _QUIET | syscalls.ATTR_RDONLY)
        except OSError:
            tree = syscalls.new_filesystem("tmpfs", _QUIET | syscalls.ATTR_RDONLY)
        syscalls.attach(tree, target)


class Dev(Operation):
    """The devices that every program may expect, and no others: the machine's own files, as nobody may make new ones."""

    # runtime-spec, config-linux.md, "Default Devices"
    DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
    LINKS = (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    )

    def describe(self) -> str:
        return f"mount /dev with {', '.join(self.DEVICES)}"

    def execute(self, world: "World") -> None:
        attributes = syscalls.ATTR_NOSUID | syscalls.ATTR_NOEXEC
        world.mounts["dev"] = tree = syscalls.new_filesystem("tmpfs", attributes, mode="0755", size="65536k")
        syscalls.attach(tree, own_mount_point(world.root, "dev"))
        for name in self.DEVICES:
            _attach_file(syscalls.clone_host_tree(f"/dev/{name}"), tree, name)
        for name, target in self.LINKS:
            os.symlink(target, name, dir_fd=tree)


class DevFilesystem(Operation):
    """A filesystem of its own below /dev."""

    def __init__(self, name: str, fstype: str, attributes: int = _QUIET, **options: str) -> None:
        self.name = name
        self.fstype = fstype
        self.attributes = attributes
        self.options = options

    def describe(self) -> str:
        return f"mount /dev/{self.name}"

    def execute(self, world: "World") -> None:
        dev = world.mounts["dev"]
        os.mkdir(self.name, dir_fd=dev)
        try:
            tree = syscalls.new_filesystem(self.fstype, self.attributes, **self.options)
        except OSError as error:
            if error.errno != _ENODEV:
                raise
            return  # a kernel without it, as some are made without message queues
        world.mounts[self.name] = tree
        syscalls.attach(tree, os.open(self.name, FOLDER, dir_fd=dev))


class Terminals(DevFilesystem):
    """The world's own terminals."""

    def __init__(self) -> None:
        super().__init__("pts", "devpts", syscalls.ATTR_NOSUID | syscalls.ATTR_NOEXEC, ptmxmode="0666", mode="0620")

    def execute(self, world: "World") -> None:
        if world.has_many_users:
            self.options["gid"] = "5"  # `tty` of every distribution
        super().execute(world)


class ReadOnly(Operation):
    """Paths of one of our own mounts that may be read only; passed over where the kernel has none."""

    def __init__(self, mount: str, paths: "Sequence[str]") -> None:
        self.mount = mount
        self.paths = paths

    def describe(self) -> str:
        return f"make read-only in /{self.mount}: {' '.join(self.paths)}"

    def execute(self, world: "World") -> None:
        for path in self.paths:
            try:
                target = syscalls.open_in_root(world.mounts[self.mount], path, PATH_ONLY)
            except FileNotFoundError:
                continue
            tree = syscalls.clone_tree(target)
            syscalls.set_attributes(tree, syscalls.ATTR_RDONLY | _QUIET)
            syscalls.attach(tree, target)
            os.close(tree)
            os.close(target)


class Masked(Operation):
    """Paths of one of our own mounts that are hidden; passed over where the kernel has none.

    A file becomes the machine's /dev/null, a folder an empty one; neither is looked up in the image (CVE-2025-31133). A `*` in a
    path stands for the rest of a folder's name.
    """

    def __init__(self, mount: str, paths: "Sequence[str]") -> None:
        self.mount = mount
        self.paths = paths

    def describe(self) -> str:
        return f"hide in /{self.mount}: {' '.join(self.paths)}"

    def execute(self, world: "World") -> None:
        for path in self._expanded(world):
            try:
                target = syscalls.open_in_root(world.mounts[self.mount], path, PATH_ONLY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            tree = _cover(world, is_folder=is_folder(target))
            syscalls.attach(tree, target)
            os.close(tree)
            os.close(target)

    def _expanded(self, world: "World") -> "list[str]":
        return [found for path in self.paths for found in self._expand(world, path)]

    def _expand(self, world: "World", path: str) -> "list[str]":
        before, star, after = path.partition("*")
        if not star:
            return [path]
        place, _, start = before.rpartition("/")
        try:
            folder = syscalls.open_in_root(world.mounts[self.mount], place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return []
        names = [name for name in os.listdir(folder) if name.startswith(start)]
        os.close(folder)
        return [f"{place}/{name}{after}" for name in names]


class Bind(Operation):
    """A file or folder of the machine inside the world, with all that is mounted below it."""

    def __init__(self, source: str, target: str, read_only: bool = False) -> None:
        self.source = source
        self.target = target
        self.read_only = read_only

    def describe(self) -> str:
        return f"show `{self.source}` as `{self.target}`{', read-only' if self.read_only else ''}"

    def execute(self, world: "World") -> None:
        tree = syscalls.clone_host_tree(self.source)
        attributes = syscalls.ATTR_RDONLY if self.read_only else 0
        attributes |= syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV
        syscalls.set_attributes(tree, attributes, recursive=True, propagation=syscalls.MS_PRIVATE)
        target = mount_point(world.root, self.target, is_folder=is_folder(tree))
        require_place(world, target, self.target)
        syscalls.attach(tree, target)


class Writable(Operation):
    """A folder of the image that stays writable in a read-only world: an anonymous volume."""

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"keep `{self.path}` writable"

    def execute(self, world: "World") -> None:
        target = mount_point(world.root, self.path, is_folder=True)
        syscalls.attach(syscalls.clone_tree(target), target)


class Tmpfs(Operation):
    """An empty folder in memory."""

    def __init__(self, target: str, attributes: int, options: "dict[str, str]") -> None:
        self.target = target
        self.attributes = attributes
        self.options = options

    def describe(self) -> str:
        return f"mount memory on `{self.target}`"

    def execute(self, world: "World") -> None:
        options = {"mode": self._mode(world), **self.options}
        target = mount_point(world.root, self.target, is_folder=True)
        require_place(world, target, self.target)
        syscalls.attach(syscalls.new_filesystem("tmpfs", self.attributes, **options), target)

    def _mode(self, world: "World") -> str:
        """That of the image's folder; as of /tmp where it has none."""
        try:
            folder = syscalls.open_in_root(world.root, self.target, FOLDER)
        except FileNotFoundError:
            return "1777"
        return f"{os.fstat(folder).st_mode & 0o7777:o}"


class File(Operation):
    """A small file of ours in place of the image's."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.content = content

    def describe(self) -> str:
        return f"write `{self.path}`"

    def execute(self, world: "World") -> None:
        folder, _, name = self.path.rpartition("/")
        parent = make_folder(world.root, folder)
        try:
            descriptor = self._create(parent, name)
        except FileExistsError:
            os.unlink(name, dir_fd=parent)
            descriptor = self._create(parent, name)
        os.write(descriptor, self.content)
        os.close(descriptor)

    @staticmethod
    def _create(parent: int, name: str) -> int:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent)


class Folder(Operation):
    """A folder that is made where it is missing."""

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"make the folder `{self.path}`"

    def execute(self, world: "World") -> None:
        os.close(make_folder(world.root, self.path))


class ReadOnlyRoot(Operation):
    """Nothing of the image may be written."""

    def describe(self) -> str:
        return "make the root read-only"

    def execute(self, world: "World") -> None:
        syscalls.set_attributes(world.root, syscalls.ATTR_RDONLY)


class Pivot(Operation):
    """The new root becomes `/`, and the machine's own is gone."""

    hint = "a machine that runs from its initial ram disk cannot do it"

    def describe(self) -> str:
        return "make the new root `/`"

    def execute(self, world: "World") -> None:
        os.fchdir(world.root)
        syscalls.pivot_root(".", ".")  # pivot_root(2), NOTES: the old root lies on the new one
        syscalls.detach(".")
        os.chdir("/")


def machine_file(path: str) -> bytes:
    """A file of this machine that a world gets a copy of, at most a mebibyte of it; nothing where it cannot be read."""
    try:
        with open(path, "rb", 0) as stream:
            return stream.read(_FILE_LIMIT_BYTES)
    except OSError:
        return b""


def require_place(world: "World", target: int, path: str) -> None:
    """Nothing may lie on what hides parts of /proc, also not through a link of the image (CVE-2023-27561), nor on the root
    itself, where nobody would see it."""
    if os.path.samestat(os.fstat(target), os.fstat(world.root)):
        raise Failure(f"refusing to mount on `{path}`: it leads to the image's root")
    if os.fstat(target).st_dev == os.fstat(world.mounts["proc"]).st_dev:
        raise Failure(f"refusing to mount on `{path}`: it lies in /proc")


def _attach_file(tree: int, folder: int, name: str) -> None:
    """Mount a file's tree on a new empty file."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder))
    target = os.open(name, PATH_ONLY, dir_fd=folder)
    syscalls.attach(tree, target)
    os.close(target)
    os.close(tree)


def _cover(world: "World", is_folder: bool) -> int:
    """A tree that hides a file or a folder."""
    if not is_folder:
        return _null(world)
    if "empty" in world.mounts:
        return syscalls.clone_tree(world.mounts["empty"])
    tree = syscalls.new_filesystem("tmpfs", _QUIET | syscalls.ATTR_RDONLY, mode="0555", nr_inodes="2")
    world.mounts["empty"] = os.dup(tree)
    return tree


def _null(world: "World") -> int:
    """A tree of the machine's /dev/null, looked at before it is believed."""
    if "null" not in world.mounts:
        world.mounts["null"] = descriptor = os.open("/dev/null", PATH_ONLY)
        status = os.fstat(descriptor)
        if status.st_mode & _FORMAT != _IS_DEVICE or status.st_rdev != os.makedev(1, 3):
            raise Failure("this machine's /dev/null is not the null device")
    return syscalls.clone_tree(world.mounts["null"])
