"""jettison tag."""

from jettison.cli.flags import Command, Values
from jettison.cli.terminal import reporter
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.tag import tag

COMMAND = Command(
    "tag",
    "IMAGE NAME[:TAG]",
    "Give an image another name.",
    "jettison tag app:latest registry.example/app:1.2",
)


def main(values: Values, rest: list[str]) -> int:
    """Name the image."""
    if len(rest) != 2:
        raise UsageError("`jettison tag` needs an image and a name", "see `jettison tag --help`")
    reference = tag(open_store(values.text("store") or None), rest[0], rest[1])
    reporter(values).step("tagged", reference.familiar)
    return 0
