"""jettison why."""

import json
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.why import WhyNot, why, why_not

COMMAND = Command(
    "why",
    "[FLAGS] IMAGE|FOLDER PATH",
    "Tell why a path is in an image: the chain of reasons back to its entry point.",
    "jettison why app /usr/lib/x86_64-linux-gnu/libz.so.1\njettison why --not app /usr/bin/perl",
    (
        Flag("not", "tell why a path is not needed, and what would have pulled it in"),
        Flag("entry", "the program to start from, instead of the image's own command", "PROGRAM", repeats=True),
        Flag("json", "print the result as JSON"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Print the chain."""
    if len(rest) != 2:
        raise UsageError("`jettison why` needs an image and a path", "see `jettison why --help`")
    store = open_store(values.text("store") or None)
    if values.on("not"):
        answer = why_not(rest[0], rest[1], store, values.texts("entry"))
        as_json = {"version": 1, **answer._asdict(), "reason": answer.reason._asdict() if answer.reason else None}
        sys.stdout.write(json.dumps(as_json, indent=2) + "\n" if values.on("json") else _why_not(answer))
        return 0
    chain = why(rest[0], rest[1], store, values.texts("entry"))
    if values.on("json"):
        links = [{"path": link.path, **link.reason._asdict()} for link in chain]
        sys.stdout.write(json.dumps({"version": 1, "chain": links}, indent=2) + "\n")
        return 0
    for link in chain:
        by = f" by {link.reason.by}" if link.reason.by else ""
        sys.stdout.write(f"{link.path}\n  {link.reason.kind}{by}: {link.reason.detail}\n")
    return 0


def _why_not(answer: WhyNot) -> str:
    gone = "was removed: nothing needed it" if answer.was_removed else "is not there"
    lines = [f"{answer.path} {'is there, and nothing needs it' if answer.is_there else gone}"]
    if answer.package:
        lines.append(f"  it belongs to the package {answer.package}")
    if answer.reason:
        detail = f"{answer.reason.kind} by {answer.reason.by}: {answer.reason.detail}"
        lines.append(f"  at --level {answer.level} it would be in: {detail}")
    lines += [f"  {path} would need it" for path in answer.would_need]
    if not answer.would_need and not answer.reason:
        verb = "slim" if answer.was_removed else "pack"
        lines.append(f"  no program or library names it; `jettison {verb} --include` adds it all the same")
    return "\n".join(lines) + "\n"
