"""jettison slim."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from jettison.cli.closure_flags import CLOSURE_FLAGS, choices, compression
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.observe_flags import OBSERVE_FLAGS, verification
from jettison.cli.slim_report import as_json, removed_packages, report, weight_bytes
from jettison.cli.terminal import Terminal, reporter, size
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.oci.reference import Reference
from jettison.verbs.slim import Slimmed, Thinning, slim

COMMAND = Command(
    "slim",
    "IMAGE -t NAME[:TAG] [FLAGS]",
    "Make a thin image of a fat one: what its command needs, with its users, its folders and its settings.",
    "docker save nginx:1 -o nginx.tar\njettison slim ./nginx.tar -t nginx:thin",
    (
        Flag("tag", "the thin image's name", "NAME[:TAG]", short="t"),
        Flag("entry", "keep this program too, besides the image's own command", "PROGRAM", repeats=True),
        Flag("include", "keep a path of the image, with all below it", "PATH", repeats=True),
        Flag("exclude", "leave out a path of the image, or those that match a pattern", "PATH", repeats=True),
        Flag("allow-setuid", "let this file keep its set-user-id bits; others lose them", "PATH", repeats=True),
        *CLOSURE_FLAGS,
        *OBSERVE_FLAGS,
        Flag("compression", "gzip (default), zstd or none", "KIND"),
        Flag("report", "write what was kept and what was removed, and why, as JSON", "FILE"),
        Flag("json", "print the result as JSON"),
    ),
)

_SHOWN = 3
_SYSTEM = "/usr"  # an image's program keeps its path, as those of the system do


def main(values: Values, rest: list[str]) -> int:
    """Slim and print the reference."""
    if len(rest) != 1:
        raise UsageError("`jettison slim` needs one image: a name, an archive or a folder", "see `jettison slim --help`")
    if not values.has("tag"):
        raise UsageError("`jettison slim` needs a name for the thin image", f"`jettison slim {rest[0]} -t NAME`")
    reference = Reference.parse(values.text("tag"))
    terminal = reporter(values)
    with _report_file(values.text("report")) as report_file:
        slimmed = _slimmed(values, rest[0], reference, terminal)
        if report_file is not None:
            _write_report(report_file, slimmed)
    terminal.step("slimmed", reference.familiar, _summary(slimmed))
    terminal.step("removed", _biggest(slimmed))
    for path in slimmed.thin.setuid_dropped:
        terminal.notice(f"`{path}` lost its set-user-id bits", f"`--allow-setuid {path}` lets it keep them")
    if values.on("json"):
        sys.stdout.write(json.dumps(as_json(slimmed), indent=2) + "\n")
    else:
        sys.stdout.write(reference.familiar + "\n")
    return 0


@contextmanager
def _report_file(path: str) -> Iterator[TextIO | None]:
    """The file of a report, which is opened before the work is done for it; None where none is asked for."""
    if not path:
        yield None
        return
    is_new = not os.path.lexists(path)
    with open(path, "a", encoding="utf-8") as file:
        try:
            yield file
        except BaseException:
            if is_new:
                os.unlink(path)
            raise


def _write_report(file: TextIO, slimmed: Slimmed) -> None:
    if file.seekable():
        file.truncate(0)
    file.write(json.dumps(report(slimmed), indent=1) + "\n")


def _slimmed(values: Values, target: str, reference: Reference, terminal: Terminal) -> Slimmed:
    """Slim by reading; by running, too, where that is asked for."""
    store, thinning = open_store(values.text("store") or None), _thinning(values)
    commands, is_fixed = verification(values)
    if not (commands or values.has("observe") or values.has("observation") or values.has("save-observation")):
        return slim(target, reference, thinning, store, terminal)
    from jettison.verbs import observe, slim_run

    with store.writing():
        digest = slim_run.in_store(target, store, terminal)
        seen = [observe.load(file, _SYSTEM) for file in values.texts("observation")]
        if values.has("observe"):
            seen.append(slim_run.observe_fat(digest, thinning, values.texts("observe"), store, terminal))
        if values.has("save-observation"):
            observe.save(seen, values.text("save-observation"), _SYSTEM)
        thinning = thinning._replace(observations=tuple(seen))
        return slim_run.slim_verified(digest, reference, thinning, store, commands, is_fixed, terminal)


def _thinning(values: Values) -> Thinning:
    for name in ("entry", "include", "exclude", "allow-setuid"):
        if "" in values.texts(name):
            raise UsageError(f"`--{name}` needs a path in the image, and got an empty text")
    return Thinning(
        tuple(values.texts("entry")),
        tuple(values.texts("include")),
        tuple(values.texts("exclude")),
        tuple(values.texts("allow-setuid")),
        choices=choices(values),
        compression=compression(values),
    )


def _summary(slimmed: Slimmed) -> str:
    thin = slimmed.thin
    files = sum(node.kind != "dir" for node in thin.tree.nodes.values())
    return f"{files} files  {size(weight_bytes(thin.tree))}  (from {size(weight_bytes(thin.fat))})"


def _biggest(slimmed: Slimmed) -> str:
    """What is gone, in short."""
    shares = removed_packages(slimmed)
    shown = [f"{share.name or 'files of no package'} {size(share.size_bytes)}" for share in shares[:_SHOWN]]
    return ", ".join(shown) + (f", and of {len(shares) - _SHOWN} packages more" if len(shares) > _SHOWN else "")
