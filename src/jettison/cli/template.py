"""`--format` of `ps` and `inspect`: the part of docker's Go templates that scripts use, fields and JSON, and nothing else.

Imported only where it is given.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jettison.errors import UsageError

_HINT = "known are `{{.FIELD}}`, `{{.FIELD.FIELD}}` and `{{json .FIELD}}`; for all else give JSON to a program like jq"


class Field(NamedTuple):
    """`{{.State.Health}}` or `{{json .State.Health}}`; the path of `{{.}}` is empty."""

    path: tuple[str, ...]
    is_json: bool


Template = Sequence[str | Field]


def parse(text: str) -> Template:
    """Texts and fields in their order. Errors: UsageError."""
    parts: list[str | Field] = []
    while text:
        before, opening, rest = text.partition("{{")
        action, closing, text = rest.partition("}}")
        if before:
            parts.append(before)
        if opening:
            parts.append(_field(action, bool(closing)))
    return parts


def unescaped(text: str) -> str:
    r"""docker's `ps` reads `\t` and `\n` in a template as the characters; its `inspect` does not."""
    return text.replace("\\t", "\t").replace("\\n", "\n")


def render(template: Template, value: object) -> str:
    """The template filled from JSON-like values. Errors: UsageError where it has no such field."""
    return "".join(part if isinstance(part, str) else _filled(part, value) for part in template)


def _field(action: str, is_closed: bool) -> Field:
    words = action.split()
    is_json = words[:1] == ["json"]
    path = words[-1] if len(words) == 1 + is_json else ""
    names = path.split(".")[1:]
    is_path = path == "." or (path.startswith(".") and all(name.isidentifier() for name in names))
    if not is_closed or not is_path:
        raise UsageError(f"the template's `{{{{{action}{'}}' if is_closed else ''}` is not understood", _HINT)
    return Field(tuple(filter(None, names)), is_json)


def _filled(field: Field, value: object) -> str:
    for name in field.path:
        if not isinstance(value, Mapping) or name not in value:
            known = f"known here are {', '.join(sorted(value))}" if isinstance(value, Mapping) else ""
            raise UsageError(f"the template's `.{'.'.join(field.path)}` is not there: no `{name}`", known)
        value = value[name]
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if field.is_json else _text(value)


def _text(value: object) -> str:
    """As Go prints it."""
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_text, value))}]"
    return {None: "<no value>", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
