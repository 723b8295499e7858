"""`jettison port`."""

import sys

from jettison.cli.flags import Command, Values
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.port import port

COMMAND = Command(
    "port",
    "CONTAINER [PORT[/PROTOCOL]]",
    "Print the ports of this machine that lead to a container, or to one port of its.",
    "jettison port web\njettison port web 80",
)


def main(values: Values, rest: list[str]) -> int:
    """Print a line for each."""
    if len(rest) not in (1, 2):
        raise UsageError("`jettison port` needs a container, and takes one port", "`jettison ps` lists the containers that run")
    published = port(open_store(values.text("store") or None), *rest)
    sys.stdout.write("".join(f"{each.outside}\n" if rest[1:] else f"{each.inside} -> {each.outside}\n" for each in published))
    return 0
