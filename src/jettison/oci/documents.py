"""JSON from strangers, read within bounds; and JSON of our own, always the same bytes."""

import json
from typing import Any

from jettison.errors import HostileData, InvalidData

LIMIT_BYTES = 4 << 20  # what containers/image accepts for a manifest or a config


def parse(data: bytes, what: str, limit_bytes: int = LIMIT_BYTES) -> dict[str, Any]:
    """Read a JSON object named `what`. Errors: HostileData beyond the limits, InvalidData for anything else."""
    if len(data) > limit_bytes:
        raise HostileData(f"refusing {what}: {len(data)} bytes, the limit is {limit_bytes}")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise HostileData(f"refusing {what}: JSON nested too deeply") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError and too long integers are ValueErrors
        raise InvalidData(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidData(f"{what} is a JSON {type(value).__name__}, expected an object")
    return value


def serialise(value: object) -> bytes:
    """Compact JSON in insertion order: the same value gives the same bytes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice")
    return result


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")
