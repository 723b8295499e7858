"""`jettison kill`."""

from jettison.cli.each import each_container
from jettison.cli.flags import Command, Flag, Values
from jettison.image.store import open_store
from jettison.verbs.containers import kill

COMMAND = Command(
    "kill",
    "[FLAGS] CONTAINER...",
    "Send a signal to the programs of containers.",
    "jettison kill web\njettison kill -s HUP web",
    (Flag("signal", "which, KILL by default: a name or a number", "SIGNAL", short="s"),),
)


def main(values: Values, rest: list[str]) -> int:
    """Signal them; print their names."""
    store = open_store(values.text("store") or None)
    return each_container("kill", rest, lambda name: kill(store, name, values.text("signal", "KILL")))
