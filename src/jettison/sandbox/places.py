"""Places in a world, which its image may have laid out to deceive: found and made by descriptor, never by a path twice."""

import os

from jettison.sandbox import syscalls
from jettison.sandbox.enter import Failure

PATH_ONLY = os.O_PATH | os.O_NOFOLLOW
FOLDER = os.O_PATH | os.O_DIRECTORY

_LINK_LIMIT = 40  # path_resolution(7)
_FORMAT, _IS_FOLDER = 0o170000, 0o040000  # stat(2), without the module `stat`


def mount_point(root: int, path: str, is_folder: bool) -> int:
    """A descriptor of what lies at `path` in the world; an empty file or folder is made where nothing is."""
    if is_folder:
        return make_folder(root, path)
    try:
        return syscalls.open_in_root(root, path, os.O_PATH)
    except FileNotFoundError:
        folder, _, name = path.rpartition("/")
        parent = make_folder(root, folder)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent))
        return os.open(name, PATH_ONLY, dir_fd=parent)


def own_mount_point(root: int, name: str) -> int:
    """A descriptor of /proc, /sys or /dev. Errors: Failure where the image has something else than a folder there."""
    try:
        os.mkdir(name, dir_fd=root)
    except FileExistsError:
        pass
    target = os.open(name, PATH_ONLY, dir_fd=root)
    if not is_folder(target):
        raise Failure(f"refusing the image: its /{name} is no folder", "no program of it can work; tell who made it")
    return target


def make_folder(root: int, path: str) -> int:
    """A descriptor of the folder at `path` in the world, made with its parents where it is missing.

    Links lead where the program would see them lead, also where nothing is yet.
    """
    todo = [part for part in reversed(path.split("/")) if part]
    done = ""
    links = 0
    while todo:
        name = todo.pop()
        target = "" if _is_there(root, f"{done}/{name}") else _make(root, done, name)
        if not target:
            done = f"{done}/{name}"
            continue
        links += 1
        if links > _LINK_LIMIT:
            raise Failure(f"`{path}` leads through more than {_LINK_LIMIT} symbolic links")
        todo += [part for part in reversed(target.split("/")) if part]
        done = "" if target.startswith("/") else done
    return syscalls.open_in_root(root, done or "/", FOLDER)


def _is_there(root: int, path: str) -> bool:
    """Whether a folder is there, also through links. Errors: OSError where it is something else."""
    try:
        os.close(syscalls.open_in_root(root, path, FOLDER))
    except FileNotFoundError:
        return False
    return True


def _make(root: int, folder: str, name: str) -> str:
    """Make a folder in another; where a link to nothing is in its place, give the link's target."""
    parent = syscalls.open_in_root(root, folder or "/", FOLDER)
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        return os.readlink(name, dir_fd=parent)
    finally:
        os.close(parent)
    return ""


def is_folder(descriptor: int) -> bool:
    """Whether a descriptor is one of a folder."""
    return os.fstat(descriptor).st_mode & _FORMAT == _IS_FOLDER
