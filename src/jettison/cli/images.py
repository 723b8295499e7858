"""jettison images."""

import json
import sys

from jettison.cli.ago import ago
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import size, table
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.oci.reference import Reference
from jettison.verbs.images import Listed, images

COMMAND = Command(
    "images",
    "[FLAGS] [NAME[:TAG]]",
    "List the images of the store; SIZE is what their layers take there.",
    "jettison images\njettison images -q app",
    (
        Flag("all", "also images that no name refers to", short="a"),
        Flag("digests", "show the whole digests"),
        Flag("json", "print the list as JSON"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Print the list."""
    if len(rest) > 1:
        raise UsageError("`jettison images` takes one name at most", "see `jettison images --help`")
    listed = images(open_store(values.text("store") or None), values.on("all"))
    if rest:
        listed = [item for item in listed if _is_meant(item, rest[0])]
    if values.on("json"):
        sys.stdout.write(json.dumps({"version": 1, "images": [_as_json(item) for item in listed]}, indent=2) + "\n")
    elif values.on("quiet"):
        sys.stdout.write("".join(f"{digest}\n" for digest in dict.fromkeys(item.digest.short for item in listed)))
    else:
        sys.stdout.write(_render(listed, values.on("digests")))
    return 0


def _is_meant(item: Listed, text: str) -> bool:
    """A name without a tag means all its tags here, as in `docker images`."""
    wanted = Reference.parse(text)
    known = item.reference
    has_tag = ":" in text.rpartition("/")[2]
    return known is not None and known[:2] == wanted[:2] and (not has_tag or known.tag == wanted.tag)


def _render(listed: list[Listed], with_digests: bool) -> str:
    rows = [["REPOSITORY", "TAG", *(["DIGEST"] if with_digests else []), "IMAGE ID", "CREATED", "SIZE"]]
    for item in listed:
        name, tag = _name(item.reference)
        created = ago(item.image.config.created) if item.image else "broken"
        digest = [str(item.digest)] if with_digests else []
        rows.append([name, tag, *digest, item.digest.short, created, size(item.size_bytes)])
    return table(rows, right=(len(rows[0]) - 1,))


def _name(reference: Reference | None) -> tuple[str, str]:
    return (reference._replace(tag="").familiar, reference.tag) if reference else ("<none>", "<none>")


def _as_json(item: Listed) -> dict[str, object]:
    return {
        "name": item.reference.familiar if item.reference else None,
        "digest": str(item.digest),
        "configDigest": str(item.image.manifest.config.digest) if item.image else None,
        "created": item.image.config.created if item.image else None,
        "platform": str(item.image.platform) if item.image else None,
        "sizeBytes": item.size_bytes,
    }
