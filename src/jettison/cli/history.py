"""jettison history."""

import sys

from jettison.cli.ago import ago
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import size, table
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.history import Step, history

COMMAND = Command(
    "history",
    "[FLAGS] IMAGE",
    "Show what made each layer of an image, the last one first; SIZE is the layer's in the store.",
    "jettison history app:1",
    (Flag("no-trunc", "show whole commands"),),
)

_WIDTH = 45


def main(values: Values, rest: list[str]) -> int:
    """Print the table."""
    if len(rest) != 1:
        raise UsageError("`jettison history` needs one image", "see `jettison history --help`")
    steps = history(open_store(values.text("store") or None), rest[0])
    rows = [["LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"]]
    rows += [_row(step, values.on("no-trunc")) for step in steps]
    sys.stdout.write(table(rows, right=(3,)))
    return 0


def _row(step: Step, whole: bool) -> list[str]:
    made_by = " ".join(step.line.created_by.split())
    if not whole and len(made_by) > _WIDTH:
        made_by = made_by[: _WIDTH - 1] + "…"
    layer = step.layer.diff_id.short if step.layer else ""
    length = size(step.layer.descriptor.size if step.layer else 0)
    return [layer, ago(step.line.created), made_by, length, step.line.comment]
