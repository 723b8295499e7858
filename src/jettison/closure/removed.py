"""What a thin image does not have of the fat one, as a short text: the fat image may be gone when somebody asks.

The text is JSON, deflated, in base64: twenty thousand paths take about as much room as two hundred in the clear.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from jettison.closure.document import Owner
from jettison.closure.why import Reason
from jettison.errors import HostileData, InvalidData
from jettison.oci.documents import parse, serialise

_LIMIT_BYTES = 256 << 20
_LEVEL = 9


class Removed(NamedTuple):
    """A file that was left out: its size, the package that owned it, and the reason that
    would have kept it at `--level safe`, if there was one."""

    size: int
    package: Owner | None = None
    hint: Reason | None = None


def write(removed: Mapping[str, Removed]) -> str:
    """The text: the same files give the same text."""
    import deflate

    packages = sorted({item.package for item in removed.values() if item.package})
    number = {package: position for position, package in enumerate(packages)}
    files: dict[str, list[Any]] = {}
    before = ""
    for path in sorted(removed):
        item = removed[path]
        shared = _shared(before, path)
        facts = [item.size, number[item.package] if item.package else -1, *([list(item.hint)] if item.hint else [])]
        files[f"{shared} {path[shared:]}"] = facts
        before = path
    data = serialise({"packages": [list(package) for package in packages], "files": list(files.items())})
    return base64.b64encode(bytes(deflate.zlib_compress(data, _LEVEL))).decode("ascii")


def read(text: str, what: str) -> dict[str, Removed]:
    """Read such a text. Errors: InvalidData, HostileData, naming `what`."""
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(text, validate=True), _LIMIT_BYTES)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InvalidData(f"{what} has no readable list of what was removed: {error}") from error
    if inflate.unconsumed_tail:
        raise HostileData(f"refusing {what}: its list of what was removed has more than {_LIMIT_BYTES} bytes")
    try:
        return _files(parse(data, what, _LIMIT_BYTES))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InvalidData(f"{what} has no list of what was removed: {type(error).__name__} {error}") from error


def _files(value: dict[str, Any]) -> dict[str, Removed]:
    packages = [Owner(*map(str, item)) for item in value["packages"]]
    files: dict[str, Removed] = {}
    before = ""
    for name, (size, position, *hints) in value["files"]:
        shared, _, rest = name.partition(" ")
        before = before[: int(shared)] + rest
        hint = Reason(*map(str, hints[0])) if hints else None  # type: ignore[arg-type]
        files[before] = Removed(int(size), packages[position] if position >= 0 else None, hint)
    return files


def _shared(one: str, other: str) -> int:
    """How many characters two paths begin with alike."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
