"""jettison rmi."""

import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import reporter
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.rmi import rmi

COMMAND = Command(
    "rmi",
    "[FLAGS] IMAGE...",
    "Remove names of images, and the images that have no other name.",
    "jettison rmi app:1",
    (Flag("force", "of an image given by its digest, remove all names", short="f"),),
)


def main(values: Values, rest: list[str]) -> int:
    """Print what was removed, in docker's words."""
    if not rest:
        raise UsageError("`jettison rmi` needs an image", "see `jettison rmi --help`")
    removed = rmi(open_store(values.text("store") or None), rest, values.on("force"), reporter(values))
    lines = [f"Untagged: {reference.familiar}\n" for reference in removed.untagged]
    lines += [f"Deleted: {digest}\n" for digest in removed.deleted]
    sys.stdout.write("".join(lines))
    return 0
