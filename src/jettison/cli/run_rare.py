"""The flags of `run` that few calls have: its streams, its domain, what docker would pull. Imported only where one is given."""

import re

from jettison.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.cli.flags import Values
    from jettison.sandbox.plan import Options

_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?", re.ASCII)  # the kernel's 64 bytes, uname(2)


def apply(values: "Values", options: "Options") -> None:
    """Make the options what these flags say. Errors: UsageError."""
    options.domainname = _domain(values.text("domainname"))
    if values.has("attach"):
        options.unattached = _unattached(values, options.terminal)
    if not values.on("sig-proxy", default=True):
        hint = "`--detach` starts a program that lives on without jettison"
        raise UsageError("`--sig-proxy=false` cannot be had: the program ends with jettison, so it hears of signals first", hint)
    pull = values.text("pull", "missing")
    if pull not in ("missing", "never", "always"):
        raise UsageError(f"`--pull {pull}` is no policy", "`missing`, the usual one, or `never`")
    if pull == "always":
        raise UsageError("`--pull always`: jettison cannot pull images yet", "`skopeo copy` and `jettison load` bring one in")


def _unattached(values: "Values", has_terminal: bool) -> "tuple[int, ...]":
    """The streams that were not asked for. A program in the background has a log for them."""
    named = {text.lower() for text in values.texts("attach")}
    if not named <= _STREAMS.keys():
        raise UsageError(f"`--attach {min(named - _STREAMS.keys())}` is no stream", "`stdin`, `stdout` or `stderr`")
    if values.on("detach"):
        raise UsageError("`--attach` and `--detach` contradict each other", "leave one of them out")
    if named == {"stdin"}:
        return ()
    if has_terminal and "stdout" not in named:
        raise UsageError("`--attach`: all that a program with a terminal prints is its stdout", "`-a stdout`, or no `-t`")
    return tuple(number for name, number in _STREAMS.items() if number and name not in named and not has_terminal)


def _domain(name: str) -> str:
    if name and not _DOMAIN.fullmatch(name):
        raise UsageError(f"`--domainname {name}` is no domain", "expected one as example.org, of 64 bytes at most")
    return name
