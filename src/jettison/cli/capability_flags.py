"""`--cap-add` and `--cap-drop` of `jettison run`, in docker's words: with or without `CAP_`, in any case, or `ALL`."""

from jettison.errors import UsageError
from jettison.sandbox.capabilities import EVERY, NAMES, USUAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def chosen(added: "Sequence[str]", dropped: "Sequence[str]") -> int:
    """What `--cap-add` and `--cap-drop` make of the usual set. By docker's rule a name in both is added, unless all are.

    Errors: UsageError.
    """
    adds, adds_all = _read("cap-add", added)
    drops, drops_all = _read("cap-drop", dropped)
    if adds_all and drops_all:
        raise UsageError("`--cap-add ALL` and `--cap-drop ALL` contradict each other", "name those that you want")
    if adds_all:
        return EVERY & ~drops
    return (0 if drops_all else USUAL & ~drops) | adds


def _read(flag: str, texts: "Sequence[str]") -> "tuple[int, bool]":
    """The set that a flag's values name, and whether one of them is `ALL`."""
    found, has_all = 0, False
    for text in texts:
        name = text.upper().removeprefix("CAP_")
        if name == "ALL":
            has_all = True
        elif name in NAMES:
            found |= 1 << NAMES.index(name)
        else:
            raise UsageError(f"`--{flag} {text}`: there is no capability `{text}`", _near(name))
    return found, has_all


def _near(name: str) -> str:
    near = [known for known in NAMES if name and (name in known or known in name)]
    return f"did you mean `{near[0]}`?" if near else "capabilities(7) lists them; `ALL` is all of them"
