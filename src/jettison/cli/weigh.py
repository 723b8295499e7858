"""jettison weigh."""

import json
import sys

from jettison.cli.closure_flags import CLOSURE_FLAGS, choices
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import size, table
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.weigh import Part, Weight, weigh

COMMAND = Command(
    "weigh",
    "[FLAGS] IMAGE|FOLDER",
    "Weigh an image: net, what its program needs, against tare, what only travels along.",
    "jettison load -i debian.tar\njettison weigh debian",
    (
        Flag("entry", "the program to start from, instead of the image's own command", "PROGRAM", repeats=True),
        *CLOSURE_FLAGS,
        Flag("top", "how many lines of each table to show, 10 if not given, 0 for all", "N"),
        Flag("json", "print the result as JSON, whole"),
    ),
)

_WORDS = {"folder": "by_folder", "package": "by_package", "reason": "by_reason"}


def main(values: Values, rest: list[str]) -> int:
    """Print the weights."""
    if len(rest) != 1:
        raise UsageError("`jettison weigh` needs one image or folder", "see `jettison weigh --help`")
    top = values.text("top", "10")
    if not (top.isascii() and top.isdigit()):
        raise UsageError(f"`--top {top}`: expected a number")
    chosen = choices(values) if any(values.has(flag.name) for flag in CLOSURE_FLAGS) else None
    weight = weigh(rest[0], open_store(values.text("store") or None), values.texts("entry"), chosen)
    if values.on("json"):
        sys.stdout.write(json.dumps(_as_json(rest[0], weight), indent=2) + "\n")
        return 0
    sys.stdout.write(_render(rest[0], weight, int(top)))
    return 0


def _render(name: str, weight: Weight, top: int) -> str:
    total = weight.total
    share = f"  ({100 * total.tare_bytes / total.total_bytes:.0f} % tare)" if total.total_bytes else ""
    lines = [
        f"{name}\n",
        f"  net    {size(total.net_bytes):>8}  {total.net_files} files that the program needs\n",
        f"  tare   {size(total.tare_bytes):>8}  {total.tare_files} files that only travel along\n",
        f"  gross  {size(total.total_bytes):>8}{share}\n",
    ]
    if not weight.has_entry:
        lines.append("\nThere is no entry point, so all of it is tare: name a program with --entry.\n")
    lines.append("\nThe heaviest tare:\n\n" + _shares("package", weight.heaviest_tare, 0))
    for word, field in _WORDS.items():
        lines.append("\n" + _shares(word, getattr(weight, field), top))
    return "".join(lines)


def _shares(word: str, parts: tuple[Part, ...], top: int) -> str:
    shown = parts[:top] if top else parts
    rows = [[word.upper(), "NET", "TARE", "FILES"]]
    rows += [[part.name, size(part.net_bytes), size(part.tare_bytes), str(part.net_files + part.tare_files)] for part in shown]
    rest = parts[len(shown) :]
    if rest:
        net, tare = sum(part.net_bytes for part in rest), sum(part.tare_bytes for part in rest)
        files = sum(part.net_files + part.tare_files for part in rest)
        rows.append([f"… {len(rest)} more", size(net), size(tare), str(files)])
    return table(rows, right=(1, 2, 3))


def _as_json(name: str, weight: Weight) -> dict[str, object]:
    value: dict[str, object] = {"version": 1, "name": name, "hasEntry": weight.has_entry, "total": _part(weight.total)}
    value |= {f"by{word.capitalize()}": [_part(part) for part in getattr(weight, field)] for word, field in _WORDS.items()}
    return {**value, "heaviestTare": [_part(part) for part in weight.heaviest_tare]}


def _part(part: Part) -> dict[str, object]:
    return {
        "name": part.name,
        "netBytes": part.net_bytes,
        "tareBytes": part.tare_bytes,
        "netFiles": part.net_files,
        "tareFiles": part.tare_files,
    }
