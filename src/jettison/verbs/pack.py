"""pack: an application → the smallest image of it that works."""

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from jettison.closure import document
from jettison.closure.carve import Carved
from jettison.closure.choices import Choices
from jettison.closure.facts import DEFAULT_PATH, Facts, Setting
from jettison.closure.place import Placement, is_system, within
from jettison.closure.resolve import find_program
from jettison.closure.system import made
from jettison.closure.why import Closure, Need, Reason
from jettison.errors import InvalidData, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.image import Image
from jettison.image.layers import Compression, cached_layer
from jettison.image.notes import StoredNotes
from jettison.image.split import split
from jettison.image.store import LocalStore
from jettison.oci.config import History, ImageConfig, Pairs
from jettison.oci.platform import Platform
from jettison.oci.reference import Reference
from jettison.packages.package import Packages
from jettison.tree.root import DirectoryRoot, Tree, normalise
from jettison.tree.root import resolve as follow
from jettison.verbs.assemble import Plan, owners_of, platform_of, settle_plan, source_date_epoch, walk, with_made, write_image

if TYPE_CHECKING:
    from jettison.tree.observation import Observation


class Recipe(NamedTuple):
    """What to pack. `program` is a path or a name on the search path; `arguments` become the image's Cmd.

    `includes` are `PATH` or `PATH:PATH-IN-IMAGE`; `excludes` are paths in the image, or patterns of them; `root` is the folder
    that files come from; `bare` leaves out what no file of the closure asks for; `observations` are of running the program.
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
    observations: "tuple[Observation, ...]" = ()


class Packed(NamedTuple):
    """A packed image, its name, its files, and why each is there; the folders that its program wrote to while it was observed;
    and where what lies."""

    reference: Reference
    image: Image
    tree: Tree
    closure: Closure
    writes: tuple[str, ...] = ()
    placement: Placement = Placement()


def pack(recipe: Recipe, store: LocalStore, reference: Reference | None = None, reporter: Reporter = SILENT) -> Packed:
    """Pack a program and what it needs into an image, keep it in `store` and give it a name.

    Nothing is executed. Errors: NotFound for a program or a library that is not there, with where it was looked for.
    """
    with store.writing():
        packed = make(recipe, store, reference, reporter)
        store.tag(packed.reference, packed.image.digest)
    return packed


def make(recipe: Recipe, store: LocalStore, reference: Reference | None = None, reporter: Reporter = SILENT) -> Packed:
    """As `pack`, without giving the image its name yet: outside of `store.writing`, `prune` may take it."""
    plan = _plan(recipe)
    observed, writes = _observed(plan, recipe, reporter) if recipe.observations else ((), ())
    plan = plan._replace(seeds=(*plan.seeds, *observed))
    notes = StoredNotes(store, f"{recipe.root} {plan.seeds[0].path}")
    setting = Setting(Packages(plan.root, notes), Facts(notes), recipe.env, recipe.choices)
    _refuse_other_formats(recipe, plan, setting.facts)
    found, carved = settle_plan(plan, setting, recipe.excludes, reporter)
    tree, closure = _completed(recipe, plan, carved)
    name = reference or Reference.parse(_default_name(recipe.program))
    with store.batch() as batch:
        layers = tuple(cached_layer(nodes, store, batch, recipe.compression, reporter) for nodes in split(tree.nodes))
        config = _config(recipe, plan, found, platform_of(plan.root, found, setting), len(layers))
        evidence = document.Document(closure, owners_of(plan, found, setting.packages))
        image = write_image(config, layers, evidence, recipe.labels, batch)
    notes.keep()
    return Packed(name, image, tree, closure, writes, plan.placement)


def find_on_machine(program: str) -> str:
    """The absolute path of a program of this machine, links not followed. Errors: as of `pack`."""
    return _find(DirectoryRoot("/"), Recipe(program), is_machine=True)


def _plan(recipe: Recipe) -> Plan:
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
        seeds += walk(root, source, f"--include {placement.image_path(source)}")
    return Plan(root, placement, tuple(seeds), name if is_private else program)


def _observed(plan: Plan, recipe: Recipe, reporter: Reporter) -> tuple[tuple[Need, ...], tuple[str, ...]]:
    """What was seen of the running program, and the folders that it wrote to. What was left out is told."""
    from jettison.closure.observed import observed, union
    from jettison.verbs.observe import tell

    entry = follow(plan.root, plan.seeds[0].path).path
    home = os.environ.get("HOME", "")
    seen = union(observed(plan.root, seen, entry, plan.placement.folder, home) for seen in recipe.observations)
    tell(seen, reporter)
    return seen.needs, seen.writes


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


def _refuse_other_formats(recipe: Recipe, plan: Plan, facts: Facts) -> None:
    """execve(2) takes ELF files and scripts; a shell would guess further, a container's runtime does not."""
    path, node, *_ = follow(plan.root, plan.seeds[0].path)
    head = facts.head(plan.root, path, node) if node else b""
    if not head.startswith((b"\x7fELF", b"#!")):
        raise InvalidData(f"`{recipe.program}` is neither an ELF program nor a script with a `#!` line")


def _completed(recipe: Recipe, plan: Plan, carved: Carved) -> tuple[Tree, Closure]:
    """The files with what every program expects; all have one date."""
    mtime = source_date_epoch()
    tree, closure = with_made(carved, () if recipe.bare else made(), plan.entry, mtime)
    return Tree({path: node._replace(mtime=mtime) for path, node in tree.nodes.items()}), closure


def _config(recipe: Recipe, plan: Plan, found: Closure, platform: Platform, layers: int) -> ImageConfig:
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


def _default_name(program: str) -> str:
    """A name for the image from the program's."""
    base = program.rstrip("/").rpartition("/")[2].lower()
    return re.sub(r"[^a-z0-9]+", "-", base).strip("-") or "app"
