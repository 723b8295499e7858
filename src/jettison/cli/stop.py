"""`jettison stop`."""

from jettison.cli.each import each_container
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.upkeep_flags import whole
from jettison.image.store import open_store
from jettison.verbs.containers import stop

COMMAND = Command(
    "stop",
    "[FLAGS] CONTAINER...",
    "Ask programs for their end, and kill those that do not come to it.",
    "jettison stop web\njettison stop -t 60 db",
    (
        Flag(
            "time",
            "how long to wait before the kill, instead of the container's own; -1 for ever",
            "SECONDS",
            short="t",
            also="timeout",
        ),
        Flag("signal", "what to send, instead of the container's stop signal", "SIGNAL", short="s"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Stop them, one after another; print their names."""
    store = open_store(values.text("store") or None)
    timeout_s = whole("time", values.text("time"), least=-1) if values.has("time") else None
    return each_container("stop", rest, lambda name: stop(store, name, timeout_s, values.text("signal")))
