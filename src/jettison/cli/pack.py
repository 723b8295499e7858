"""jettison pack."""

import json
import sys

from jettison.cli.closure_flags import CLOSURE_FLAGS, choices, compression
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.observe_flags import OBSERVE_FLAGS, verification
from jettison.cli.terminal import Terminal, reporter, size
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.oci.config import Pairs
from jettison.oci.reference import Reference
from jettison.verbs.pack import Packed, Recipe, pack

COMMAND = Command(
    "pack",
    "APP [FLAGS] [--] [ARG...]",
    "Pack a program, a path or a name on PATH, with what it needs into an image. ARG... become the image's Cmd.",
    "jettison pack ./server -t server:1 --expose 8080\njettison run server:1",
    (
        Flag("tag", "the image's name; APP's own name if not given", "NAME[:TAG]", short="t"),
        Flag("root", "take files from this folder instead of the machine; APP is a path in it", "DIR"),
        Flag("include", "add a file or a folder, at PATH in the image if given", "FILE[:PATH]", repeats=True),
        Flag("exclude", "leave out a path of the image, or those that match a pattern", "PATH", repeats=True),
        Flag("env", "set a variable in the image; secrets are given to `jettison run`", "NAME=VALUE", short="e", repeats=True),
        Flag("user", "the user the program runs as, by name or number", "USER[:GROUP]", short="u"),
        Flag("workdir", "the folder the program starts in", "DIR", short="w"),
        Flag("expose", "a port the program listens on, 8080 or 53/udp", "PORT", repeats=True),
        Flag("label", "a label, kept as an annotation too", "NAME=VALUE", short="l", repeats=True),
        *CLOSURE_FLAGS,
        *OBSERVE_FLAGS,
        Flag("compression", "gzip (default), zstd or none", "KIND"),
        Flag("bare", "the closure alone: no passwd, no /tmp, no places to mount"),
        Flag("explain", "print every file with its reason"),
        Flag("json", "print the result as JSON"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Pack and print the reference."""
    if not rest:
        raise UsageError("`jettison pack` needs a program", "see `jettison pack --help`")
    reference = Reference.parse(values.text("tag")) if values.has("tag") else None
    if reference is not None and reference.digest is not None:
        raise UsageError(f"`{reference.familiar}` has a digest, expected NAME[:TAG]")
    terminal = reporter(values)
    packed = _packed(values, _observed(values, _recipe(values, rest), terminal), reference, terminal)
    terminal.step("packed", packed.reference.familiar, _summary(packed))
    if values.on("json"):
        sys.stdout.write(json.dumps(_as_json(packed, values.on("explain")), indent=2) + "\n")
        return 0
    if values.on("explain") and not values.on("quiet"):
        sys.stdout.write(_explanation(packed))
    sys.stdout.write(packed.reference.familiar + "\n")
    return 0


def _observed(values: Values, recipe: Recipe, terminal: Terminal) -> Recipe:
    """The recipe with what is known of the running program."""
    commands, files = values.texts("observe"), values.texts("observation")
    if not (commands or files or values.has("save-observation")):
        return recipe
    from jettison.verbs import observe
    from jettison.verbs.pack import find_on_machine

    seen = [observe.load(file, find_on_machine(recipe.program)) for file in files]
    if commands:
        _refuse_root(recipe, "observe")
        seen.append(observe.observe_program(recipe.program, commands, recipe.env, terminal))
    if values.has("save-observation"):
        observe.save(seen, values.text("save-observation"), find_on_machine(recipe.program))
    return recipe._replace(observations=tuple(seen))


def _packed(values: Values, recipe: Recipe, reference: Reference | None, terminal: Terminal) -> Packed:
    store = open_store(values.text("store") or None)
    commands, is_fixed = verification(values)
    if not commands:
        return pack(recipe, store, reference, terminal)
    _refuse_root(recipe, "verify")
    from jettison.verbs.verify import pack_verified

    return pack_verified(recipe, store, reference, commands, is_fixed, terminal)


def _refuse_root(recipe: Recipe, flag: str) -> None:
    if recipe.root != "/":
        raise UsageError(f"`--{flag}` runs the machine's program, not one of `--root {recipe.root}`", "give one of the two")


def _recipe(values: Values, rest: list[str]) -> Recipe:
    return Recipe(
        rest[0],
        tuple(rest[1:]),
        values.text("root", "/"),
        tuple(values.texts("include")),
        tuple(values.texts("exclude")),
        _pairs(values, "env"),
        values.text("user"),
        values.text("workdir"),
        tuple(map(_port, values.texts("expose"))),
        _pairs(values, "label"),
        compression(values),
        values.on("bare"),
        choices(values),
    )


def _pairs(values: Values, flag: str) -> Pairs:
    pairs: dict[str, str] = {}
    for text in values.texts(flag):
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"`--{flag} {text}`: expected NAME=VALUE")
        pairs[name] = value
    return tuple(pairs.items())


def _port(text: str) -> str:
    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    is_number = number.isascii() and number.isdigit() and 0 < int(number) < 65536
    if not is_number or protocol not in ("tcp", "udp", "sctp"):
        raise UsageError(f"`--expose {text}`: expected a port like 8080 or 53/udp")
    return f"{int(number)}/{protocol}"


def _summary(packed: Packed) -> str:
    files = [node for node in packed.tree.nodes.values() if node.kind != "dir"]
    shipped = sum(layer.descriptor.size for layer in packed.image.layers)
    return f"{len(files)} files  {size(sum(node.size for node in files))}  ({size(shipped)} to ship)"


def _explanation(packed: Packed) -> str:
    lines = []
    for path, reasons in sorted(packed.closure.reasons.items()):
        reason = reasons[0]
        lines.append(f"{path}\n    {reason.kind}{f' by {reason.by}' if reason.by else ''}: {reason.detail}")
    return "\n".join(lines) + "\n"


def _as_json(packed: Packed, explain: bool) -> dict[str, object]:
    image = packed.image
    layers = [(layer.descriptor, layer.diff_id) for layer in image.layers]
    missing = packed.closure.missing
    value: dict[str, object] = {
        "version": 1,
        "reference": packed.reference.familiar,
        "digest": str(image.digest),
        "id": str(image.manifest.config.digest),
        "platform": str(image.platform),
        "layers": [{"digest": str(blob.digest), "diffId": str(diff_id), "size": blob.size} for blob, diff_id in layers],
        "files": sum(node.kind != "dir" for node in packed.tree.nodes.values()),
        "size": sum(node.size for node in packed.tree.nodes.values()),
        "missing": [{"name": item.name, "by": item.reason.by, "lookedIn": list(item.looked_in)} for item in missing],
        "expected": [{"name": item.name, "by": item.reason.by} for item in packed.closure.expected],
    }
    if packed.writes:
        value["writes"] = list(packed.writes)
    if explain:
        value["reasons"] = {path: [x._asdict() for x in found] for path, found in sorted(packed.closure.reasons.items())}
    return value
