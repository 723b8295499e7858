"""jettison save."""

import os
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import reporter, size
from jettison.errors import UsageError
from jettison.image.archive import FORMATS, Format
from jettison.image.store import open_store
from jettison.verbs.save import save

COMMAND = Command(
    "save",
    "[FLAGS] IMAGE...",
    "Write images to a file that docker, podman, skopeo and others read.",
    "jettison save app:1 -o app.tar && docker load -i app.tar\njettison save app:1 | podman load\n"
    "jettison save app:1 --format bundle -o app && runc run -b app app",
    (
        Flag("output", "the file or folder to write, `-` for standard output", "FILE", short="o"),
        Flag(
            "format",
            "oci-archive, docker-archive, oci-dir, or bundle for runc; if not given, one tar that is both archives",
            "FORMAT",
        ),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Write the archive."""
    if not rest:
        raise UsageError("`jettison save` needs an image", "see `jettison save --help`")
    output = values.text("output", "-")
    if output == "-" and sys.stdout.isatty():
        raise UsageError("an archive is nothing for a terminal", "write it to a file with `-o FILE`, or into a pipe")
    if values.text("format") == "bundle":
        return _bundle(values, rest, output)
    images = save(open_store(values.text("store") or None), rest, sys.stdout.buffer if output == "-" else output, _format(values))
    length = size(os.path.getsize(output)) if os.path.isfile(output) else ""
    names = ", ".join(named.references[0].familiar if named.references else named.image.digest.short for named in images)
    reporter(values).step("saved", names, f"{output}  {length}".rstrip())
    return 0


def _bundle(values: Values, rest: list[str], output: str) -> int:
    if len(rest) > 1:
        raise UsageError("a bundle is one image, to be started", "save each into a folder of its own")
    if output == "-":
        raise UsageError("a bundle is a folder, and cannot go to a stream", "give a folder: `-o DIR`")
    from jettison.verbs.bundle import bundle

    said = reporter(values)
    image = bundle(open_store(values.text("store") or None), rest[0], output, said)
    said.step("saved", image.digest.short, f"{output}  `runc run -b {output} NAME` starts it")
    return 0


def _format(values: Values) -> Format:
    text = values.text("format", "both")
    for known in FORMATS:
        if text == known:
            return known
    raise UsageError(
        f"`--format {text}`: expected {', '.join([*FORMATS[1:], 'bundle'])}", "without it, the archive is both kinds at once"
    )
