"""Files that are whole or absent, folders that remember them, and locks that die with their holder."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def create(path: str) -> BinaryIO:
    """A new file, open for writing; never one that exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o644)  # under any umask; the store itself is 0700
    return open(descriptor, "wb")


def sync_file(path: str) -> None:
    """Wait until the file's bytes are on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: str) -> None:
    """Wait until the folder's names are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_filesystem(path: str) -> None:
    """Wait until all that was written to the filesystem of `path` is on the disk, syncfs(2): one wait for many files."""
    import ctypes

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: str, operation: int) -> Iterator[int]:
    """A file with flock(2) held; a dead process holds none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if operation:
            fcntl.flock(descriptor, operation)
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Hold the file alone, if nobody holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlink(path: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def remove_tree(path: str, dir_fd: int | None = None) -> int:
    """Remove a file, or a folder and all in it: of any depth and any mode, no link followed. How many bytes that freed."""
    info = os.lstat(path, dir_fd=dir_fd)
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(path, dir_fd=dir_fd)
        return _freed(info)
    os.chmod(path, 0o700, dir_fd=dir_fd)
    top = os.open(path, _FOLDER_FLAGS, dir_fd=dir_fd)
    try:
        freed = _empty(top)
    finally:
        os.close(top)
    os.rmdir(path, dir_fd=dir_fd)
    return freed


def _empty(top: int) -> int:
    """Folders are moved up into `top` before they are emptied, so that no depth needs more stack or descriptors."""
    todo = ["."]
    mark = os.urandom(8).hex()
    count = freed = 0
    while todo:
        folder = todo.pop()
        descriptor = os.open(folder, _FOLDER_FLAGS, dir_fd=top)
        try:
            for name in os.listdir(descriptor):
                info = os.lstat(name, dir_fd=descriptor)
                if not stat.S_ISDIR(info.st_mode):
                    os.unlink(name, dir_fd=descriptor)
                    freed += _freed(info)
                    continue
                count += 1
                os.chmod(name, 0o700, dir_fd=descriptor)
                os.rename(name, f"{mark}-{count}", src_dir_fd=descriptor, dst_dir_fd=top)
                todo.append(f"{mark}-{count}")
        finally:
            os.close(descriptor)
        if folder != ".":
            os.rmdir(folder, dir_fd=top)
    return freed


def _freed(info: os.stat_result) -> int:
    return info.st_blocks * 512 if info.st_nlink == 1 else 0


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
