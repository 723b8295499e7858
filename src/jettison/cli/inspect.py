"""jettison inspect."""

import json
import sys

from jettison.cli.flags import Command, Values
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.inspect import inspect

COMMAND = Command(
    "inspect",
    "IMAGE...",
    "Print an image's configuration and manifest, a JSON array as docker's.",
    "jettison inspect app:1",
)


def main(values: Values, rest: list[str]) -> int:
    """Print the array."""
    if not rest:
        raise UsageError("`jettison inspect` needs an image", "see `jettison inspect --help`")
    store = open_store(values.text("store") or None)
    sys.stdout.write(json.dumps([inspect(store, name) for name in rest], indent=4) + "\n")
    return 0
