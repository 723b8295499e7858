"""exec: a further program in a container that runs."""

from jettison.errors import HostError, NotFound
from jettison.oci.process import Process, User, environment
from jettison.sandbox.containers import Found, find
from jettison.sandbox.join import Init, join
from jettison.sandbox.seccomp import UNCONFINED, Filter
from jettison.sandbox.supervise import Signals, require_one_thread
from jettison.sandbox.told import read_process
from jettison.verbs.run import open_streams, store_path, user_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jettison.sandbox.told import Running


class ExecCall:
    """What to execute where: `env` as NAME=VALUE texts over the container's own; what is empty is the container's."""

    def __init__(
        self,
        container: str,
        argv: "Sequence[str]",
        env: "Sequence[str]" = (),
        workdir: str = "",
        user: str = "",
        interactive: bool = False,
        terminal: bool = False,
        is_detached: bool = False,
    ) -> None:
        self.container = container
        self.argv = tuple(argv)
        self.env = tuple(env)
        self.workdir = workdir
        self.user = user
        self.interactive = interactive
        self.terminal = terminal
        self.is_detached = is_detached


def execute(call: ExecCall, store: str = "") -> int:
    """Run it to its end: its exit status, or 128 and the signal; 0 once it has started where it is detached.

    Errors: NotFound, UsageError, HostError, NotStarted.
    """
    open_streams()
    require_one_thread()
    store = store_path(store)
    found = find(store, call.container)
    running = found.running
    if running is None:
        raise NotFound(f"container `{call.container}` does not run", "`jettison ps` lists those that do")
    process, system_calls = _process(store, found, running, call), _system_calls(found)
    capabilities = int(found.text("capabilities"))

    def run(ready: "Callable[[], None]") -> int:
        with Signals(), Init(running) as init:
            init.open_spaces(running)
            child = join(init, process, system_calls, capabilities, call.interactive, call.terminal)
            ready()
            return child.follow(call.interactive)

    if not call.is_detached:
        return run(lambda: None)
    from jettison.sandbox.background import in_background, leave_streams

    leave_streams()
    in_background(run)
    return 0


def _process(store: str, found: Found, running: "Running", call: ExecCall) -> Process:
    try:
        first = read_process(running)
    except FileNotFoundError as error:
        raise NotFound(f"container `{call.container}` has just ended", "`jettison ps` lists those that run") from error
    except OSError as error:
        raise HostError(f"cannot look into the container: {error.strerror}", "be the user who started it") from error
    user = _user(store, found, call.user) if call.user else first.user
    defaults = ["TERM=xterm"] if call.terminal else []
    # Where the first program is at home, the next one is not, if it is somebody else.
    home = [f"HOME={user.home}"] if f"HOME={first.user.home}" in first.env else []
    return Process(call.argv, environment(first.env, (*home, *call.env), defaults), call.workdir or first.cwd, user)


def _user(store: str, found: Found, text: str) -> User:
    return user_of(store, found.config.get("layer", []), text)


def _system_calls(found: Found) -> "Filter | None":
    """The container's own."""
    name = found.text("seccomp")
    if not name or name == UNCONFINED.name:
        return UNCONFINED if name else None
    with open(f"{found.folder}/filter", "rb", 0) as stream:
        return Filter(name, stream.read(), int(found.text("seccomp-flags")))
