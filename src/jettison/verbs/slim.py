"""slim: somebody's fat image → the closure of what it starts, as an image that behaves the same."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from jettison.closure import document
from jettison.closure.behaviour import Command, additions, base_links, starts, state
from jettison.closure.carve import excluded
from jettison.closure.choices import Choices
from jettison.closure.document import Owner
from jettison.closure.facts import DEFAULT_PATH, Facts, Setting
from jettison.closure.place import Placement
from jettison.closure.removed import Removed
from jettison.closure.system import made
from jettison.closure.why import Closure, Need, Reason
from jettison.errors import InvalidData, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.image import Image, Layer
from jettison.image.layers import Compression, write_layer
from jettison.image.layout import closure_digest
from jettison.image.opened import open_image
from jettison.image.record import image_account
from jettison.image.split import split
from jettison.image.store import LocalStore
from jettison.oci.config import Pairs
from jettison.oci.documents import parse, serialise
from jettison.oci.reference import Reference
from jettison.packages import keep
from jettison.packages.package import Package, Packages
from jettison.tree.node import Node
from jettison.tree.observation import Observation
from jettison.tree.root import Tree, normalise
from jettison.tree.root import resolve as follow
from jettison.verbs.assemble import Plan, Settled, put_image, settle_plan, source_date_epoch, walk, with_made

_SETUID = 0o6000
_FORGOTTEN = ("container", "container_config", "docker_version", "id", "parent", "throwaway", "Size")
_ARGUMENT_LIMIT = 10_000
_DATABASE = "the package database, of the packages whose files are here: scanners read it"


class Thinning(NamedTuple):
    """How to slim. `programs` are started besides the image's own command; `includes` and `excludes` are paths in the image, the
    latter or patterns of them; `setuid` are files that keep their set-user-id bits; `observations` are of running the image."""

    programs: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    setuid: tuple[str, ...] = ()
    observations: tuple[Observation, ...] = ()
    choices: Choices = Choices()
    compression: Compression = "gzip"


class Thin(NamedTuple):
    """A tree and its closure: what is left of the `fat` tree, who owned what in it, the variables that its programs should have,
    and the files that had set-user-id bits."""

    fat: Tree
    tree: Tree
    closure: Closure
    packages: dict[str, Package]
    variables: Pairs
    removed: dict[str, Removed]
    setuid_dropped: tuple[str, ...]


class Slimmed(NamedTuple):
    """A slim image and its name; the image that it was made of; what is left and what is gone."""

    reference: Reference
    image: Image
    fat: Image
    thin: Thin


def slim(target: str, reference: Reference, thinning: Thinning, store: LocalStore, reporter: Reporter = SILENT) -> Slimmed:
    """Make a thin image of a fat one, of the store or in an archive or folder, keep it in `store` and give it a name.

    Nothing is executed, and nothing of the fat image comes into the store. Errors: NotFound, UsageError, InvalidData,
    HostileData.
    """
    with store.writing():
        slimmed = make(target, reference, thinning, store, reporter)
        store.tag(reference, slimmed.image.digest)
    return slimmed


def make(target: str, reference: Reference, thinning: Thinning, store: LocalStore, reporter: Reporter = SILENT) -> Slimmed:
    """As `slim`, but the image gets no name yet, so that a clean-up would remove it."""
    with store.writing():
        with open_image(target, store, reporter) as (image, fat):
            thin = thin_out(fat, command_of(fat, image), image.config.env, thinning, reporter)
        with store.batch() as batch:
            layers = tuple(write_layer(nodes.items(), batch, thinning.compression, reporter) for nodes in split(thin.tree.nodes))
            owned = {path: Owner(*thin.packages[path]) for path in thin.tree.nodes if path in thin.packages}
            evidence = document.Document(thin.closure, owned, _removed_before(store, image, fat) | thin.removed)
            made_image = put_image(_config(image, thin, layers), layers, evidence, _annotations(image), batch)
    return Slimmed(reference, made_image, image, thin)


def thin_out(
    fat: Tree, command: Command, env: Pairs, thinning: Thinning, reporter: Reporter = SILENT, refuses: bool = True
) -> Thin:
    """What is left of a tree that `command` starts in the environment `env`.

    Errors: UsageError where that starts nothing of it, InvalidData; if it `refuses`, NotFound for what a program lacks to start.
    """
    plan, setting = plan_of(fat, command, env, thinning, reporter)
    if not plan.seeds:
        raise UsageError("the image has no command that starts a program of it", "name one with `--entry PROGRAM`")
    settled = settle_plan(plan, setting, thinning.excludes, reporter, refuses)
    owned = setting.packages.owners()
    tree, closure = _completed(fat, plan, settled, thinning)
    if keep.has_rpm(fat):
        reporter.notice("the image's packages are in an rpm database, which is left out: scanners will not see them")
    removed = _removed(fat, tree, settled.found, owned)
    dropped = tuple(sorted(path for path, node in tree.nodes.items() if _is_setuid(fat.lstat(path)) and not _is_setuid(node)))
    variables = tuple((item.name, item.value) for item in settled.found.variables)
    return Thin(fat, tree, closure, owned, variables, removed, dropped)


def command_of(fat: Tree, image: Image) -> Command:
    """What the image starts, by its configuration. Errors: InvalidData for one that nobody could start."""
    config = image.config
    argv = (*config.entrypoint, *config.cmd)
    if len(argv) > _ARGUMENT_LIMIT:
        raise InvalidData(f"the image's command has {len(argv)} words, the limit is {_ARGUMENT_LIMIT}")
    path = dict(config.env).get("PATH", "")
    folders = tuple(dict.fromkeys(folder for folder in path.split(":")[:_ARGUMENT_LIMIT] if folder.startswith("/")))
    home = image_account(fat, config.user).home if config.user else "/root"
    folder = normalise(config.working_dir or "/")
    return Command(argv, _health(image), folders or DEFAULT_PATH, folder, config.volumes, home)


def plan_of(fat: Tree, command: Command, env: Pairs, thinning: Thinning, reporter: Reporter = SILENT) -> tuple[Plan, Setting]:
    """The seeds of the closure over a fat tree, and the setting they are looked at in."""
    setting = Setting(Packages(fat), Facts(), env, thinning.choices)
    seeds = starts(fat, command)
    for program in thinning.programs:
        found = starts(fat, command._replace(argv=(program,), health=()))
        if not found:
            raise NotFound(f"no program `{program}` in the image", _near(fat, program, command.search_path))
        seeds += found
    if not seeds:
        return Plan(fat, Placement(), (), ""), setting
    seeds += additions(fat, command, seeds, setting.packages)
    seeds += _observed(fat, seeds[0].path, thinning.observations, reporter)
    for text in thinning.includes:
        path = follow(fat, normalise(text), follow_last=False).path
        if fat.lstat(path) is None:
            raise NotFound(f"nothing at `{text}` in the image to include")
        seeds += walk(fat, path, f"--include {text}")
    placement = Placement(keeps_owners=True, setuid=_allowed(fat, thinning))
    return Plan(fat, placement, tuple(seeds), seeds[0].path, lambda found: state(fat, found, setting.packages)), setting


def _observed(fat: Tree, entry: str, observations: Sequence[Observation], reporter: Reporter) -> Sequence[Need]:
    """What was seen of the running image. What was left out is told."""
    if not observations:
        return ()
    from jettison.closure.observed import observed, union
    from jettison.verbs.observe import tell

    real = follow(fat, entry).path
    seen = union(observed(fat, observation, real, is_machine=False) for observation in observations)
    tell(seen, reporter)
    return seen.needs


def _health(image: Image) -> tuple[str, ...]:
    """The command that looks after the image's health: docker's `HEALTHCHECK`."""
    inner = parse(image.raw_config, "config").get("config")
    health = inner.get("Healthcheck") if isinstance(inner, dict) else None
    test = health.get("Test") if isinstance(health, dict) else None
    if not isinstance(test, list) or not all(isinstance(word, str) and "\0" not in word for word in test):
        return ()
    if test[:1] == ["CMD-SHELL"]:
        return ("/bin/sh", "-c", *test[1:2])
    return tuple(test[1:]) if test[:1] == ["CMD"] else ()


def _near(fat: Tree, program: str, search_path: Sequence[str]) -> str:
    """A hint at programs with a name like this one's."""
    from difflib import get_close_matches

    folders = {follow(fat, folder).path for folder in search_path}
    names = {name for folder in sorted(folders) for name in fat.listdir(folder)}
    near = get_close_matches(program.rpartition("/")[2], sorted(names), 1)
    return f"did you mean `{near[0]}`?" if near else f"it was looked for in {', '.join(search_path)}"


def _allowed(fat: Tree, thinning: Thinning) -> frozenset[str]:
    """The real paths of the files that keep their set-user-id bits."""
    allowed = set()
    for text in thinning.setuid:
        found = follow(fat, normalise(text))
        if not _is_setuid(found.node):
            what = "has no set-user-id bits" if found.node is not None else "is not there"
            raise UsageError(f"`--allow-setuid {text}`: `{found.path}` {what} in the image", "leave the flag out")
        allowed.add(found.path)
    return frozenset(allowed)


def _completed(fat: Tree, plan: Plan, settled: Settled, thinning: Thinning) -> tuple[Tree, Closure]:
    """The files with what every program expects, the base's links, and the part of the package database that is true of them.

    What was there keeps its date; what we made has ours.
    """
    mtime = source_date_epoch()
    tree, closure = with_made(settled.carved, made(), plan.entry, mtime)
    nodes, reasons = dict(tree.nodes), dict(closure.reasons)
    entry = follow(tree, plan.entry).path
    links = base_links(fat, tree)
    databases = {path: node._replace(mtime=mtime) for path, node in keep.database(fat, nodes.keys()).items()}
    for more, detail in ((links, "a name of the base's that paths lead through"), (databases, _DATABASE)):
        for path, node in more.items():
            if path not in nodes and not excluded(path, thinning.excludes):
                nodes[path] = node
                reasons[path] = (Reason("rule", entry, detail),)
    for path in list(databases):
        _add_folders(nodes, fat, path)
    nodes = {path: node if _is_dated(fat, path, node) else node._replace(mtime=mtime) for path, node in nodes.items()}
    return Tree(nodes), Closure(reasons, closure.missing, expected=closure.expected)


def _is_dated(fat: Tree, path: str, node: Node) -> bool:
    """Whether a file has the date that it had: the first day of 1970 is one too."""
    was = fat.lstat(path)
    return bool(node.mtime) or (was is not None and was.mtime == 0)


def _add_folders(nodes: dict[str, Node], fat: Tree, path: str) -> None:
    while (path := path.rpartition("/")[0]) and path not in nodes:
        nodes[path] = fat.nodes[path]


def _removed(fat: Tree, tree: Tree, found: Closure, owned: Mapping[str, Package]) -> dict[str, Removed]:
    """Every file that is gone, with its package, and the reason for it that the level was too strict for."""
    hints: dict[str, Reason] = {}
    for path, reason in found.passed_over.items():
        with suppress(InvalidData):  # a ring of links
            hints.setdefault(follow(fat, path).path, reason)
    removed = {}
    for path, node in fat.nodes.items():
        if node.kind != "dir" and path not in tree.nodes:
            package = owned.get(path)
            removed[path] = Removed(node.size, package and Owner(*package), hints.get(path))
    return removed


def recorded(store: LocalStore, image: Image) -> document.Document | None:
    """The closure that travels with an image, if it does. Errors: InvalidData, HostileData."""
    digest = closure_digest(image.manifest)
    if digest is None or not store.has(digest):
        return None
    return document.read(store.read(digest, document.LIMIT_BYTES), f"closure {digest}")


def _removed_before(store: LocalStore, image: Image, fat: Tree) -> dict[str, Removed]:
    """What was removed when the image was made, if it is a slim one itself."""
    before = recorded(store, image)
    return {path: item for path, item in before.removed.items() if path not in fat.nodes} if before else {}


def _is_setuid(node: Node | None) -> bool:
    return node is not None and node.kind == "file" and bool(node.mode & _SETUID)


def _config(image: Image, thin: Thin, layers: Sequence[Layer]) -> bytes:
    """The fat image's own configuration, also what we do not know of it, with other layers and the variables it lacked.

    Its origin is named by its configuration's digest, which is the image's ID to docker, and the same in every kind of archive.
    """
    value: dict[str, Any] = parse(image.raw_config, "config")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(source_date_epoch()))
    history = [dict(line, empty_layer=True) for line in value.get("history") or []]
    ours = {"created": created, "created_by": f"jettison slim {image.manifest.config.digest}"}
    value = {key: item for key, item in value.items() if key not in _FORGOTTEN}
    known = dict(image.config.env)
    more = [f"{name}={text}" for name, text in thin.variables if name not in known]
    if more:
        inner = value.get("config") or {}
        value["config"] = {**inner, "Env": [*(inner.get("Env") or []), *more]}
    value["created"] = created
    value["rootfs"] = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]}
    value["history"] = [*history, *([ours] * len(layers))]
    return serialise(value)


def _annotations(image: Image) -> Pairs:
    """Those of the fat image that still hold: not what it was made of, layer by layer."""
    return tuple(
        pair for pair in image.manifest.annotations if not pair[0].startswith(("org.opencontainers.image.base.", "org.jettison."))
    )
