"""Small files of the caller's in memory that is never swapped out: secrets, and certificates."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.operations import Operation, require_place
from jettison.sandbox.places import mount_point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.sandbox.enter import World


class MemoryFolder:
    """What a folder holds: names and contents, and the mode of each file; `what` names them to people."""

    def __init__(self, path: str, what: str, files: "Sequence[tuple[str, bytes]]", mode: int) -> None:
        self.path = path
        self.what = what
        self.files = tuple(files)
        self.mode = mode


class ShowMemory(Operation):
    """Such a folder in the world: the program's user owns it, and nobody may write it. Contents are never told."""

    def __init__(self, folder: MemoryFolder, uid: int, gid: int) -> None:
        self.folder = folder
        self.uid = uid
        self.gid = gid

    def describe(self) -> str:
        names = " ".join(f"`{name}`" for name, _ in self.folder.files)
        return f"show {self.folder.what} {names} in `{self.folder.path}`, read-only"

    def execute(self, world: "World") -> None:
        target = mount_point(world.root, self.folder.path, is_folder=True)
        require_place(world, target, self.folder.path)
        attributes = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
        # tmpfs(5) may be swapped out to a disk, and refuses `noswap` in a user namespace; ramfs never is.
        tree = syscalls.new_filesystem("ramfs", attributes, mode="0700")
        for name, content in self.folder.files:
            self._write(world, tree, name, content)
        self._give(world, tree, ".", self.folder.mode | self.folder.mode >> 2)  # who may read it may enter it
        syscalls.set_attributes(tree, attributes | syscalls.ATTR_RDONLY)
        syscalls.attach(tree, target)

    def _write(self, world: "World", tree: int, name: str, content: bytes) -> None:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=tree)
        with open(descriptor, "wb", 0) as stream:
            while content:
                content = content[stream.write(content) :]
        self._give(world, tree, name, self.folder.mode)

    def _give(self, world: "World", tree: int, name: str, mode: int) -> None:
        """An ordinary user's world has one user, to whom all belongs already."""
        if world.has_many_users:
            os.chown(name, self.uid, self.gid, dir_fd=tree)
        os.chmod(name, mode, dir_fd=tree)
