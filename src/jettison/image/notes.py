"""Notes kept in the store's cache, one file for each program: small enough to be read whole by each command.

A file is the SHA-256 of what follows, a line's end, and a JSON object. One that is torn, broken or of another release says
nothing, and is written anew.
"""

import hashlib
import json
import os
from typing import TYPE_CHECKING

from jettison import __version__

if TYPE_CHECKING:
    from jettison.image.store import LocalStore

_LIMIT_BYTES = 32 << 20


class StoredNotes:
    """The notes of one program. What this command has not asked for is forgotten when they are kept."""

    def __init__(self, store: "LocalStore", program: str) -> None:
        name = hashlib.sha256(f"{__version__} {program}".encode("utf-8", "surrogateescape")).hexdigest()
        self._store = store
        self._path = f"{store.path}/cache/{name}.notes"
        self._known = _read(self._path)
        self._used: dict[str, object] = {}
        self._is_changed = False

    def get(self, key: str) -> object:
        value = self._used.get(key, self._known.get(key))
        if value is not None:
            self._used[key] = value
        return value

    def put(self, key: str, value: object) -> None:
        self._used[key] = value
        self._is_changed = True

    def keep(self) -> None:
        """Write what is new. Only while the store is `writing`."""
        if not self._is_changed:
            return
        body = json.dumps(self._used, separators=(",", ":")).encode()
        if len(body) <= _LIMIT_BYTES:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            self._store.replace(self._path, b"\n".join((_checksum(body), body)))


def _read(path: str) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            checksum, _, body = file.read(_LIMIT_BYTES + 65).partition(b"\n")
        value = json.loads(body) if checksum == _checksum(body) else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()
