"""pack: an application → the smallest image of it that works."""

import os
import re
import time
from typing import NamedTuple

from jettison.closure import document
from jettison.closure.carve import Carved, settle
from jettison.closure.choices import Choices
from jettison.closure.facts import DEFAULT_PATH, Facts, Setting
from jettison.closure.place import Placement, is_system, within
from jettison.closure.resolve import find_program, resolve
from jettison.closure.system import made
from jettison.closure.why import Closure, Missing, Need, Reason
from jettison.errors import InvalidData, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.image import Image, assemble
from jettison.image.layers import Compression, cached_layer
from jettison.image.layout import CLOSURE
from jettison.image.split import split
from jettison.image.store import LocalStore
from jettison.oci.config import History, ImageConfig, Pairs
from jettison.oci.platform import Platform
from jettison.oci.reference import Reference
from jettison.packages.package import Packages, owners
from jettison.tree.node import MADE_S, made_dir
from jettison.tree.root import DirectoryRoot, Root, Tree, normalise, parents
from jettison.tree.root import resolve as follow


class Recipe(NamedTuple):
    """What to pack. `program` is a path or a name on the search path; `arguments` become the image's Cmd.

    `includes` are `PATH` or `PATH:PATH-IN-IMAGE`; `excludes` are paths in the image, or patterns of them; `root` is the folder
    that files come from; `bare` leaves out what no file of the closure asks for.
    """

    program: str
    arguments: tuple[str, ...] = ()
    root: str = "/"
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    env: Pairs = ()
    user: str = ""
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    labels: Pairs = ()
    compression: Compression = "gzip"
    bare: bool = False
    choices: Choices = Choices()


class Packed(NamedTuple):
    """A packed image, its name, its files, and why each is there."""

    reference: Reference
    image: Image
    tree: Tree
    closure: Closure


class _Plan(NamedTuple):
    """What goes where: `seeds` are needs in the Root, `entry` the program's path in the image."""

    root: Root
    placement: Placement
    seeds: tuple[Need, ...]
    entry: str


def pack(recipe: Recipe, store: LocalStore, reference: Reference | None = None, reporter: Reporter = SILENT) -> Packed:
    """Pack a program and what it needs into an image, keep it in `store` and give it a name.

    Nothing is executed. Errors: NotFound for a program or a library that is not there, with where it was looked for.
    """
    plan = _plan(recipe)
    setting = Setting(Packages(plan.root), Facts(), recipe.env, recipe.choices)
    _refuse_other_formats(recipe, plan, setting.facts)
    found = resolve(plan.root, plan.seeds, setting)
    _refuse_missing(found, reporter)
    carved = settle(plan.root, found, plan.placement, plan.seeds, setting, recipe.excludes)
    tree, closure = _with_made(recipe, plan, carved)
    name = reference or Reference.parse(_default_name(recipe.program))
    with store.writing():
        with store.batch() as batch:
            layers = tuple(cached_layer(nodes, store, batch, recipe.compression, reporter) for nodes in split(tree.nodes))
            evidence = batch.put(document.write(document.Document(closure, _owners(plan, found))))
            config = _config(recipe, plan, found, _platform(plan, found, setting.facts), len(layers))
            image = assemble(config, layers, ((CLOSURE, str(evidence)), *recipe.labels))
            batch.put(image.raw_config)
            batch.put(image.raw_manifest)
        store.tag(name, image.digest)
    return Packed(name, image, tree, closure)


def _plan(recipe: Recipe) -> _Plan:
    """Find the program and what goes with it, and decide where they lie in the image."""
    root = DirectoryRoot(recipe.root)
    is_machine = root.base == ""
    program = _find(root, recipe, is_machine)
    real = follow(root, program).path
    is_private = is_machine and not is_system(program)
    name = "/" + program.rpartition("/")[2]
    includes = [_include(root, text, real if is_private else "", is_machine) for text in recipe.includes]
    moved = [(real, name)] if is_private else []
    moved += [(source, target) for source, target in includes if target]
    moved.sort(key=lambda pair: -len(pair[0]))  # a file that is placed by itself counts before the folder it lies in
    placement = Placement((real.rpartition("/")[0] or "/") if is_private else "", tuple(moved))
    seeds = [Need(real if is_private else program, Reason("entry", "", "the program that was packed"))]
    for source, _ in includes:
        seeds += _walk(root, source, f"--include {placement.image_path(source)}")
    return _Plan(root, placement, tuple(seeds), name if is_private else program)


def _find(root: DirectoryRoot, recipe: Recipe, is_machine: bool) -> str:
    """The program's absolute path in the Root, links not followed. Errors: NotFound, UsageError, InvalidData."""
    text = recipe.program
    if is_machine and "/" in text:
        path = os.path.abspath(text)
    elif is_machine:
        path = find_program(root, text, tuple(os.environ.get("PATH", "").split(":")) or DEFAULT_PATH)
    else:
        path = find_program(root, normalise(text) if "/" in text else text, DEFAULT_PATH)
    found = follow(root, path).node if path else None
    if found is None:
        hint = "give its path" if "/" not in text else "give a path that exists"
        raise NotFound(f"no program `{text}`" + (" on PATH" if "/" not in text else ""), hint)
    if found.kind == "dir":
        raise UsageError(f"`{text}` is a folder, expected a program", "name the program in it, and add files with --include")
    if found.kind != "file":
        raise UsageError(f"`{text}` is a {found.kind}, expected a program")
    if not found.mode & 0o111:
        raise InvalidData(f"`{text}` is not executable", f"chmod +x {text}")
    return path


def _include(root: DirectoryRoot, text: str, program: str, is_machine: bool) -> tuple[str, str]:
    """(path in the Root, path in the image, or empty where the placement's rule says it)."""
    source, colon, target = text.partition(":")
    path = os.path.abspath(source) if is_machine else normalise(source)
    path = follow(root, path, follow_last=False).path
    if root.lstat(path) is None:
        raise NotFound(f"nothing at `{source}` to include")
    if colon and not target.startswith("/"):
        raise UsageError(f"`--include {text}` puts it at `{target}`, expected an absolute path")
    if colon:
        return path, normalise(target)
    beside = program and within(path, (program.rpartition("/")[0] or "/",))
    return path, "" if not is_machine or is_system(path) or beside else f"/{path.rpartition('/')[2]}"


def _walk(root: Root, path: str, detail: str) -> list[Need]:
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


def _refuse_other_formats(recipe: Recipe, plan: _Plan, facts: Facts) -> None:
    """execve(2) takes ELF files and scripts; a shell would guess further, a container's runtime does not."""
    path, node, *_ = follow(plan.root, plan.seeds[0].path)
    head = facts.head(plan.root, path, node) if node else b""
    if not head.startswith((b"\x7fELF", b"#!")):
        raise InvalidData(f"`{recipe.program}` is neither an ELF program nor a script with a `#!` line")


def _refuse_missing(found: Closure, reporter: Reporter) -> None:
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


def _describe(item: Missing) -> str:
    looked = f"; looked in {', '.join(item.looked_in)}" if item.looked_in else ""
    by = f"`{item.reason.by}` needs " if item.reason.by else ""
    text = f"{by}`{item.name}`, which is not there ({item.reason.detail}){looked}"
    return text.replace("\n", "\\n")  # a name of a stranger's file must not look like a line of ours


def _with_made(recipe: Recipe, plan: _Plan, carved: Carved) -> tuple[Tree, Closure]:
    """Add what every program expects, each thing with its reason, where the closure has not brought its own."""
    nodes, reasons = dict(carved.nodes), dict(carved.closure.reasons)
    entry = follow(Tree(nodes), plan.entry).path
    for item in () if recipe.bare else made():
        path = follow(Tree(nodes), item.path).path
        if path not in nodes:
            nodes[path] = item.node
            reasons[path] = (Reason("rule", entry, item.detail),)
    for path in list(nodes):
        for folder in parents(path)[1:]:
            nodes.setdefault(folder, made_dir())
    mtime = source_date_epoch()
    stamped = {path: node._replace(mtime=mtime) for path, node in nodes.items()}
    return Tree(stamped), Closure(reasons, carved.closure.missing, expected=carved.closure.expected)


def source_date_epoch() -> int:
    """Seconds since 1970: $SOURCE_DATE_EPOCH, or the first day of 1980. Errors: UsageError."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "") or str(MADE_S)
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise UsageError(f"SOURCE_DATE_EPOCH is `{text}`, expected seconds since 1970")
    return int(text)


def _config(recipe: Recipe, plan: _Plan, found: Closure, platform: Platform, layers: int) -> ImageConfig:
    wanted = {"PATH": ":".join(DEFAULT_PATH)} | {item.name: item.value for item in found.variables} | dict(recipe.env)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(source_date_epoch()))
    return ImageConfig(
        platform,
        tuple(wanted.items()),
        (plan.entry,),
        recipe.arguments,
        recipe.user,
        recipe.working_dir,
        recipe.exposed_ports,
        labels=recipe.labels,
        created=created,
        history=(History(f"jettison pack {plan.entry}", created),) * layers,
    )


def _platform(plan: _Plan, found: Closure, facts: Facts) -> Platform:
    """The platform that the closure's first ELF file is for: the program's, or its interpreter's."""
    for path in found.reasons:
        facts_of = facts.elf(plan.root, path)
        if facts_of is not None:
            return Platform.of_elf(facts_of.machine, facts_of.byte_order)
    return Platform.host()


def _owners(plan: _Plan, found: Closure) -> dict[str, document.Owner]:
    """Who owned each system file, by its path in the image, so that the image can be asked for it later."""
    shipped = [path for path in found.reasons if plan.placement.image_path(path) == path]
    if not shipped:
        return {}
    known = owners(plan.root, shipped)
    return {path: document.Owner(*known[path]) for path in shipped if path in known}


def _default_name(program: str) -> str:
    """A name for the image from the program's."""
    base = program.rstrip("/").rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9]+", "-", base).strip("-") or "app"
