"""What this machine can and cannot do, found out by doing it, and the exact mend."""

import fcntl
import importlib.util
import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Literal, NamedTuple

from jettison.errors import JettisonError
from jettison.oci.process import Process, User
from jettison.sandbox import bridge, cgroups, netlink, nftables, subordinate, syscalls, usermode
from jettison.sandbox.departure import Identity
from jettison.sandbox.enter import Failure, World
from jettison.sandbox.operations import Operation, OverlayRoot, Proc, Workspace
from jettison.sandbox.plan import Options, Place
from jettison.sandbox.program import NOT_FOUND
from jettison.sandbox.supervise import NotStarted, attempt, supervise

State = Literal["ok", "limited", "missing"]

_NEEDED_KERNEL = (5, 12)  # mount_setattr(2)
_WHOLE_KERNEL = (6, 6)  # tmpfs keeps the attributes that an overlay needs to replace a removed folder
_LITTLE_SPACE_BYTES = 1 << 30
_CAP_SYS_RESOURCE = 24  # capabilities(7)
_PRIVATE = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID


class Finding(NamedTuple):
    """`missing` means that pack or run cannot work; `limited` that something less does not. `mend`: what to do about it."""

    name: str
    state: State
    meaning: str
    mend: str = ""


def doctor(store: str) -> list[Finding]:
    """Examine this machine, and the folder of the store, which need not exist."""
    with tempfile.TemporaryDirectory(prefix="jettison-doctor-") as folder:
        return [
            kernel(),
            python(),
            user_namespaces(),
            processes(folder),
            overlay(folder, store),
            attributes(folder),
            whole_start(folder, "host"),
            whole_start(folder, "none"),
            private_network(),
            memory_files(),
            users(),
            control_groups(),
            resource_limits(),
            store_folder(store),
            terminal(),
        ]


def can_work(findings: list[Finding]) -> bool:
    """Whether pack and run can."""
    return all(finding.state != "missing" for finding in findings)


def kernel() -> Finding:
    """Its version says what it was made for; the other findings say what it does."""
    release = os.uname().release
    digits = release.replace("-", ".").split(".")
    version = tuple(int(part) for part in digits[:2] if part.isdigit())
    if version < _NEEDED_KERNEL:
        return Finding("kernel", "missing", f"Linux {release}; `run` needs 5.12 or later", "start a newer kernel")
    return Finding("kernel", "ok", f"Linux {release}")


def python() -> Finding:
    """The interpreter, and the libraries that compress layers."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    absent = [library for library in ("deflate", "zstandard") if importlib.util.find_spec(library) is None]
    if absent:
        mend = f"`{sys.executable} -m pip install {' '.join(absent)}`"
        return Finding("python", "missing", f"Python {version} without {', '.join(absent)}, which compress layers", mend)
    return Finding("python", "ok", f"Python {version} at {sys.executable}")


def user_namespaces() -> Finding:
    """Without them nothing runs."""
    return _try("user namespaces", "a process may have users of its own", [Identity(), _End()], 0)


def processes(folder: str) -> Finding:
    """A /proc that shows the own processes alone."""
    steps = [Identity(), Workspace(folder), OverlayRoot([]), Proc(), _End()]
    return _try("processes", "a process may have a /proc of its own", steps, _PRIVATE)


def overlay(folder: str, store: str) -> Finding:
    """Layers on each other, those of the store's own filesystem."""
    with _folder_in(nearest(store)) as layer:
        steps = [Identity(), Workspace(folder), OverlayRoot([layer]), _End()]
        return _try("overlay", "an image's layers can lie on each other", steps, _PRIVATE)


def attributes(folder: str) -> Finding:
    """What the throw-away layer needs to replace a folder of the image."""
    found = _try(
        "attributes", "memory keeps extended attributes", [Identity(), Workspace(folder), _Attribute(), _End()], _PRIVATE
    )
    if found.state == "ok":
        return found
    meaning = "a program cannot make a folder again that it removed from its image"
    return Finding("attributes", "limited", meaning, "start Linux 6.6 or later, with CONFIG_TMPFS_XATTR")


def whole_start(folder: str, network: str) -> Finding:
    """Everything that `run` does, up to the program, which is not there."""
    name = f"network {network}"
    options = Options(network, hostname="doctor", read_only=True)
    try:
        supervise(Process(["/absent"], [], "/", User(0, 0)), options, Place([], folder))
    except NotStarted as error:
        if error.exit_status == NOT_FOUND:
            return Finding(name, "ok", f"programs can be started with `--network {network}`")
        return Finding(name, "missing" if network == "host" else "limited", error.message, error.hint)
    except JettisonError as error:
        return Finding(name, "missing" if network == "host" else "limited", error.message, error.hint)
    return Finding(name, "missing", "a program that is not there was started", "please report it")


def private_network() -> Finding:
    """What root's bridge and an ordinary user's program need. No machine's network is changed to find out."""
    name = "network private"
    try:
        if os.geteuid() != 0:
            tool = usermode.find()
            usermode.require(tool)
            return Finding(name, "ok", f"programs can be started with `--network private`, through `{os.path.basename(tool)}`")
        nftables.require()
        attempt([Identity(), _Bridge(), _End()], syscalls.CLONE_NEWNET)
    except JettisonError as error:
        return Finding(name, "limited", error.message, error.hint)
    if _drops_forwarded(nftables.require()):
        mend = f"`for way in -i -o; do iptables -I DOCKER-USER $way {bridge.BRIDGE} -j ACCEPT; done` where it is docker's"
        return Finding(name, "limited", "worlds have no way out: a rule of this machine's drops what is forwarded", mend)
    return Finding(name, "ok", f"programs can be started with `--network private`, on the bridge `{bridge.BRIDGE}`")


def memory_files() -> Finding:
    """memfd_create(2)."""
    try:
        os.close(os.memfd_create("doctor"))
    except OSError as error:
        return Finding("memory files", "limited", f"memfd_create: {error.strerror}")
    return Finding("memory files", "ok", "files that lie in memory alone can be made")


def users() -> Finding:
    """How many users a world may have."""
    if os.geteuid() == 0:
        return Finding("users", "ok", "images have all their users, under their own numbers")
    name = _user_name()
    tools = [tool for tool in ("newuidmap", "newgidmap") if shutil.which(tool)]
    meaning = f"images have one user, who is `{name}` here"
    if not subordinate.ranges(subordinate.SUBUID) or not subordinate.ranges(subordinate.SUBGID):
        return Finding(
            "users", "limited", meaning, f"`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}`"
        )
    if len(tools) < 2:
        return Finding("users", "limited", meaning, "install the package that has `newuidmap` (`uidmap` in Debian)")
    found = _try(
        "users", f"images that start as root have all their users; root is `{name}` here", [Identity(), _Many(), _End()], 0
    )
    return found if found.state == "ok" else found._replace(state="limited", meaning=f"{meaning}: {found.meaning}")


def control_groups() -> Finding:
    """Which limits they can enforce here, by their layout: version 2, version 1, or both side by side."""
    layout = cgroups.own_layout()
    found = cgroups.sites(layout)
    refused = [name for name, site in found.items() if not site.folder]
    if not refused:
        return Finding("control groups", "ok", f"{layout.name}: `run` can limit {', '.join(found)}")
    first = found[refused[0]]
    meaning = f"{layout.name}: `run` cannot limit {', '.join(refused)}: {first.reason}"
    return Finding("control groups", "limited", meaning, first.mend)


def resource_limits() -> Finding:
    """Whether `--ulimit` may ask for more than this process has, and `--oom-score-adj` for less: CAP_SYS_RESOURCE."""
    status = dict(line.split(":", 1) for line in _lines("/proc/self/status"))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if int(status["CapEff"], 16) >> _CAP_SYS_RESOURCE & 1:
        return Finding("resource limits", "ok", "`--ulimit` and `--oom-score-adj` may be anything")
    meaning = f"`--ulimit` up to the hard limits of this process (nofile {files}), `--oom-score-adj` not below its own"
    mend = "raise them in /etc/security/limits.conf; what lowers the score is CAP_SYS_RESOURCE, as root has it"
    return Finding("resource limits", "limited", meaning, mend)


def store_folder(store: str) -> Finding:
    """Whether files can be made, locked and kept there."""
    folder = nearest(store)
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        mend = "choose another folder with `--store DIR` or $JETTISON_HOME"
        return Finding("store", "missing", f"cannot make and lock files in `{folder}`: {error.strerror}", mend)
    space = os.statvfs(folder)
    free_bytes = space.f_bavail * space.f_frsize
    meaning = f"`{store}`, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < _LITTLE_SPACE_BYTES:
        return Finding("store", "limited", meaning, "`jettison prune` frees what no name refers to")
    return Finding("store", "ok", meaning)


def terminal() -> Finding:
    """What `-it` needs."""
    if os.isatty(0):
        return Finding("terminal", "ok", f"`-it` works; TERM is `{os.environ.get('TERM', '')}`")
    return Finding("terminal", "limited", "stdin is no terminal, so `-it` is refused; `-i` works", "start it from a terminal")


def nearest(path: str) -> str:
    """The folder itself, or the nearest above it that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _folder_in(place: str) -> "tempfile.TemporaryDirectory[str]":
    """A folder in the place, or anywhere: that nothing can be made there is another finding's matter."""
    try:
        return tempfile.TemporaryDirectory(dir=place)
    except OSError:
        return tempfile.TemporaryDirectory()


class _End(Operation):
    """All went well."""

    hint = ""

    def describe(self) -> str:
        return "end"

    def execute(self, world: World) -> None:
        os._exit(0)


class _Many(Operation):
    """There are more users than one."""

    hint = "are `newuidmap` and `newgidmap` set-user-id root here, and the ranges free? See subuid(5)"

    def describe(self) -> str:
        return "have the users of /etc/subuid and /etc/subgid"

    def execute(self, world: World) -> None:
        if not world.has_many_users:
            raise Failure("`newuidmap` and `newgidmap` refused the ranges of /etc/subuid and /etc/subgid", self.hint)


class _Bridge(Operation):
    """Make a bridge in the own network."""

    hint = "the kernel needs CONFIG_BRIDGE and CONFIG_VETH"

    def describe(self) -> str:
        return "make a bridge"

    def execute(self, world: World) -> None:
        netlink.send([netlink.new_bridge(bridge.BRIDGE)])


class _Attribute(Operation):
    """Give a folder of the workspace an attribute."""

    hint = ""

    def describe(self) -> str:
        return "set an extended attribute in memory"

    def execute(self, world: World) -> None:
        os.setxattr("upper", "user.overlay.opaque", b"y")


def _try(name: str, meaning: str, steps: list[Operation], namespaces: int) -> Finding:
    try:
        attempt(steps, namespaces)
    except JettisonError as error:
        return Finding(name, "missing", error.message, error.hint)
    return Finding(name, "ok", meaning)


def _drops_forwarded(nft: str) -> bool:
    """Whether somebody's chain drops what is forwarded, and no rule knows of our bridge."""
    ruleset = subprocess.run([nft, "list", "ruleset"], capture_output=True, text=True, check=False).stdout
    is_strict = any("hook forward" in line and "policy drop" in line for line in ruleset.splitlines())
    return is_strict and f'"{bridge.BRIDGE}"' not in ruleset


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path) as stream:
            yield from stream
    except OSError:
        return
