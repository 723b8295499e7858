"""jettison prune."""

import sys

from jettison.cli.flags import Command, Values
from jettison.cli.terminal import reporter, size
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.prune import prune

COMMAND = Command(
    "prune",
    "[FLAGS]",
    "Remove what no name refers to: blobs, unpacked layers, leftovers. What containers use stays.",
    "jettison prune",
)


def main(values: Values, rest: list[str]) -> int:
    """Print what was removed, in docker's words."""
    if rest:
        raise UsageError("`jettison prune` takes no argument", "an image is removed by `jettison rmi IMAGE`")
    swept = prune(open_store(values.text("store") or None), reporter(values))
    if not values.on("quiet"):
        sys.stdout.write("".join(f"Deleted: {digest}\n" for digest in swept.blobs))
    sys.stdout.write(f"Total reclaimed space: {size(swept.freed_bytes)}\n")
    return 0
