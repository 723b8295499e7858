"""why: the chain of reasons from a path back to the entry point; and why not."""

from collections.abc import Sequence
from typing import NamedTuple

from jettison.closure.choices import Level
from jettison.closure.facts import Facts
from jettison.closure.why import Confidence, Link, Reason
from jettison.errors import InvalidData, NotFound
from jettison.image.store import LocalStore
from jettison.tree.root import normalise, resolve
from jettison.verbs.examine import Examined, examine

_LEVELS: dict[Confidence, Level] = {"certain": "minimal", "likely": "balanced", "hint": "safe"}  # the first that takes it


class WhyNot(NamedTuple):
    """Why a path is not needed: whether it is there at all, or was before the image was slimmed; who owns it; which files would
    have pulled it in; and the level at which it would be in, with the reason."""

    path: str
    is_there: bool
    package: str
    would_need: tuple[str, ...]
    was_removed: bool = False
    level: str = ""
    reason: Reason | None = None


def why(target: str, path: str, store: LocalStore, programs: Sequence[str] = ()) -> list[Link]:
    """The shortest chain from `path` in an image or a folder to an entry point.

    Errors: NotFound where there is no such path, or nothing needs it.
    """
    examined = examine(target, store, programs)
    name = _find(examined, path)
    if name in examined.closure:
        return examined.closure.why(name)
    below = min((known for known in examined.closure.reasons if known.startswith(f"{name.rstrip('/')}/")), default="")
    if below:
        return [Link(name, Reason("kept", below, "a folder on its way")), *examined.closure.why(below)]
    ask = f"`jettison why --not {target} {path}`"
    if name in examined.tree.nodes:
        raise NotFound(f"nothing needs `{name}`: it is dead weight", f"{ask} tells what would need it")
    raise NotFound(f"`{target}` has no `{path}`", f"{ask} tells what would have pulled it in")


def why_not(target: str, path: str, store: LocalStore, programs: Sequence[str] = ()) -> WhyNot:
    """What is known of a path that is not needed. Errors: NotFound where it is needed after all."""
    examined = examine(target, store, programs)
    name = _find(examined, path)
    if name in examined.closure:
        raise NotFound(f"`{name}` is needed", f"`jettison why {target} {path}` tells by whom")
    removed = examined.removed.get(name)
    if removed is not None and name not in examined.tree.nodes:
        package = f"{removed.package.name} {removed.package.version}" if removed.package else ""
        level = _LEVELS[removed.hint.confidence] if removed.hint else ""
        return WhyNot(name, False, package, tuple(_would_need(examined, name)), True, level, removed.hint)
    return WhyNot(name, name in examined.tree.nodes, str(examined.packages.get(name) or ""), tuple(_would_need(examined, name)))


def _find(examined: Examined, path: str) -> str:
    """The path as the closure knows it: itself where it is a link, else where it leads."""
    name = normalise(path)
    for known in (name, f"/usr{name}"):  # the name that a merged folder's link gives it, which may be gone too
        if known in examined.closure or known in examined.tree.nodes or known in examined.removed:
            return known
    return resolve(examined.tree, name, follow_last=False).path


def _would_need(examined: Examined, path: str) -> list[str]:
    """The ELF files outside of the closure, or in it, that name the path's last part as a library they need."""
    name = path.rpartition("/")[2]
    facts = Facts()
    found = []
    for candidate, node in sorted(examined.tree.nodes.items()):
        if node.kind != "file" or candidate == path:
            continue
        try:
            read = facts.elf(examined.tree, candidate)
        except InvalidData:
            continue
        if read is not None and (name in read.needed or path == read.interpreter):
            found.append(candidate)
    return found
