"""Control groups: where this process may have one of its own, found by looking; and the group's life around a program's.

Version 1 has a hierarchy for each controller, version 2 one for all, and a hybrid machine has both (cgroups(7)).
"""

import fcntl
import os
import time

PREFIX = "jettison-"
CONTROLLERS = ("memory", "cpu", "cpuset", "pids")

_ATTEMPTS = 20
_REMOVAL_S = 2.0
_BEST_EFFORT = "; `--limits=best-effort` runs without what cannot be enforced"
_DELEGATE = "start it in a group of its own: `systemd-run --user --scope --property=Delegate=yes jettison run …`"
_DELEGATE_MORE = (
    "root delegates it with `systemctl edit user@.service`: `[Service]`, `Delegate=cpu cpuset io memory pids`, and a new login"
)


class Layout:
    """Where this process is. `version1`: its group's folder by controller; `version2`: its group's folder, or empty."""

    def __init__(self, name: str, version1: "dict[str, str]", version2: str) -> None:
        self.name = name
        self.version1 = version1
        self.version2 = version2


class Site:
    """Where a controller can limit a new group: a folder and its version; or an empty folder, the reason and the mend."""

    def __init__(self, folder: str = "", version: int = 0, reason: str = "", mend: str = "") -> None:
        self.folder = folder
        self.version = version
        self.reason = reason
        self.mend = mend


class Setting:
    """A file of a new group and what is written to it; an empty value is that of the group above."""

    def __init__(self, file: str, value: str) -> None:
        self.file = file
        self.value = value


class Limit:
    """What a flag asks of a controller, in the files of both versions. Without a flag it is a default of ours, which is
    passed over where the kernel has no such file."""

    def __init__(self, flag: str, controller: str, version1: "tuple[Setting, ...]", version2: "tuple[Setting, ...]") -> None:
        self.flag = flag
        self.controller = controller
        self.settings = {1: version1, 2: version2}


# Looking


def own_layout() -> Layout:
    """This process's."""
    return read_layout(_read("/proc/self/mountinfo"), _read("/proc/self/cgroup"))


def read_layout(mountinfo: str, membership: str) -> Layout:
    """From the texts of /proc/self/mountinfo and /proc/self/cgroup."""
    paths = _paths(membership)
    version1: dict[str, str] = {}
    version2 = ""
    kinds = set()
    for line in mountinfo.splitlines():
        front, _, back = line.partition(" - ")
        root, point = (_unescape(field) for field in front.split(" ")[3:5])
        kind, _, options = back.split(" ", 2)
        if kind == "cgroup2":
            kinds.add(kind)
            version2 = version2 or _folder(root, point, paths.get("", ""))
        if kind == "cgroup":
            for controller in set(options.split(",")) & paths.keys() & set(CONTROLLERS):
                kinds.add(kind)
                version1.setdefault(controller, _folder(root, point, paths[controller]))
    names = {(True, True): "hybrid", (True, False): "version 1", (False, True): "version 2", (False, False): "none"}
    return Layout(names["cgroup" in kinds, "cgroup2" in kinds], version1, version2)


def sites(layout: Layout, controllers: "tuple[str, ...]" = CONTROLLERS) -> "dict[str, Site]":
    """Where each controller can limit a new group. Nothing is changed."""
    found = {name: _version1_site(layout.version1[name]) for name in controllers if name in layout.version1}
    rest = [name for name in controllers if name not in found]
    if not rest or not layout.version2:
        return {**found, **{name: _absent(layout, name) for name in rest}}
    base = _version2_base(layout.version2, rest)
    offered = _words(f"{base or layout.version2}/cgroup.controllers")
    for name in rest:
        if name not in offered:
            found[name] = _absent(layout, name)
        elif not base:
            reason = f"the control group `{layout.version2}` is not delegated to this user, or has other processes in it"
            found[name] = Site(reason=reason, mend=_DELEGATE)
        else:
            found[name] = Site(base, 2)
    return found


def _version1_site(folder: str) -> Site:
    if not folder or not os.path.isdir(folder):
        return Site(reason="the own control group is outside of what is mounted here", mend="mount /sys/fs/cgroup again")
    if _is_writable(folder):
        return Site(folder, 1)
    if os.geteuid() == 0:
        return Site(reason=f"`{folder}` cannot be written", mend="mount it writable (in a container of docker: `--privileged`)")
    mend = "run it as root, or boot with `systemd.unified_cgroup_hierarchy=1`"
    return Site(reason="an ordinary user cannot use control groups of version 1", mend=mend)


def _absent(layout: Layout, controller: str) -> Site:
    if layout.name == "none":
        mend = "`sudo mount -t cgroup2 none /sys/fs/cgroup`"
        return Site(reason="no control groups are mounted here", mend=mend)
    mend = _DELEGATE_MORE
    if os.geteuid() == 0:
        mend = f"boot with `cgroup_enable={controller}`, or mount its hierarchy where the kernel has version 1 alone"
    return Site(reason=f"the controller `{controller}` is not there ({layout.name})", mend=mend)


def _version2_base(own: str, controllers: "list[str]") -> str:
    """The nearest group, from our own upwards, below which all controllers work; else one below which some do.

    A group that has a limit of memory or processors itself is not stepped out of.
    """
    fallback = ""
    folder = own
    while os.path.exists(f"{folder}/cgroup.controllers"):
        offered = set(controllers) & set(_words(f"{folder}/cgroup.controllers"))
        if offered and _can_divide(folder, offered):
            if len(offered) == len(controllers):
                return folder
            fallback = fallback or folder
        if _is_limited(folder):
            break
        folder = os.path.dirname(folder)
    return fallback


def _can_divide(folder: str, controllers: "set[str]") -> bool:
    """Whether we may make groups below one and limit them: a group with processes of its own cannot (cgroups(7))."""
    if not (_is_writable(folder) and os.access(f"{folder}/cgroup.procs", os.W_OK)):
        return False
    if controllers <= set(_words(f"{folder}/cgroup.subtree_control")):
        return True
    is_root = not os.path.exists(f"{folder}/cgroup.type")
    processes = _words(f"{folder}/cgroup.procs")
    return os.access(f"{folder}/cgroup.subtree_control", os.W_OK) and (is_root or processes in ([], [str(os.getpid())]))


def _is_limited(folder: str) -> bool:
    return any((_words(f"{folder}/{file}") or ["max"])[0] != "max" for file in ("memory.max", "memory.swap.max", "cpu.max"))


# A group's life


class Group:
    """A new group, in each hierarchy that its limits need, until `remove`. Its folders are locked while its maker lives."""

    def __init__(self) -> None:
        self._by_base: dict[str, tuple[str, int]] = {}  # the folder, and the descriptor that locks it
        self._doors: dict[str, int] = {}  # of version 1, by folder
        self._undo: list[tuple[str, str]] = []  # files and what is written to them before the end
        self._leaf: tuple[str, int] | None = None

    def apply(self, limit: Limit, site: Site) -> None:
        """Make the group there, if it is not yet, and write the limit. Errors: OSError that names the file."""
        if site.version == 2:
            self._enable(site.folder, limit.controller)
        folder = self._folder(site.folder)
        if site.version == 1 and folder not in self._doors:
            self._doors[folder] = os.open(f"{folder}/tasks", os.O_WRONLY)
        for setting in limit.settings[site.version]:
            value = setting.value or _read(f"{site.folder}/{setting.file}").strip()
            if limit.flag or os.path.exists(f"{folder}/{setting.file}"):
                _write(f"{folder}/{setting.file}", value)

    def doors(self) -> "list[int]":
        """Descriptors for a process of one thread to enter the folders of version 1 by: it writes `0` to each.

        Only who moves itself does not wait for all processors: 0.03 ms instead of 10 (Linux 6.0).
        """
        return list(self._doors.values())

    def attach(self, pid: int) -> None:
        """Put a process into the folder of version 2. There it depends on the namespaces of who writes. Errors: OSError."""
        for folder, _ in self._by_base.values():
            if folder not in self._doors:
                _write(f"{folder}/cgroup.procs", str(pid))

    def memory_kills(self) -> int:
        """How many processes of the group the memory limit has ended."""
        words = [
            line.split()
            for folder, _ in self._by_base.values()
            for file in ("memory.events", "memory.oom_control")
            for line in _read(f"{folder}/{file}").splitlines()
        ]
        return sum(int(pair[1]) for pair in words if pair[0] == "oom_kill")

    def remove(self) -> None:
        """After the last process ended."""
        for door in self._doors.values():
            os.close(door)
        for folder, lock in self._by_base.values():
            _remove(folder)
            os.close(lock)
        for file, text in self._undo:
            _try_write(file, text)
        if self._leaf:
            _remove(self._leaf[0])
            os.close(self._leaf[1])

    def _folder(self, base: str) -> str:
        if base not in self._by_base:
            sweep(base)
            self._by_base[base] = _make(base)
        return self._by_base[base][0]

    def _enable(self, base: str, controller: str) -> None:
        """Let the groups below one have a controller; we ourselves step down into one where we are in the way."""
        if controller in _words(f"{base}/cgroup.subtree_control"):
            return
        if os.path.exists(f"{base}/cgroup.type") and str(os.getpid()) in _words(f"{base}/cgroup.procs"):
            self._leaf = _make(base)
            _write(f"{self._leaf[0]}/cgroup.procs", str(os.getpid()))
            self._undo.append((f"{base}/cgroup.procs", str(os.getpid())))
        _write(f"{base}/cgroup.subtree_control", f"+{controller}")
        if self._leaf:  # we can step back only where no group below has a controller
            self._undo.insert(0, (f"{base}/cgroup.subtree_control", f"-{controller}"))


class Membership:
    """The groups of ours that a process is in, for another to enter. What `Group` says of doors holds here."""

    def __init__(self, pid: int) -> None:
        layout = read_layout(_read("/proc/self/mountinfo"), _read(f"/proc/{pid}/cgroup"))
        ours = {folder for folder in layout.version1.values() if _is_ours(folder)}
        self._doors = [os.open(f"{folder}/tasks", os.O_WRONLY) for folder in sorted(ours)]
        self._version2 = layout.version2 if _is_ours(layout.version2) else ""

    def doors(self) -> "list[int]":
        """As those of `Group`."""
        return self._doors

    def attach(self, pid: int) -> None:
        """As that of `Group`. Errors: OSError."""
        if self._version2:
            _write(f"{self._version2}/cgroup.procs", str(pid))

    def close(self) -> None:
        """Close the doors."""
        for door in self._doors:
            os.close(door)


def _is_ours(folder: str) -> bool:
    return os.path.basename(folder).startswith(PREFIX)


def sweep_groups() -> None:
    """Sweep wherever a run that starts now would have a group."""
    for folder in {site.folder for site in sites(own_layout()).values() if site.folder}:
        sweep(folder)


def sweep(base: str) -> None:
    """Remove the groups whose makers were killed: nobody holds their lock. Those with processes stay for the next time."""
    for name in os.listdir(base):
        if not name.startswith(PREFIX):
            continue
        try:
            lock = os.open(f"{base}/{name}", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        if _locks(lock):
            _try_rmdir(f"{base}/{name}")
        os.close(lock)


def _make(base: str) -> "tuple[str, int]":
    """A new folder and its lock. Somebody else's sweep may be quicker than our lock, so look again."""
    for _ in range(_ATTEMPTS):
        folder = f"{base}/{PREFIX}{os.urandom(6).hex()}"
        os.mkdir(folder, 0o755)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if _locks(lock) and os.path.isdir(folder):
            return folder, lock
        os.close(lock)
        _try_rmdir(folder)
    raise OSError(11, "others remove every new control group", base)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(folder: str) -> None:
    """The kernel needs a moment to forget the last process; what it does not forget is swept by the next run."""
    until_s = time.monotonic() + _REMOVAL_S
    while not _try_rmdir(folder) and time.monotonic() < until_s:
        time.sleep(0.002)


def _try_rmdir(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


# Texts


def refusal(flag: str, site: Site) -> "tuple[str, str]":
    """The message and the mend for a limit that cannot be enforced."""
    return f"cannot enforce `--{flag}`: {site.reason}", site.mend + _BEST_EFFORT


def _paths(membership: str) -> "dict[str, str]":
    """The own path by controller; that of version 2 has no name."""
    lines = [line.split(":", 2) for line in membership.splitlines()]
    return {name: path for _, names, path in lines for name in names.split(",")}


def _folder(root: str, point: str, path: str) -> str:
    """Where a group's path lies in a mount that shows the hierarchy from `root`; empty where it does not."""
    if not path or "/../" in f"{path}/":
        return ""
    if root == "/":
        return f"{point}{path}".rstrip("/")
    inside = f"{path}/".startswith(f"{root}/")
    return f"{point}{path[len(root) :]}".rstrip("/") if inside else ""


def _unescape(text: str) -> str:
    """proc_pid_mountinfo(5): space, tab, line end and backslash are octal."""
    for mark in " \t\n\\":
        text = text.replace(f"\\{ord(mark):03o}", mark)
    return text


def _is_writable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _words(path: str) -> "list[str]":
    return _read(path).split()


def _read(path: str) -> str:
    """Empty where there is no such file."""
    try:
        with open(path, "rb", 0) as stream:
            return os.fsdecode(stream.read())
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    try:
        with open(path, "wb", 0) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error  # a failed write names no file


def _try_write(path: str, text: str) -> None:
    try:
        _write(path, text)
    except OSError:
        return
