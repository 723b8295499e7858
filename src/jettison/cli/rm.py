"""`jettison rm`."""

from jettison.cli.each import each_container
from jettison.cli.flags import Command, Flag, Values
from jettison.image.store import open_store
from jettison.verbs.containers import rm

COMMAND = Command(
    "rm",
    "[FLAGS] CONTAINER...",
    "Remove containers that have ended: their state and their logs.",
    "jettison rm job\njettison rm -f web",
    (
        Flag("force", "kill those that run", short="f"),
        Flag("volumes", "their anonymous volumes too, which are gone at their end anyway", short="v"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Remove them; print their names."""
    store = open_store(values.text("store") or None)
    return each_container("rm", rest, lambda name: rm(store, name, values.on("force")))
