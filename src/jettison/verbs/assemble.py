"""What pack and slim have in common: seeds in a Root → the closure, its files carved and completed, and the image of them."""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from jettison.closure import document
from jettison.closure.carve import Carved, settle
from jettison.closure.facts import Setting
from jettison.closure.place import Placement
from jettison.closure.resolve import resolve
from jettison.closure.system import Made
from jettison.closure.why import Closure, Missing, Need, Reason
from jettison.errors import NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.image import Image, Layer, of_layers
from jettison.image.layout import CLOSURE
from jettison.image.store import Batch
from jettison.oci.config import ImageConfig, Pairs
from jettison.oci.documents import serialise
from jettison.oci.platform import Platform
from jettison.packages.package import Packages
from jettison.tree.node import MADE_S, made_dir
from jettison.tree.root import Root, Tree, parents
from jettison.tree.root import resolve as follow


class Plan(NamedTuple):
    """What goes where: `seeds` are needs in the Root, `entry` the program's path in the image; `more` sees in the closure of the
    seeds what else is needed."""

    root: Root
    placement: Placement
    seeds: tuple[Need, ...]
    entry: str
    more: Callable[[Closure], Iterable[Need]] | None = None


class Settled(NamedTuple):
    """What was found in the Root, and what was carved out of it."""

    found: Closure
    carved: Carved


def settle_plan(
    plan: Plan, setting: Setting, excludes: Sequence[str] = (), reporter: Reporter = SILENT, refuses: bool = True
) -> Settled:
    """The closure of a plan. Executes nothing. Errors: NotFound for what the program cannot start without, if it `refuses`."""
    found = resolve(plan.root, plan.seeds, setting, more=plan.more)
    if refuses:
        refuse_missing(found, reporter)
    tell_expected(found, reporter)
    return Settled(found, settle(plan.root, found, plan.placement, plan.seeds, setting, excludes))


def walk(root: Root, path: str, detail: str) -> list[Need]:
    """Everything below `path`. Links are kept as they are; devices are left out."""
    needs, todo = [], [path]
    while todo:
        here = todo.pop()
        node = root.lstat(here)
        if node is None or node.kind in ("char", "block"):
            continue
        needs.append(Need(here, Reason("kept", "", detail), follow_last=False))
        if node.kind == "dir":
            todo.extend(f"{here.rstrip('/')}/{name}" for name in reversed(root.listdir(here)))
    return needs


def refuse_missing(found: Closure, reporter: Reporter) -> None:
    """An image without a library that the program needs to start cannot work: NotFound. What an addition of the user's lacks is
    a notice; what a rule brought, or a library suggests, is only recorded."""
    fatal = []
    for item in found.missing:
        kinds = {item.reason.kind, *(link.reason.kind for link in found.why(item.reason.by))}
        if kinds <= {"entry", "interpreter", "needed"}:
            fatal.append(_describe(item))
        elif "kept" in kinds or (item.reason.kind == "dlopen" and item.reason.confidence == "certain"):
            reporter.notice(_describe(item))
    if fatal:
        hint = "install it, or name its folder with --env LD_LIBRARY_PATH=DIR"
        raise NotFound("\n       ".join(fatal), hint)


def tell_expected(found: Closure, reporter: Reporter) -> None:
    """What the host has to bring when the image runs is a notice: no image does."""
    names = sorted({item.name for item in found.expected})
    if names:
        hint = "where it is needed, start the image with the driver, as `docker run --gpus all` does"
        reporter.notice(f"left to the host, with its driver: {', '.join(names)}", hint)


def with_made(carved: Carved, items: Collection[Made], entry: str, mtime: int) -> tuple[Tree, Closure]:
    """Add what every program expects, each thing with its reason, where the closure has not brought its own."""
    nodes, reasons = dict(carved.nodes), dict(carved.closure.reasons)
    entry = follow(Tree(nodes), entry).path
    for item in items:
        path = follow(Tree(nodes), item.path).path
        if path not in nodes:
            nodes[path] = item.node._replace(mtime=mtime)
            reasons[path] = (Reason("rule", entry, item.detail),)
    for path in list(nodes):
        for folder in parents(path)[1:]:
            nodes.setdefault(folder, made_dir()._replace(mtime=mtime))
    return Tree(nodes), Closure(reasons, carved.closure.missing, expected=carved.closure.expected)


def write_image(
    config: ImageConfig, layers: tuple[Layer, ...], evidence: document.Document, labels: Pairs, batch: Batch
) -> Image:
    """Put an image of these layers into the batch, with the closure that travels with it."""
    raw_config = serialise(config._replace(diff_ids=tuple(layer.diff_id for layer in layers)).as_json())
    return put_image(raw_config, layers, evidence, labels, batch)


def put_image(raw_config: bytes, layers: tuple[Layer, ...], evidence: document.Document, labels: Pairs, batch: Batch) -> Image:
    """As `write_image`, of a configuration that names the layers already."""
    digest = batch.put(document.write(evidence))
    image = of_layers(raw_config, layers, ((CLOSURE, str(digest)), *labels))
    batch.put(image.raw_config)
    batch.put(image.raw_manifest)
    return image


def source_date_epoch() -> int:
    """Seconds since 1970: $SOURCE_DATE_EPOCH, or the first day of 1980. Errors: UsageError."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "") or str(MADE_S)
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise UsageError(f"SOURCE_DATE_EPOCH is `{text}`, expected seconds since 1970")
    return int(text)


def platform_of(root: Root, found: Closure, setting: Setting) -> Platform:
    """The platform that the closure's first ELF file is for: the program's, or its interpreter's."""
    for path in found.reasons:
        facts_of = setting.facts.elf(root, path)
        if facts_of is not None:
            return Platform.of_elf(facts_of.machine, facts_of.byte_order)
    return Platform.host()


def owners_of(plan: Plan, found: Closure, packages: Packages) -> dict[str, document.Owner]:
    """Who owned each system file, by its path in the image, so that the image can be asked for it later."""
    shipped = [path for path in found.reasons if plan.placement.image_path(path) == path]
    known = packages.owners(shipped)
    return {path: document.Owner(*known[path]) for path in shipped if path in known}


def _describe(item: Missing) -> str:
    looked = f"; looked in {', '.join(item.looked_in)}" if item.looked_in else ""
    by = f"`{item.reason.by}` needs " if item.reason.by else ""
    text = f"{by}`{item.name}`, which is not there ({item.reason.detail}){looked}"
    return text.replace("\n", "\\n")  # a name of a stranger's file must not look like a line of ours
