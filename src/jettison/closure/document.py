"""A closure as a JSON document that travels with its image."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from jettison.closure.why import Closure, Confidence, Expected, Missing, Reason, ReasonKind
from jettison.errors import InvalidData
from jettison.oci.documents import parse, serialise

if TYPE_CHECKING:
    from jettison.closure.removed import Removed

LIMIT_BYTES = 256 << 20


class Owner(NamedTuple):
    """The package that owns a file, as its manager names it."""

    manager: str
    name: str
    version: str
    architecture: str


class Document(NamedTuple):
    """A closure; `packages`: path → who owned the file in the Root it was taken from; `removed`: what a fat image had besides."""

    closure: Closure
    packages: dict[str, Owner]
    removed: "Mapping[str, Removed]" = MappingProxyType({})


def write(document: Document) -> bytes:
    """The document's bytes: the same closure gives the same bytes."""
    closure = document.closure
    owners = sorted(set(document.packages.values()))
    number = {owner: position for position, owner in enumerate(owners)}
    value = {
        "version": 1,
        "reasons": {path: [list(reason) for reason in closure.reasons[path]] for path in sorted(closure.reasons)},
        "missing": [[item.name, list(item.reason), list(item.looked_in)] for item in closure.missing],
        "expected": [[item.name, list(item.reason)] for item in closure.expected],
        "packages": [list(owner) for owner in owners],
        "owners": {path: number[document.packages[path]] for path in sorted(document.packages)},
    }
    if document.removed:
        from jettison.closure import removed

        value["removed"] = removed.write(document.removed)
    return serialise(value)


def read(data: bytes, what: str) -> Document:
    """Read a document. Errors: InvalidData, HostileData, naming `what`."""
    value = parse(data, what, LIMIT_BYTES)
    if value.get("version") != 1:
        raise InvalidData(f"{what} has version {value.get('version')!r:.20}, expected 1", "use a newer jettison")
    try:
        reasons = {_text(path): tuple(map(_reason, items)) for path, items in value["reasons"].items()}
        missing = [Missing(_text(name), _reason(why), tuple(map(_text, looked))) for name, why, looked in value["missing"]]
        expected = [Expected(_text(name), _reason(why)) for name, why in value.get("expected", [])]
        owners = [_owner(item) for item in value["packages"]]
        packages = {_text(path): owners[position] for path, position in value["owners"].items()}
        left_out = _text(value.get("removed", ""))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InvalidData(f"{what} is not a closure: {type(error).__name__} {error}") from error
    return Document(Closure(reasons, missing, expected=expected), packages, _removed(left_out, what) if left_out else {})


def _removed(text: str, what: str) -> "Mapping[str, Removed]":
    from jettison.closure import removed

    return removed.read(text, what)


def _reason(value: Any) -> Reason:
    kind, by, detail, confidence = value
    if kind not in get_args(ReasonKind) or confidence not in get_args(Confidence):
        raise ValueError(f"`{kind!r:.40}` with `{confidence!r:.40}` is no reason")
    return Reason(kind, _text(by), _text(detail), confidence)


def _owner(value: Any) -> Owner:
    manager, name, version, architecture = map(_text, value)
    return Owner(manager, name, version, architecture)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value
