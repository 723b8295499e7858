"""The store's named volumes: one folder each, made at first use, kept until somebody removes it.

Who uses a volume holds the lock of `.NAME,lock` beside it with others, who removes it alone: the folder itself may come to belong
to a user of the image, whom the caller cannot read. A file `.NAME` belongs to its filling.
"""

import fcntl
import os

from jettison.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def hold(folder: str, name: str) -> int:
    """A descriptor that keeps the volume, made if it is missing, from being removed."""
    os.makedirs(folder, 0o700, exist_ok=True)
    path = f"{folder}/{name}"
    while True:
        descriptor = _open_lock(folder, name)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(descriptor, _lock_path(folder, name)):
            break
        os.close(descriptor)  # removed between our two looks
    try:
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # under any umask; what is around it is 0700
    except FileExistsError:
        pass
    return descriptor


def names(folder: str) -> "Sequence[str]":
    """The names of all volumes, sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []


def remove(folder: str, name: str, staging: str, as_root: "Callable[[str, Callable[[], int]], int]") -> int:
    """Remove a volume: how many bytes that freed. It is moved to the free path `staging` first, so it is there or gone.

    `as_root`: does what its first argument names as root of the users of images, where the caller alone may not.
    Errors: NotFound, UsageError where a container uses it, HostError.
    """
    from jettison.image.durable import unlink

    path = f"{folder}/{name}"
    if not os.path.isdir(path):
        raise NotFound(f"there is no volume `{name}`", "`jettison volume ls` lists them")
    descriptor = _open_lock(folder, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            freed_bytes = _discard(path, staging)
        except PermissionError:
            freed_bytes = as_root(f"remove the volume `{name}`", lambda: _discard(path, staging))
        unlink(f"{folder}/.{name}")
        unlink(_lock_path(folder, name))
    except BlockingIOError as error:
        raise UsageError(f"the volume `{name}` is used by a container that runs", "end it first") from error
    finally:
        os.close(descriptor)
    return freed_bytes


def _discard(path: str, staging: str) -> int:
    from jettison.image.durable import remove_tree

    try:
        os.rename(path, staging)
    except FileNotFoundError:
        pass  # done before
    return remove_tree(staging)


def _lock_path(folder: str, name: str) -> str:
    return f"{folder}/.{name},lock"  # no name of a volume has a comma


def _open_lock(folder: str, name: str) -> int:
    return os.open(_lock_path(folder, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
