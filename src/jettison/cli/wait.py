"""`jettison wait`."""

from jettison.cli.each import each_container
from jettison.cli.flags import Command, Values
from jettison.image.store import open_store
from jettison.verbs.containers import wait

COMMAND = Command(
    "wait",
    "CONTAINER...",
    "Wait until containers have ended, and print their exit statuses.",
    "jettison wait job",
)


def main(values: Values, rest: list[str]) -> int:
    """Wait for one after another; print the statuses."""
    store = open_store(values.text("store") or None)
    return each_container("wait", rest, lambda name: wait(store, name).status)
