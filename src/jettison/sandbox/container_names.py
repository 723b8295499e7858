"""The names of containers: links to their ids, under one lock. Imported only where there is a name."""

import fcntl
import os

from jettison.errors import UsageError
from jettison.sandbox.told import is_alive, is_kept


def claim(store: str, name: str, container: str) -> None:
    """Make the name this container's. Errors: UsageError where it is another's that runs or is kept."""
    path = f"{store}/names/{name}"
    lock = _lock_names(store)
    try:
        if os.path.lexists(path):
            folder = f"{store}/containers/{owner(path)}"
            if is_alive(folder) or is_kept(folder):
                hint = f"give another `--name`, or remove that one: `jettison rm -f {name}`"
                raise UsageError(f"the name `{name}` is taken by a container", hint)
            os.unlink(path)
        os.symlink(container, path)
    finally:
        os.close(lock)


def release(store: str, name: str, container: str) -> None:
    """Free the name, if it is this container's."""
    path = f"{store}/names/{name}"
    lock = _lock_names(store)
    try:
        if owner(path) == container:
            os.unlink(path)
    finally:
        os.close(lock)


def _lock_names(store: str) -> int:
    os.makedirs(f"{store}/names", 0o700, exist_ok=True)
    lock = os.open(f"{store}/names", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def owner(path: str) -> str:
    """The id that a name links to; empty where it links to none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""
