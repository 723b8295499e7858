"""The store's named volumes: one folder each, made at first use, kept until somebody removes it.

Who uses a volume holds its folder's lock with others, who removes it alone. A file `.NAME` beside it belongs to its filling.
"""

import fcntl
import os

from jettison.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def hold(folder: str, name: str) -> int:
    """A descriptor of the volume, made if it is missing, which keeps it from being removed."""
    os.makedirs(folder, 0o700, exist_ok=True)
    path = f"{folder}/{name}"
    while True:
        try:
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)  # under any umask; what is around it is 0700
        except FileExistsError:
            pass
        try:
            descriptor = os.open(path, _FOLDER)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # removed between our two looks


def names(folder: str) -> "Sequence[str]":
    """The names of all volumes, sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except FileNotFoundError:
        return []


def remove(folder: str, name: str, staging: str) -> int:
    """Remove a volume: how many bytes that freed. It is moved to the free path `staging` first, so it is there or gone.

    Errors: NotFound, UsageError where a container uses it.
    """
    from jettison.image.durable import remove_tree, unlink

    path = f"{folder}/{name}"
    try:
        descriptor = os.open(path, _FOLDER)
    except FileNotFoundError as error:
        raise NotFound(f"there is no volume `{name}`", "`jettison volume ls` lists them") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(path, staging)
        unlink(f"{folder}/.{name}")
    except BlockingIOError as error:
        raise UsageError(f"the volume `{name}` is used by a container that runs", "end it first") from error
    finally:
        os.close(descriptor)
    return remove_tree(staging)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
