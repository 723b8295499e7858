"""`jettison run`: docker run's flags, in docker's syntax."""

import os
import sys

from jettison.cli.flags import Command, Flag
from jettison.errors import UsageError
from jettison.sandbox import syscalls
from jettison.sandbox.capabilities import USUAL
from jettison.sandbox.operations import Bind, Tmpfs
from jettison.sandbox.plan import Options
from jettison.sandbox.supervise import NotStarted
from jettison.verbs.run import Call, explain, is_name, run, store_path

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

COMMAND = Command(
    "run",
    "[FLAGS] IMAGE [ARG...]",
    "Run an image as a sandboxed process: its own files, processes and users, few privileges. Volumes alone are kept.",
    "jettison run -it --rm alpine\njettison run -v ./site:/srv:ro -e PORT=8080 app --verbose\n"
    "jettison run -v data:/data --secret id=db,src=./password app",
    (
        Flag("env", "set a variable, or pass one on by its name", "NAME[=VALUE]", short="e", repeats=True),
        Flag("env-file", "read variables from a file", "FILE", repeats=True),
        Flag("volume", "show a file or folder of this machine, or a named volume", "SOURCE:TARGET[:ro]", short="v", repeats=True),
        Flag("mount", "the same in docker's other words", "type=bind|tmpfs|volume,KEY=VALUE...", repeats=True),
        Flag("tmpfs", "mount memory on a folder", "TARGET[:OPTIONS]", repeats=True),
        Flag("device", "show a device of this machine, or those in a folder", "SOURCE[:TARGET][:rwm]", repeats=True),
        Flag("secret", "a file in /run/secrets that is nowhere else", "id=NAME,src=FILE|env=VARIABLE", repeats=True),
        Flag("ca", "certificates to trust instead of the image's, in PEM form", "FILE"),
        Flag("workdir", "where the program starts", "FOLDER", short="w"),
        Flag("user", "whom it runs as", "USER[:GROUP]", short="u"),
        Flag("group-add", "one more group of its", "GROUP", repeats=True),
        Flag("entrypoint", "the program, instead of the image's", "PROGRAM"),
        Flag("interactive", "pass stdin on", short="i"),
        Flag("tty", "give it a terminal", short="t"),
        Flag("attach", "pass on these streams of its alone; with `stdin` alone, in the background", "STREAM", "a", True),
        Flag("sig-proxy", "pass signals on to it (always)"),
        Flag("network", "`host`, `private` for one of its own with a way out, `none` without", "host|none|private", also="net"),
        Flag(
            "publish",
            "a port of this machine that leads to one of its, on 127.0.0.1 unless told",
            "[[IP:]PORT:]PORT[/udp]",
            "p",
            True,
        ),
        Flag("expose", "a port that it serves, for readers: nothing is opened", "PORT[/PROTOCOL]", repeats=True),
        Flag("hostname", "the name it sees as the machine's", "NAME", short="h"),
        Flag("domainname", "the domain that it sees as the machine's", "NAME"),
        Flag("add-host", "a line of its /etc/hosts", "NAME:IP", repeats=True),
        Flag("dns", "a name server, instead of the machine's", "IP", repeats=True),
        Flag("dns-search", "a domain to look names up in, instead of the machine's", "DOMAIN", repeats=True),
        Flag("dns-option", "an option of resolv.conf(5), instead of the machine's", "OPTION", repeats=True, also="dns-opt"),
        Flag("read-only", "let it write to volumes and memory alone"),
        Flag("init", "start it below an init that passes signals on and buries the dead (the default)"),
        Flag("memory", "end it where it takes more memory: bytes, or `512m`, `1g`", "SIZE", short="m"),
        Flag("memory-swap", "memory and swap together, twice `--memory` by default; -1 for any amount of swap", "SIZE"),
        Flag("memory-reservation", "what it is cut back to first where the machine's memory is short", "SIZE"),
        Flag("memory-swappiness", "how gladly its memory is swapped out, 0 to 100; control groups of version 1 alone", "NUMBER"),
        Flag("cpus", "how much processor time it gets, in processors: `0.5`, `2`", "NUMBER"),
        Flag("cpu-shares", "its share of busy processors, against 1024 of others", "NUMBER", short="c"),
        Flag("cpu-period", "the span that `--cpu-quota` is counted in, in microseconds", "NUMBER"),
        Flag("cpu-quota", "the processor time it gets in each period, in microseconds", "NUMBER"),
        Flag("cpuset-cpus", "the processors it may use: `0-2,4`", "LIST"),
        Flag("cpuset-mems", "the memory nodes it may use: `0,1`", "LIST"),
        Flag("pids-limit", "how many processes and threads it may have, the init among them", "NUMBER"),
        Flag("ulimit", "a limit of setrlimit(2): `nofile=1024:2048`", "NAME=SOFT[:HARD]", repeats=True),
        Flag("oom-score-adj", "how gladly the kernel ends it where memory is short, -1000 to 1000", "NUMBER"),
        Flag("shm-size", "the size of /dev/shm, 64m by default", "SIZE"),
        Flag(
            "sysctl",
            "a kernel setting of its own: kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*, net.*",
            "NAME=VALUE",
            repeats=True,
        ),
        Flag(
            "limits",
            "`strict` (the default), or `best-effort`: warn of limits that cannot be enforced here, and run",
            "strict|best-effort",
        ),
        Flag("name", "a name, unique among what runs", "NAME"),
        Flag("detach", "run in the background, and print the container's id", short="d"),
        Flag("rm", "remove a detached container's state and log at its end; another's go always"),
        Flag("restart", "start it again at its end: no, on-failure[:TIMES], always, unless-stopped", "POLICY"),
        Flag("stop-signal", "what `jettison stop` sends, instead of the image's or TERM", "SIGNAL"),
        Flag("stop-timeout", "how long `jettison stop` waits before it kills, 10 by default", "SECONDS"),
        Flag("health-cmd", "a command that says by its status whether the program is well", "COMMAND"),
        Flag("health-interval", "the time between two checks, 30s by default", "DURATION"),
        Flag("health-timeout", "how long one may take, 30s by default", "DURATION"),
        Flag("health-start-period", "how long failures do not count at first", "DURATION"),
        Flag("health-retries", "how many failures in a row make it unhealthy, 3 by default", "NUMBER"),
        Flag("no-healthcheck", "check nothing, whatever the image says"),
        Flag("label", "a label, to find the container by", "NAME[=VALUE]", short="l", repeats=True),
        Flag("label-file", "read labels from a file", "FILE", repeats=True),
        Flag("annotation", "a note for whoever inspects the container", "NAME=VALUE", repeats=True),
        Flag("log-driver", "`k8s-file`, or `none`: keep nothing of what a detached program prints", "DRIVER"),
        Flag("log-opt", "`max-size=SIZE` and `max-file=NUMBER`: what the log may take", "NAME=VALUE", repeats=True),
        Flag("cidfile", "write the container's id to a new file", "FILE"),
        Flag("security-opt", "`seccomp=FILE` or `seccomp=unconfined`: which system calls it may make", "OPTION", repeats=True),
        Flag("cap-add", "a capability that root in it has besides the usual seven, or `ALL`", "NAME", repeats=True),
        Flag("cap-drop", "a capability that root in it does not have, or `ALL`", "NAME", repeats=True),
        Flag("pull", "`missing` or `never`: the image has to be in the store", "POLICY"),
        Flag("platform", "the platform that the image has to be for", "OS/ARCHITECTURE"),
        Flag("explain", "print the steps of the start instead of taking them"),
    ),
    passes_on=True,
)

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
_TMPFS_OPTIONS = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"}
_ATTRIBUTES = {
    "ro": (syscalls.ATTR_RDONLY, True), "rw": (syscalls.ATTR_RDONLY, False),
    "nosuid": (syscalls.ATTR_NOSUID, True), "suid": (syscalls.ATTR_NOSUID, False),
    "nodev": (syscalls.ATTR_NODEV, True), "dev": (syscalls.ATTR_NODEV, False),
    "noexec": (syscalls.ATTR_NOEXEC, True), "exec": (syscalls.ATTR_NOEXEC, False),
}  # fmt: skip
# docker's other volume options: labels of SELinux, propagation that is always private here, and hints.
_VOLUME_OPTIONS = {"rw", "z", "Z", "private", "rprivate", "nocopy", "consistent", "cached", "delegated"}


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


# Environment


def environment(values: "Values") -> "list[str]":
    """What `--ca` says, then files, then flags: the last word counts."""
    texts = _ca_variables() if values.has("ca") else []
    texts += [text for path in values.texts("env-file") for text in _env_file(path)]
    for text in values.texts("env"):
        if not text or text.startswith("="):
            raise UsageError(f"`{text}` is no variable: expected NAME=VALUE or NAME")
        texts.append(_with_value(text))
    return texts


def _ca_variables() -> "list[str]":
    from jettison.cli.run_ca import variables

    return variables()


def _with_value(text: str) -> str:
    """NAME alone takes the caller's value, and is no variable where the caller has none."""
    return text if "=" in text or text not in os.environ else f"{text}={os.environ[text]}"


def _env_file(path: str) -> "list[str]":
    """docker's format: NAME=VALUE or NAME a line, the value to the letter; `#` begins a comment."""
    try:
        with open(path, "rb") as stream:
            lines = stream.read().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    texts = []
    for number, line in enumerate(lines, 1):
        text = os.fsdecode(line.removesuffix(b"\r").lstrip())
        name = text.partition("=")[0]
        if not text or text.startswith("#"):
            continue
        if not name or "\0" in text or any(mark.isspace() for mark in name):
            raise UsageError(f"line {number} of `{path}` is no variable: `{text:.40}`", "expected NAME=VALUE or NAME")
        if "=" in text or name in os.environ:
            texts.append(_with_value(text))
    return texts


# Names of machines


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
    """All that is mounted; a text is the target of an anonymous volume, as throw-away as all the rest."""
    folder = f"{store_path(values.text('store'))}/volumes"
    mounts: list[Bind | Tmpfs | str] = [_volume(text, folder) for text in values.texts("volume")]
    mounts += [_tmpfs(text) for text in values.texts("tmpfs")]
    if values.has("mount"):
        from jettison.cli.run_mounts import mount

        mounts += [mount(text, folder) for text in values.texts("mount")]
    return mounts


def _named_volumes(mounts: "Sequence[Bind | Tmpfs]") -> "list[Volume]":
    if all(type(mount) in (Bind, Tmpfs) for mount in mounts):
        return []
    from jettison.sandbox.volumes import Volume

    return [mount for mount in mounts if isinstance(mount, Volume)]


def _volume(text: str, volumes: str) -> "Bind | str":
    """SOURCE:TARGET[:OPTIONS]; TARGET alone is an anonymous volume. `volumes`: the folder of named ones."""
    source, colon, rest = text.partition(":")
    if not colon:
        return mount_target(text, text)
    target, _, option_text = rest.partition(":")
    options = [option for option in option_text.split(",") if option]
    for option in options:
        if option != "ro" and option not in _VOLUME_OPTIONS:
            raise UsageError(f"volume `{text}` has an unknown option `{option}`", "known are `ro` and `rw`")
    if not source.startswith(("/", ".")):
        return named_volume(volumes, source, mount_target(target, text), text, "ro" in options, "nocopy" not in options)
    path = os.path.abspath(source)
    if not os.path.exists(path):
        os.makedirs(path)  # as docker does
    return Bind(path, mount_target(target, text), "ro" in options)


def named_volume(volumes: str, name: str, target: str, text: str, read_only: bool, copies: bool) -> "Volume":
    """A volume by its name. Errors: UsageError where it is none."""
    if not is_name(name):
        hint = "letters, digits, `_`, `.` and `-`, a letter or digit first; a folder of this machine starts with `/` or `.`"
        raise UsageError(f"volume `{text}`: `{name}` is no name for a volume", hint)
    from jettison.sandbox.volumes import Volume

    return Volume(volumes, name, target, read_only, copies)


def _tmpfs(text: str) -> Tmpfs:
    """TARGET[:OPTIONS], the options those of tmpfs(5)."""
    target, _, option_text = text.partition(":")
    attributes = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
    options = {}
    for option in filter(None, option_text.split(",")):
        name, _, value = option.partition("=")
        if name in _ATTRIBUTES:
            attribute, is_set = _ATTRIBUTES[name]
            attributes = attributes | attribute if is_set else attributes & ~attribute
        elif name in _TMPFS_OPTIONS and value:
            options[name] = value
        else:
            raise UsageError(f"tmpfs `{text}` has an unknown option `{option}`", "known are size=, mode=, uid=, gid=, ro, exec …")
    return Tmpfs(mount_target(target, text), attributes, options)


def mount_target(path: str, text: str) -> str:
    """A mount's place inside. Nothing may lie on what hides parts of /proc."""
    clean = os.path.normpath(path)
    if not path.startswith("/") or clean in ("/", "//"):
        raise UsageError(f"`{text}` has no usable target: `{path}` is no absolute path below `/`")
    if clean == "/proc" or clean.startswith("/proc/"):
        raise UsageError(f"`{text}` would lie in /proc, which belongs to the kernel")
    return clean
