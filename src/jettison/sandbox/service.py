"""A container as a service of systemd's: its sockets and its notifications pass through. Imported only where there are any."""

from jettison.sandbox.operations import Bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.sandbox.plan import Options

_INSIDE = "/run/notify.socket"
_MOST_SOCKETS = 1000


def pass_on(options: "Options", environment: "Mapping[str, str]") -> "tuple[str, ...]":
    """The program's variables, NAME=VALUE; the options learn of sockets and of the mount."""
    variables = []
    notify = environment.get("NOTIFY_SOCKET", "")
    if notify.startswith("/"):
        options.mounts = (*options.mounts, Bind(notify, _INSIDE))
        variables.append(f"NOTIFY_SOCKET={_INSIDE}")
    elif notify.startswith("@") and not options.has_own_network:  # an abstract one belongs to the network namespace
        variables.append(f"NOTIFY_SOCKET={notify}")
    count = environment.get("LISTEN_FDS", "0")
    if "LISTEN_PID" in environment and count.isascii() and count.isdigit() and 0 < int(count) <= _MOST_SOCKETS:
        options.listening = int(count)
        variables.append(f"LISTEN_FDS={count}")  # LISTEN_PID is told by who becomes the program
        if "LISTEN_FDNAMES" in environment:
            variables.append(f"LISTEN_FDNAMES={environment['LISTEN_FDNAMES']}")
    return tuple(variables)
