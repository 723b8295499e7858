"""Reasons, and the closure that keeps one for every path."""

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from jettison.tree.node import Node

ReasonKind = Literal[
    "entry", "interpreter", "needed", "dlopen", "symbol", "string", "import", "package", "rule", "observed", "kept"
]
Confidence = Literal["certain", "likely", "hint"]


class Reason(NamedTuple):
    """Why a path is in the closure: `by` wants it (a path in the Root; empty for an entry), `detail` says how it was found."""

    kind: ReasonKind
    by: str
    detail: str
    confidence: Confidence = "certain"


class Need(NamedTuple):
    """A path that a Finder says is needed. `path` may lead through links; the resolver follows them, a last one too unless
    `follow_last` is off."""

    path: str
    reason: Reason
    follow_last: bool = True


class Variable(NamedTuple):
    """A variable that the program's environment should have, unless the user says otherwise."""

    name: str
    value: str
    reason: Reason


class Make(NamedTuple):
    """A path that the image gets and the Root does not have in this form: an empty folder, a link, a file made of another."""

    path: str
    node: Node
    reason: Reason


class Regenerate(NamedTuple):
    """A cache that is made anew of the files that came into the image; `name` is one of `caches.REGENERATE`."""

    name: str
    reason: Reason


class Omit(NamedTuple):
    """What a file names and works without: `patterns` of paths for which evidence of the same file is a hint."""

    patterns: tuple[str, ...]
    reason: Reason


class Account(NamedTuple):
    """A user that the program asks for by `name`: the image's /etc/passwd and /etc/group have it as the Root's do."""

    name: str
    reason: Reason


class Expected(NamedTuple):
    """What the host brings when the image runs, and no image should: a driver's library, by its `name`."""

    name: str
    reason: Reason


class Missing(NamedTuple):
    """Something asked for and not found: its `name`, who asked and how, and where it was looked for."""

    name: str
    reason: Reason
    looked_in: tuple[str, ...] = ()


class Link(NamedTuple):
    """One step of an explanation: `path` is there because of `reason`."""

    path: str
    reason: Reason


class Closure:
    """The set of paths that an application needs, each with its reasons.

    `reasons`: path → reasons, the first one the one that brought it in. `missing`: what was asked for and not found.
    `variables`: what the environment should have. `made`: path → what lies there instead of the Root's. `caches`: what is to be
    regenerated of the files. `expected`: what the host brings. `accounts`: users besides those that every image has.
    `passed_over`: path → the first reason to bring it that the level was too strict for.
    """

    def __init__(
        self,
        reasons: dict[str, tuple[Reason, ...]],
        missing: Iterable[Missing] = (),
        variables: Iterable[Variable] = (),
        made: Mapping[str, Node] = MappingProxyType({}),
        caches: Iterable[Regenerate] = (),
        expected: Iterable[Expected] = (),
        accounts: Iterable[Account] = (),
        passed_over: Mapping[str, Reason] = MappingProxyType({}),
    ) -> None:
        self.reasons = reasons
        self.missing = tuple(missing)
        self.variables = tuple(variables)
        self.made = made
        self.caches = tuple(caches)
        self.expected = tuple(expected)
        self.accounts = tuple(accounts)
        self.passed_over = passed_over

    def __contains__(self, path: str) -> bool:
        return path in self.reasons

    def why(self, path: str) -> list[Link]:
        """The shortest chain from `path` back to an entry; empty where `path` is not in the closure."""
        came_from: dict[str, Link | None] = {path: None}
        queue = deque([path] if path in self.reasons else [])
        while queue:
            here = queue.popleft()
            for reason in self.reasons.get(here, ()):
                step = Link(here, reason)
                if not reason.by:
                    return _chain(step, came_from)
                if reason.by not in came_from:
                    came_from[reason.by] = step
                    queue.append(reason.by)
        return []


def _chain(last: Link, came_from: dict[str, Link | None]) -> list[Link]:
    chain = [last]
    while (step := came_from[chain[-1].path]) is not None:
        chain.append(step)
    return chain[::-1]
