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
    "jettison inspect web\njettison inspect --type image app:1",
    (Flag("type", "look among these alone", "container|image"),),
)


def main(values: Values, rest: list[str]) -> int:
    """Print the array."""
    if not rest:
        raise UsageError("`jettison inspect` needs a container or an image", "see `jettison inspect --help`")
    kind = values.text("type")
    if kind not in ("", "container", "image"):
        raise UsageError(f"`--type {kind}` is neither `container` nor `image`")
    store = open_store(values.text("store") or None)
    sys.stdout.write(json.dumps([inspect(store, name, kind) for name in rest], indent=4) + "\n")
    return 0
