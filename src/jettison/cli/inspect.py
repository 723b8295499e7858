"""jettison inspect."""

import json
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.inspect import inspect

COMMAND = Command(
    "inspect",
    "NAME...",
    "Print a container's state, or an image's configuration and manifest: a JSON array as docker's.",
    "jettison inspect web\njettison inspect -f '{{.State.Status}}' web\njettison inspect --type image app:1",
    (
        Flag("type", "look among these alone", "container|image"),
        Flag("format", "a line for each instead: docker's `{{.State.Status}}`, `{{json .State}}`", "TEMPLATE", short="f"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Print the array."""
    if not rest:
        raise UsageError("`jettison inspect` needs a container or an image", "see `jettison inspect --help`")
    kind = values.text("type")
    if kind not in ("", "container", "image"):
        raise UsageError(f"`--type {kind}` is neither `container` nor `image`")
    store = open_store(values.text("store") or None)
    found = [inspect(store, name, kind) for name in rest]
    sys.stdout.write(_formatted(values.text("format"), found) if values.text("format") else json.dumps(found, indent=4) + "\n")
    return 0


def _formatted(text: str, found: list[dict[str, object]]) -> str:
    from jettison.cli.template import parse, render

    template = parse("{{json .}}" if text == "json" else text)
    return "".join(f"{render(template, each)}\n" for each in found)
