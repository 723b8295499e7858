"""Signals by docker's names: `TERM`, `SIGTERM`, `15`, `SIGRTMIN+3`."""

from jettison.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

TERM, KILL = 15, 9
_REAL_TIME = {"RTMIN+": (_signal.SIGRTMIN, 1), "RTMAX-": (_signal.SIGRTMAX, -1)}


def signal_number(text: str, what: str) -> int:
    """The signal's number on this machine. Errors: UsageError, which says that `what` named it."""
    name = text.upper().removeprefix("SIG")
    if text.isascii() and text.isdigit():
        number = int(text[:4])
    elif name[:6] in _REAL_TIME and name[6:].isascii() and name[6:].isdigit():
        first, sign = _REAL_TIME[name[:6]]
        number = first + sign * int(name[6:10])
    else:
        number = getattr(_signal, f"SIG{name}", 0) if name.isalnum() else 0
    if number not in _signal.valid_signals():
        raise UsageError(f"{what}: there is no signal `{text:.40}`", "as in `TERM`, `SIGINT`, `9` or `SIGRTMIN+3`")
    return int(number)
