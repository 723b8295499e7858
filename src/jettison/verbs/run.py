"""Run an image: find it, lay out its process, start it in a world of its own.

A cached image takes the short way: a name's file, the run record's file, the layers' folders. What is missing, or named in
another way, takes the long one, whose modules are imported only then.
"""

import fcntl
import os
import time

from jettison.errors import HostError, UsageError
from jettison.oci.process import DEFAULT_PATH, Process, Record, User, command, environment
from jettison.sandbox.keep import Kept, keep
from jettison.sandbox.operations import machine_file
from jettison.sandbox.plan import Options, Place, plan
from jettison.sandbox.state import Container
from jettison.sandbox.upkeep import Upkeep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jettison.events import Reporter

_LOCALHOST = b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class Call:
    """One start: the image, the program's arguments, and how they differ from what the image says.

    `env`: NAME=VALUE texts, or NAME to remove one. `entrypoint`: None keeps the image's. `name`: unique among what runs.
    `groups`: more groups of the program, names of the image's or numbers. `platform`: what the image has to be for, or empty.
    """

    def __init__(
        self,
        image: str,
        arguments: "Sequence[str]" = (),
        env: "Sequence[str]" = (),
        entrypoint: "str | None" = None,
        workdir: str = "",
        user: str = "",
        name: str = "",
        options: "Options | None" = None,
        groups: "Sequence[str]" = (),
        upkeep: "Upkeep | None" = None,
        platform: str = "",
    ) -> None:
        self.image = image
        self.arguments = tuple(arguments)
        self.env = tuple(env)
        self.entrypoint = entrypoint
        self.workdir = workdir
        self.user = user
        self.name = name
        self.options = options or Options()
        self.groups = tuple(groups)
        self.upkeep = upkeep or Upkeep()
        self.platform = platform


def run(
    call: Call,
    store: str = "",
    make_reporter: "Callable[[], Reporter] | None" = None,
    announce: "Callable[[str], object]" = lambda container: None,
    ready: "Callable[[], None] | None" = None,
) -> int:
    """Run it to its end: its exit status, or 128 and the signal. `store`: the store's folder, if not the usual one.

    `make_reporter` is called where the image's layers have to be unpacked first; `announce` with the id of a detached container,
    whose program has started then; `ready` when that of another has. Errors: UsageError, NotFound, InvalidData, HostError,
    NotStarted.
    """
    open_streams()
    serve(call)
    store = store_path(store)
    if call.platform:
        from jettison.verbs.platform import require_platform

        require_platform(store, call.image, call.platform)
    record, lock = _hold(store, call.image, make_reporter)
    held = [lock]
    try:
        process, options, place = _prepare(store, record, call)
        held += _hold_volumes(options)
        with Container(store) as container:
            container.register(_checked_name(call.name), _facts(call, record, process), process, options.system_calls)
            _write_cidfile(call.upkeep.cidfile, container.id)
            kept = Kept(container, process, options, place, call.upkeep.restart, call.upkeep.health.over(record.health))
            if call.upkeep.is_detached:
                return _detach(kept, call.upkeep, announce)
            kept.ready = ready or kept.ready
            return keep(kept)
    finally:
        for descriptor in held:
            os.close(descriptor)


def _detach(kept: Kept, upkeep: Upkeep, announce: "Callable[[str], object]") -> int:
    from jettison.sandbox.background import detach
    from jettison.sandbox.log import Log

    container, options = kept.container, kept.options
    options.interactive = options.interactive and not options.terminal  # nobody types
    stdin = (os.dup(0) if upkeep.takes_stdin else os.pipe()[0]) if options.interactive else -1
    log = Log(container.folder, upkeep.log_bytes, upkeep.log_files) if upkeep.log_files else None
    try:
        detach(kept, log, stdin)
    finally:
        if log:
            log.close()
    announce(container.id)
    return 0


def serve(call: Call) -> None:
    """Pass on what a service manager gave us: its sockets (sd_listen_fds(3)), and where to tell how we are (sd_notify(3))."""
    if "NOTIFY_SOCKET" in os.environ or os.environ.get("LISTEN_PID") == str(os.getpid()):
        from jettison.sandbox.service import pass_on

        call.env += pass_on(call.options, os.environ)


def explain(call: Call, store: str = "") -> "list[str]":
    """What `run` would do, step by step."""
    store = store_path(store)
    record, lock = _hold(store, call.image)
    os.close(lock)
    outside = call.options.private.describe() if call.options.private else []
    return [*outside, *(operation.describe() for operation in plan(*_prepare(store, record, call)))]


def store_path(given: str = "") -> str:
    """The store's folder: as given, $JETTISON_HOME, or jettison below the user's data."""
    if given or os.environ.get("JETTISON_HOME"):
        return os.path.abspath(given or os.environ["JETTISON_HOME"])
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.abspath(f"{data}/jettison")


def open_streams() -> None:
    """Where the caller has closed stdin, stdout or stderr, no file of ours may take its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


# Finding


def _hold(store: str, image: str, make_reporter: "Callable[[], Reporter] | None" = None) -> "tuple[Record, int]":
    """The image's record, and a descriptor whose shared lock keeps `prune` from the image's layers."""
    digits = _tagged(store, image)
    held = _open_record(store, digits) if digits else None
    if held is None:
        held = _open_record(store, _unpack(store, image, make_reporter))
    if held is None:
        raise HostError(f"image `{image}` was removed from the store while it was started")
    return held


def _tagged(store: str, image: str) -> str:
    """The manifest's digest of a plain name like `app` or `app:1`; empty for every other word."""
    name, _, tag = image.partition(":")
    if not all(
        part.isascii() and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in (name, tag or "0")
    ):
        return ""
    try:
        with open(f"{store}/tags/docker.io%2Flibrary%2F{name}%3A{tag or 'latest'}", "rb", 0) as stream:
            digits = stream.read(100).decode("ascii", "replace").strip().removeprefix("sha256:")
    except OSError:
        return ""
    return digits if len(digits) == 64 and digits.isalnum() else ""


def _open_record(store: str, digits: str) -> "tuple[Record, int] | None":
    """None where the record or a layer of it is missing."""
    try:
        lock = os.open(f"{store}/run/{digits}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_SH)
    status = os.fstat(lock)
    record = Record.parse(os.read(lock, status.st_size))
    # A record without a name was removed between our two looks.
    if status.st_nlink and all(os.path.isdir(folder) for folder in _folders(store, record)):
        return record, lock
    os.close(lock)
    return None


def _unpack(store: str, image: str, make_reporter: "Callable[[], Reporter] | None") -> str:
    """The manifest's digest of an image whose layers are unpacked now."""
    from jettison.events import SILENT
    from jettison.image.rootfs import prepare
    from jettison.image.store import open_store

    local = open_store(store)
    _, digest = local.resolve(image)
    prepare(local, digest, make_reporter() if make_reporter else SILENT)
    return digest.hex


def _folders(store: str, record: Record) -> "list[str]":
    return [f"{store}/layers/{layer}" for layer in record.layers]


def _checked_name(name: str) -> str:
    if name and not is_name(name):
        raise UsageError(f"`{name}` is no name for a container", "letters, digits, `_`, `.` and `-`, a letter or digit first")
    return name


def _facts(call: Call, record: Record, process: Process) -> "list[tuple[str, str]]":
    """What others may know of the container: no environment."""
    upkeep, options = call.upkeep, call.options
    facts = [
        ("image", call.image),
        ("config-digest", record.config_digest),
        ("created", str(time.time_ns())),
        ("user", call.user or record.user_name),
        ("workdir", process.cwd),
        ("hostname", options.hostname or os.uname().nodename),
        ("network", options.network),
        ("capabilities", str(options.capabilities)),
        ("restart", upkeep.restart.policy),
        ("restart-limit", str(upkeep.restart.limit)),
        ("stop-signal", upkeep.stop_signal or record.stop_signal),
        ("stop-timeout", str(upkeep.stop_timeout_s)),
        *(("layer", layer) for layer in record.layers),
        *(("label", text) for text in upkeep.labels),
        *(("annotation", text) for text in upkeep.annotations),
        *(("arg", text) for text in process.argv),
        *(("mount", f"{mount.source}:{mount.target}:{'ro' if mount.read_only else 'rw'}") for mount in options.binds()),
    ]
    switches = {"keep": upkeep.is_kept, "detached": upkeep.is_detached, "tty": options.terminal, "read-only": options.read_only}
    return facts + [(name, "") for name, is_on in switches.items() if is_on]


def _write_cidfile(path: str, container: str) -> None:
    """Errors: UsageError where the file is there: it may be of a container that runs."""
    if not path:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise UsageError(f"`--cidfile {path}`: the file exists", "it may name a container that runs; remove it") from error
    except OSError as error:
        raise UsageError(f"cannot write `--cidfile {path}`: {error.strerror}") from error
    os.write(descriptor, container.encode())
    os.close(descriptor)


def _hold_volumes(options: Options) -> "list[int]":
    """Descriptors that keep the volumes, which are made where they are missing."""
    if not options.volumes:
        return []
    from jettison.image.volumes import hold

    return [hold(volume.folder, volume.name) for volume in options.volumes]


def is_name(text: str) -> bool:
    """Whether a container, a volume or a secret may be called so: never a way out of a folder."""
    return text.isascii() and text[:1].isalnum() and len(text) <= 128 and text.translate(_WITHOUT_MARKS).isalnum()


_WITHOUT_MARKS = {ord(mark): None for mark in "_.-"}


# Laying out


def _prepare(store: str, record: Record, call: Call) -> "tuple[Process, Options, Place]":
    options = call.options
    if not options.hostname and options.has_own_network:
        options.hostname = os.urandom(6).hex()
    hostname = options.hostname or os.uname().nodename
    user = user_of(store, record.layers, call.user) if call.user else record.user
    if call.groups:
        options.added_groups = _groups(store, record, call.groups)
        user = User(user.uid, user.gid, (*user.groups, *options.added_groups), user.home)
    defaults = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={hostname}", f"HOME={user.home}"]
    if options.terminal:
        defaults.append("TERM=xterm")
    process = Process(
        command(record, call.arguments, call.entrypoint),
        environment(record.env, call.env, defaults),
        call.workdir or record.workdir or "/",
        user,
    )
    options.anonymous_volumes = (*options.anonymous_volumes, *record.volumes)
    files = lambda: _files(options, hostname)  # noqa: E731
    return process, options, Place(_folders(store, record), f"{store}/tmp", files, _terminal_size(options))


def user_of(store: str, layers: "Sequence[str]", text: str) -> User:
    """Who `text` is in the image of these layers. Errors: InvalidData."""
    from jettison.image.merged import MergedLayers
    from jettison.image.record import image_account

    account = image_account(MergedLayers([f"{store}/layers/{layer}" for layer in layers]), text)
    return User(account.uid, account.gid, account.groups, account.home)


def _groups(store: str, record: Record, names: "Sequence[str]") -> "tuple[int, ...]":
    """The numbers of these groups in the image. Errors: InvalidData."""
    from jettison.image.merged import MergedLayers
    from jettison.image.record import image_groups

    return tuple(image_groups(MergedLayers(_folders(store, record)), names))


def _files(options: Options, hostname: str) -> "list[tuple[str, bytes]]":
    """What a program looks up about names: the machine's own files with its network, almost nothing without."""
    hosts, resolv = (b"", b"") if options.has_own_network else (machine_file("/etc/hosts"), machine_file("/etc/resolv.conf"))
    if options.has_own_network:
        full_name = f"{hostname}.{options.domainname} {hostname}" if options.domainname else hostname
        hosts = _LOCALHOST + f"127.0.0.1\t{full_name}\n".encode()
        if options.private:
            hosts = options.private.hosts_file(_LOCALHOST, full_name)
    if options.private:
        resolv = options.private.resolver_file(bool(options.names and options.names.servers))
    if options.names:
        hosts, resolv = options.names.hosts_file(hosts or _LOCALHOST), options.names.resolver_file(resolv)
    return [("/etc/hosts", hosts or _LOCALHOST), ("/etc/hostname", f"{hostname}\n".encode()), ("/etc/resolv.conf", resolv)]


def _terminal_size(options: Options) -> "tuple[int, int] | None":
    if not options.terminal:
        return None
    from jettison.sandbox.console import size_of

    return size_of(0) or size_of(1)
