"""Named volumes: folders of the store that outlive a world. An empty one first gets what the image has at its place."""

import fcntl
import os

from jettison.sandbox import syscalls
from jettison.sandbox.operations import Bind, Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.sandbox.enter import World

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FORMAT, _IS_FOLDER, _IS_FILE, _IS_LINK, _IS_FIFO = 0o170000, 0o040000, 0o100000, 0o120000, 0o010000  # stat(2)
_CHUNK_BYTES = 1 << 24


class Volume(Bind):
    """The volume `name` of the volumes in `folder`. `copies`: an empty one is filled."""

    def __init__(self, folder: str, name: str, target: str, read_only: bool = False, copies: bool = True) -> None:
        super().__init__(f"{folder}/{name}", target, read_only)
        self.folder = folder
        self.name = name
        self.copies = copies

    def describe(self) -> str:
        return f"show the volume `{self.name}` as `{self.target}`{', read-only' if self.read_only else ''}"


class Fill(Operation):
    """Copy what the image has at a volume's place into the volume, if that is empty: docker's rule.

    Several may start at once, and each may be killed: who fills holds the lock of the file `.NAME`, in which a word stands as
    long as the volume is half filled.
    """

    hint = "`jettison volume rm` removes a volume"

    def __init__(self, volume: Volume) -> None:
        self.volume = volume

    def describe(self) -> str:
        filled = f", if empty, with the image's `{self.volume.target}`" if self.volume.copies else " with nothing"
        return f"fill the volume `{self.volume.name}`{filled}"

    def execute(self, world: "World") -> None:
        lock = os.open(f"{self.volume.folder}/.{self.volume.name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = os.open(self.volume.source, _FOLDER)
        if os.read(lock, 1):  # somebody was killed over it, so nobody has used it yet
            _empty(folder)
        os.ftruncate(lock, 0)
        image = self._image(world) if self.volume.copies and not os.listdir(folder) else -1
        if image >= 0:
            os.pwrite(lock, b"filling", 0)
            _copy_folder(image, folder, world.has_many_users)
            os.ftruncate(lock, 0)
            os.close(image)
        os.close(folder)
        os.close(lock)

    def _image(self, world: "World") -> int:
        """The image's folder at the volume's place, found inside; -1 where there is none."""
        try:
            return syscalls.open_in_root(world.root, self.volume.target, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return -1


def _copy_folder(source: int, target: int, with_owners: bool) -> None:
    """Folders, files, links and pipes; what else an image may have would not work in a volume."""
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = status.st_mode & _FORMAT
        if kind == _IS_LINK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            if with_owners:
                os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        elif kind == _IS_FIFO:
            os.mkfifo(name, status.st_mode & 0o777, dir_fd=target)
        elif kind == _IS_FILE:
            _copy_file(os.open(name, _FILE, dir_fd=source), os.open(name, _NEW_FILE, 0o600, dir_fd=target), with_owners)
        elif kind == _IS_FOLDER:
            os.mkdir(name, 0o700, dir_fd=target)
            below, copy = os.open(name, _FOLDER, dir_fd=source), os.open(name, _FOLDER, dir_fd=target)
            _copy_folder(below, copy, with_owners)
            os.close(below)
            os.close(copy)
    _look_alike(source, target, with_owners)


def _copy_file(source: int, target: int, with_owners: bool) -> None:
    while os.sendfile(target, source, None, _CHUNK_BYTES):
        pass
    _look_alike(source, target, with_owners)
    os.close(source)
    os.close(target)


def _look_alike(source: int, target: int, with_owners: bool) -> None:
    """Owner, mode and time; in an ordinary user's world all belongs to one."""
    status = os.fstat(source)
    if with_owners:
        os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, status.st_mode & 0o7777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _empty(folder: int) -> None:
    for name in os.listdir(folder):
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode & _FORMAT != _IS_FOLDER:
            os.unlink(name, dir_fd=folder)
            continue
        below = os.open(name, _FOLDER, dir_fd=folder)
        _empty(below)
        os.close(below)
        os.rmdir(name, dir_fd=folder)
