"""jettison load."""

import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import reporter, size
from jettison.errors import UsageError
from jettison.image.intake import Loaded
from jettison.image.store import open_store
from jettison.verbs.load import load

COMMAND = Command(
    "load",
    "[FLAGS]",
    "Bring in images that docker, podman, buildah or skopeo wrote: archives, compressed or not, and OCI folders.",
    "docker save debian | jettison load\njettison load -i app.tar",
    (Flag("input", "the archive or folder to read, instead of standard input", "FILE", short="i"),),
)


def main(values: Values, rest: list[str]) -> int:
    """Print a name of each image; the digest where it has none."""
    if rest:
        raise UsageError("`jettison load` takes no argument", f"did you mean `jettison load -i {rest[0]}`?")
    source = values.text("input", "-")
    if source == "-" and sys.stdin.isatty():
        raise UsageError("there is no archive on standard input", "name one with `-i FILE`, or use a pipe")
    terminal = reporter(values)
    loaded = load(open_store(values.text("store") or None), sys.stdin.buffer if source == "-" else source, terminal)
    for item in loaded:
        names = _names(item)
        layers = item.image.manifest.layers
        detail = f"{len(layers)} layer{'' if len(layers) == 1 else 's'}  {size(sum(layer.size for layer in layers))}"
        terminal.step("loaded", ", ".join(names), detail)
        sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


def _names(item: Loaded) -> list[str]:
    return [reference.familiar for reference in item.references] or [str(item.image.digest)]
