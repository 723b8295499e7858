"""Signals by docker's names: `TERM`, `SIGTERM`, `15`, `SIGRTMIN+3`."""

from jettison.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

TERM, KILL = 15, 9


def signal_number(text: str, what: str) -> int:
    """The signal's number on this machine. Errors: UsageError, which says that `what` named it."""
    name, plus, offset = text.upper().removeprefix("SIG").partition("+")
    if text.isascii() and text.isdigit():
        number = int(text[:4])
    elif name == "RTMIN" and plus and offset.isascii() and offset.isdigit():
        number = _signal.SIGRTMIN + int(offset[:4])
    else:
        number = getattr(_signal, f"SIG{name}", 0) if name.isalnum() and not plus else 0
    if number not in _signal.valid_signals():
        raise UsageError(f"{what}: there is no signal `{text:.40}`", "as in `TERM`, `SIGINT`, `9` or `SIGRTMIN+3`")
    return int(number)
