"""`jettison run`: docker run's flags, in docker's syntax."""

import os
import sys

from jettison.cli.run_flags import COMMAND as COMMAND
from jettison.errors import UsageError
from jettison.sandbox.capabilities import USUAL
from jettison.sandbox.operations import Bind, Tmpfs
from jettison.sandbox.plan import Options
from jettison.sandbox.supervise import NotStarted
from jettison.verbs.run import Call, explain, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.cli.flags import Values
    from jettison.events import Reporter
    from jettison.sandbox.devices import Device
    from jettison.sandbox.limits import Limits
    from jettison.sandbox.memory import MemoryFolder
    from jettison.sandbox.names import Names
    from jettison.sandbox.network import Network
    from jettison.sandbox.seccomp import Filter
    from jettison.sandbox.upkeep import Upkeep
    from jettison.sandbox.volumes import Volume

_UPKEEP = (
    "detach", "rm", "restart", "stop-signal", "stop-timeout", "health-cmd", "health-interval", "health-timeout",
    "health-start-period", "health-retries", "no-healthcheck", "label", "label-file", "log-driver", "log-opt", "cidfile",
    "annotation", "attach",
)  # fmt: skip
_LIMITS = (
    "memory", "memory-swap", "memory-reservation", "memory-swappiness", "cpus", "cpu-shares", "cpu-period", "cpu-quota",
    "cpuset-cpus", "cpuset-mems", "pids-limit", "ulimit", "oom-score-adj", "shm-size", "sysctl", "limits",
)  # fmt: skip
_RARE = ("attach", "sig-proxy", "domainname", "pull")


def main(values: "Values", rest: "Sequence[str]") -> int:
    """Run, and give the program's status."""
    if not rest:
        raise UsageError("`jettison run` needs an image", "`jettison images` lists them")
    call = call_of(values, rest)
    store = values.text("store")
    if values.on("explain"):
        sys.stdout.write("\n".join(explain(call, store)) + "\n")
        return 0
    try:
        status = run(call, store, lambda: _reporter(values), _announce)
    except NotStarted as error:
        from jettison.cli.main import complain

        complain(error.message, error.hint)
        return error.exit_status
    os._exit(status)  # nothing is open or buffered, and the interpreter's own way out takes 2 ms


def call_of(values: "Values", rest: "Sequence[str]") -> Call:
    """What the flags and words ask for. Errors: UsageError."""
    image, *arguments = rest
    return Call(
        image,
        arguments,
        environment(values),
        values.text("entrypoint") if values.has("entrypoint") else None,
        workdir(values.text("workdir")),
        values.text("user"),
        values.text("name"),
        _options(values),
        values.texts("group-add"),
        _upkeep(values),
        values.text("platform"),
    )


def _announce(container: str) -> None:
    sys.stdout.write(f"{container}\n")
    sys.stdout.flush()


def _upkeep(values: "Values") -> "Upkeep | None":
    if not any(values.has(name) for name in _UPKEEP):
        return None
    from jettison.cli.upkeep_flags import upkeep

    return upkeep(values)


def _reporter(values: "Values") -> "Reporter":
    """Steps for people alone: a program's stderr is its own."""
    from jettison.cli.terminal import Terminal

    return Terminal(values.on("quiet") or not sys.stderr.isatty(), values.on("verbose"))


def _options(values: "Values") -> Options:
    given = _mounts(values)
    mounts = [mount for mount in given if not isinstance(mount, str)]
    capabilities = _capabilities(values)
    network, private = _network(values)
    options = Options(
        network,
        values.text("hostname"),
        values.on("read-only"),
        values.on("interactive"),
        values.on("tty"),
        values.on("init", default=True),
        sorted(mounts, key=lambda mount: mount.target.count("/")),  # what lies in another comes after it
        [target for target in given if isinstance(target, str)],
        _memory(values),
        _names(values),
        _named_volumes(mounts),
        _system_calls(values.texts("security-opt"), capabilities),
        _limits(values, network),
        private,
        capabilities=capabilities,
    )
    options.devices = _devices(values)
    _keep_apart(options)
    if any(values.has(name) for name in _RARE):
        from jettison.cli.run_rare import apply

        apply(values, options)
    if options.terminal and options.interactive and not values.on("detach") and not os.isatty(0):
        raise UsageError("the input device is not a TTY", "without `-t` stdin is passed on as it is")
    return options


def _capabilities(values: "Values") -> int:
    if not values.has("cap-add") and not values.has("cap-drop"):
        return USUAL
    from jettison.cli.capability_flags import chosen

    return chosen(values.texts("cap-add"), values.texts("cap-drop"))


def _system_calls(texts: "Sequence[str]", capabilities: int) -> "Filter | None":
    if not texts:
        return None
    from jettison.cli.security import system_calls

    return system_calls(texts, capabilities)


def _network(values: "Values") -> "tuple[str, Network | None]":
    """Its name, and the network itself where it has parts outside of the world. `bridge` is docker's word."""
    name = values.text("network")
    if name not in ("", "host", "none", "private", "bridge"):
        raise UsageError(f"there is no network `{name}`", "`--network host`, `--network none` or `--network private`")
    name = "private" if name == "bridge" else name
    if name != "private" and not values.has("publish") and not values.has("expose"):
        return name or "host", None
    from jettison.cli.run_network import private

    network = private(name, values.texts("publish"), values.texts("expose"), values.on("quiet"))
    return ("private" if network else name or "host"), network


def _limits(values: "Values", network: str) -> "Limits | None":
    if not any(values.has(name) for name in _LIMITS):
        return None
    from jettison.cli.limit_flags import limits

    return limits(values, has_own_network=network != "host")


# Environment and names of machines


def environment(values: "Values") -> "list[str]":
    """What `--ca` says, then files, then flags: the last word counts. Errors: UsageError."""
    if not any(values.has(name) for name in ("ca", "env-file", "env")):
        return []
    from jettison.cli.run_env import variables

    return variables(values)


def _names(values: "Values") -> "Names | None":
    given = [values.texts(name) for name in ("add-host", "dns", "dns-search", "dns-option")]
    if not any(given):
        return None
    from jettison.cli.run_names import names

    return names(*given)


# Files


def _memory(values: "Values") -> "list[MemoryFolder]":
    folders = []
    if values.has("secret"):
        from jettison.cli.run_secrets import secrets

        folders.append(secrets(values.texts("secret")))
    if values.has("ca"):
        from jettison.cli.run_ca import certificates

        folders.append(certificates(values.text("ca")))
    return folders


def _devices(values: "Values") -> "list[Device]":
    if not values.has("device"):
        return []
    from jettison.cli.run_devices import devices

    return devices(values.texts("device"))


def _keep_apart(options: Options) -> None:
    """Nothing that was asked for may be hidden by something else."""
    for folder in options.memory:
        for mount in (*options.mounts, *options.devices):
            if f"{mount.target}/".startswith(f"{folder.path}/"):
                raise UsageError(f"`{mount.target}` would lie in {folder.path}, where {folder.what} are")


def workdir(path: str) -> str:
    """Where the program starts. Errors: UsageError."""
    if path and not path.startswith("/"):
        raise UsageError(f"the working directory `{path}` is invalid, it needs to be an absolute path")
    return path


def _mounts(values: "Values") -> "list[Bind | Tmpfs | str]":
    if not any(values.has(name) for name in ("volume", "tmpfs", "mount")):
        return []
    from jettison.cli.run_files import mounts

    return mounts(values)


def _named_volumes(mounts: "Sequence[Bind | Tmpfs]") -> "list[Volume]":
    if all(type(mount) in (Bind, Tmpfs) for mount in mounts):
        return []
    from jettison.sandbox.volumes import Volume

    return [mount for mount in mounts if isinstance(mount, Volume)]
