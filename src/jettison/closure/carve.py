"""A closure over a Root → the files as they lie in the image, and the closure that the image itself gives."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from jettison.closure import accounts
from jettison.closure.facts import Facts, Setting
from jettison.closure.finders import LINKING
from jettison.closure.place import Placement, is_system, within
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Missing, Need, Reason
from jettison.errors import InvalidData
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Root, Tree, normalise, parents
from jettison.tree.root import resolve as follow

_LD_SO_CACHE = "/etc/ld.so.cache"
_LINKED = ("interpreter", "needed", "dlopen")  # the kinds of what LINKING finds
_CACHE_REASON = "it names libraries in folders that ld.so does not search by itself"


class Carved(NamedTuple):
    """The image's files, and why each is there, in the image's own paths."""

    nodes: dict[str, Node]
    closure: Closure


def settle(
    root: Root, found: Closure, placement: Placement, seeds: Sequence[Need], setting: Setting, excludes: Sequence[str] = ()
) -> Carved:
    """Carve the closure's files out of `root`, and ask again, in what was carved, what the linker will do: its reasons are those
    of the image, on every machine.

    A library that is lost by its move goes back to its absolute path; one that only the Root's ld.so.cache led to gets a cache.
    """
    nodes = carve(root, found, placement, excludes)
    closure = _link(nodes, found, placement, setting)
    lost = _lost(found, closure)
    private = frozenset(path for path in lost.values() if not is_system(path))
    if private:
        placement = placement._replace(absolute=private)
        nodes = carve(root, found, placement, excludes)
        closure = _link(nodes, found, placement, setting)
        lost = _lost(found, closure)
    entry = follow(Tree(nodes), placement.image_path(seeds[0].path)).path
    if lost and _LD_SO_CACHE not in nodes:
        found = _with_made(found, {_LD_SO_CACHE: _cache(root, lost, setting.facts)}, Reason("rule", entry, _CACHE_REASON))
        nodes = carve(root, found, placement, excludes)
        closure = _link(nodes, found, placement, setting)
    if found.caches:
        from jettison.closure.caches import REGENERATE
    for item in found.caches:
        for path, node in REGENERATE[item.name](Tree(nodes)).items():
            nodes[path] = node
            _add_folders(nodes, root, path, path, placement)
            closure.reasons[path] = (_moved(item.reason, placement),)
    for path, node in accounts.databases(root, [item.name for item in found.accounts]).items() if found.accounts else ():
        if path not in nodes:
            nodes[path] = node
            closure.reasons[path] = tuple(_moved(item.reason, placement) for item in found.accounts)
    return Carved(nodes, closure)


def _cache(root: Root, libraries: dict[str, str], facts: Facts) -> Node:
    """An ld.so.cache of these libraries alone."""
    from jettison.closure import cache

    read = {name: facts.elf(root, follow(root, path).path) for name, path in libraries.items()}
    known = {name: elf for name, elf in read.items() if elf is not None}
    entries = [(name, libraries[name], cache.flags_of(elf)) for name, elf in known.items()]
    return made_file(cache.write(entries, next(iter(known.values())).byte_order) if known else b"")


def carve(root: Root, found: Closure, placement: Placement, excludes: Sequence[str] = ()) -> dict[str, Node]:
    """The closure's files at their paths in the image, with the folders they lie in.

    Errors: InvalidData where two different files would lie at one path.
    """
    nodes: dict[str, Node] = {}
    origin: dict[str, str] = {}
    # The system's paths first: its links, /lib → usr/lib, decide where the others come to lie.
    for path in sorted(found.reasons, key=lambda path: (placement.image_path(path) != path, path)):
        node = found.made.get(path) or root.lstat(path)
        target = placement.image_path(path)
        if node is None or excluded(target, excludes):
            continue
        if target != path:
            target = follow(Tree(nodes), target, follow_last=False).path
        if target in nodes and node.kind != "dir" and origin.get(target) != path:
            raise InvalidData(f"`{path}` and `{origin.get(target, target)}` would both lie at `{target}` in the image")
        nodes[target] = placement.image_node(path, node)
        origin[target] = path
        _add_folders(nodes, root, path, target, placement)
    return nodes


def excluded(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path in the image, or a folder it lies in, matches one of the patterns."""
    return any(
        within(path, (normalise(pattern),)) or any(fnmatchcase(part, pattern) for part in (*parents(path), path))
        for pattern in patterns
    )


def _add_folders(nodes: dict[str, Node], root: Root, path: str, target: str, placement: Placement) -> None:
    """The folders above `target`: the Root's own where the path was kept, plain ones where it was moved."""
    for folder in reversed(parents(target)[1:]):
        if folder in nodes:
            return
        node = root.lstat(folder) if path == target else None
        nodes[folder] = placement.image_node(folder, node) if node is not None and node.kind == "dir" else made_dir()


def _link(nodes: dict[str, Node], found: Closure, placement: Placement, setting: Setting) -> Closure:
    """The closure that the image gives: what the linker finds in it, and what else was found in the Root, by the image's paths.

    What was found for a link in the Root is known of the link in the image.
    """
    tree = Tree(nodes)
    known: dict[str, tuple[Reason, ...]] = {}
    for path, reasons in found.reasons.items():
        kept = tuple(_moved(reason, placement) for reason in reasons if reason.kind not in _LINKED)
        target = follow(tree, placement.image_path(path), follow_last=False).path
        if kept and target in nodes:
            known[target] = (*known.get(target, ()), *kept)
    seeds = [Need(path, reason, follow_last=False) for path, reasons in known.items() for reason in reasons]
    linked = resolve(tree, seeds, setting, LINKING)
    expected = [item._replace(reason=_moved(item.reason, placement)) for item in found.expected]
    return Closure(linked.reasons, (*linked.missing, *_still(found, placement)), found.variables, expected=expected)


def _moved(reason: Reason, placement: Placement) -> Reason:
    by = placement.image_path(reason.by) if reason.by else ""
    return reason._replace(by=by) if by != reason.by else reason


def _still(found: Closure, placement: Placement) -> list[Missing]:
    """What only the first look asked for, and did not find."""
    asked = [item for item in found.missing if item.reason.kind not in _LINKED]
    return [item._replace(reason=_moved(item.reason, placement)) for item in asked]


def _with_made(found: Closure, made: dict[str, Node], reason: Reason) -> Closure:
    reasons = found.reasons | dict.fromkeys(made, (reason,))
    made = {**found.made, **made}
    return Closure(reasons, found.missing, found.variables, made, found.caches, found.expected, found.accounts)


def _lost(found: Closure, closure: Closure) -> dict[str, str]:
    """name → path in the Root, of the libraries that were found there and are not found in the image."""
    known = {item.name for item in found.missing}
    paths = {path.rpartition("/")[2]: path for path in found.reasons}
    names = (item.name for item in closure.missing if item.name not in known)
    return {name: paths[name.rpartition("/")[2]] for name in names if name.rpartition("/")[2] in paths}
