"""What a world may use of the machine: the limits of one run, its steps inside, and what holds it from outside.

Imported only where a limit was asked for.
"""

import os
import resource

from jettison.errors import HostError
from jettison.sandbox import cgroups, syscalls
from jettison.sandbox.cgroups import Limit
from jettison.sandbox.departure import write_setting
from jettison.sandbox.enter import Failure
from jettison.sandbox.operations import Operation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jettison.sandbox.enter import World

BY_MEMORY = 137  # 128 and SIGKILL
SHM_BYTES = 64 << 20  # docker's

ULIMITS = {name[7:].lower(): getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}


class Ulimit:
    """A limit of setrlimit(2) by its name there, in lower case."""

    def __init__(self, name: str, soft: int, hard: int) -> None:
        self.name = name
        self.kind = ULIMITS[name]
        self.values = (soft, hard)


class Limits:
    """`controls`: what control groups enforce. `tell` takes what the caller should hear of."""

    def __init__(
        self,
        controls: "Sequence[Limit]" = (),
        ulimits: "Sequence[Ulimit]" = (),
        oom_score_adj: "int | None" = None,
        shm_bytes: int = SHM_BYTES,
        sysctls: "Sequence[tuple[str, str]]" = (),
        best_effort: bool = False,
        tell: "Callable[[str], None]" = lambda message: None,
    ) -> None:
        self.controls = tuple(controls)
        self.ulimits = tuple(ulimits)
        self.oom_score_adj = oom_score_adj
        self.shm_bytes = shm_bytes
        self.sysctls = tuple(sysctls)
        self.best_effort = best_effort
        self.tell = tell

    def at_first(self) -> "list[Operation]":
        """The steps after the last change of group."""
        flags = [limit.flag for limit in self.controls if limit.flag]
        return [OwnGroup(flags)] if flags else []

    def settings(self) -> "list[Operation]":
        """The steps while the settings in /proc can be written."""
        return [KernelSetting(name, value) for name, value in self.sysctls]

    def at_last(self) -> "list[Operation]":
        """The steps before the privileges go: what comes earlier may need more than the program is to have."""
        return [ResourceLimits(self.ulimits)] if self.ulimits else []


class EnterGroup(Operation):
    """The limits hold from here on. The first step of all, as the doors are closed with everything of the caller's."""

    hint = "see `jettison doctor`"

    def __init__(self, doors: "Sequence[int]") -> None:
        self.doors = doors

    def describe(self) -> str:
        return "enter the control group of the limits"

    def execute(self, world: "World") -> None:
        for door in self.doors:
            os.write(door, b"0")


class OwnGroup(Operation):
    """The own control group is the topmost that can be seen, so /sys/fs/cgroup shows the limits that hold."""

    def __init__(self, flags: "Sequence[str]") -> None:
        self.flags = flags

    def describe(self) -> str:
        return f"see no control group but the own, which limits {', '.join(self.flags)}"

    def execute(self, world: "World") -> None:
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)


class KernelSetting(Operation):
    """A setting that belongs to the world's own namespaces."""

    hint = (
        "a user namespace may set those of `kernel.` and `fs.mqueue.` since Linux 6.9; an ordinary user as the image's root alone"
    )

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def describe(self) -> str:
        return f"set `{self.name}` to `{self.value}`"

    def execute(self, world: "World") -> None:
        try:
            write_setting(world, f"sys/{self.name.replace('.', '/')}", os.fsencode(self.value))
        except FileNotFoundError as error:
            raise Failure(f"cannot {self.describe()}: this kernel has no such setting for a world of its own") from error


class ResourceLimits(Operation):
    """Limits of setrlimit(2). The parent has raised the hard ones, where it may."""

    def __init__(self, ulimits: "Sequence[Ulimit]") -> None:
        self.ulimits = ulimits

    def describe(self) -> str:
        return f"limit {', '.join(ulimit.name for ulimit in self.ulimits)}"

    def execute(self, world: "World") -> None:
        world.linked()  # afterwards the limit may leave no room for it
        for ulimit in self.ulimits:
            hard = resource.getrlimit(ulimit.kind)[1]
            resource.setrlimit(ulimit.kind, (least(ulimit.values[0], hard), least(ulimit.values[1], hard)))


class Confinement:
    """What holds a world from outside, from before its start to after its end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._group = cgroups.Group()

    def __enter__(self) -> "Confinement":
        try:
            self._make_group()
        except BaseException:
            self._group.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._group.remove()

    def steps(self) -> "list[Operation]":
        """What the child does before everything else."""
        return [EnterGroup(self._group.doors())]

    def hold(self, pid: int) -> None:
        """Take a process that waits to be told who it is. Errors: HostError."""
        try:
            self._group.attach(pid)
        except OSError as error:
            raise HostError(f"cannot put a process into `{error.filename}`: {error.strerror}") from error
        for ulimit in self._limits.ulimits:
            self._raise_ulimit(pid, ulimit)
        if self._limits.oom_score_adj is not None:
            self._score(pid, self._limits.oom_score_adj)

    def tell(self, status: int) -> bool:
        """Whether the memory limit ended the program; it says so."""
        if status != BY_MEMORY or not self._group.memory_kills():
            return False
        self._limits.tell("the program was ended by its memory limit, `--memory`")
        return True

    def _make_group(self) -> None:
        controls = self._limits.controls
        if not controls:
            return
        sites = cgroups.sites(cgroups.own_layout(), tuple(dict.fromkeys(limit.controller for limit in controls)))
        for limit in controls:
            site = sites[limit.controller]
            if not site.folder:
                if limit.flag:
                    self._refuse(*cgroups.refusal(limit.flag, site))
                continue
            if not limit.settings[site.version]:
                self._refuse(
                    f"`--{limit.flag}` cannot be enforced: control groups of version {site.version} have no such limit", ""
                )
                continue
            try:
                self._group.apply(limit, site)
            except OSError as error:
                reason = f"`{error.filename}`: {error.strerror}"
                self._refuse(*cgroups.refusal(limit.flag or limit.controller, cgroups.Site(reason=reason, mend=_CEILING)))

    def _raise_ulimit(self, pid: int, ulimit: Ulimit) -> None:
        """Only who has CAP_SYS_RESOURCE outside may raise a hard limit."""
        soft, hard = resource.prlimit(pid, ulimit.kind)
        wanted = ulimit.values[1]
        if least(wanted, hard) == wanted:
            return
        try:
            resource.prlimit(pid, ulimit.kind, (soft, wanted))
        except (OSError, ValueError):
            hint = f"ask for at most {hard}, or raise it in /etc/security/limits.conf; `--limits=best-effort` takes {hard}"
            self._refuse(f"cannot enforce `--ulimit {ulimit.name}`: {_word(wanted)} is more than this user's {hard}", hint)

    def _score(self, pid: int, score: int) -> None:
        try:
            with open(f"/proc/{pid}/oom_score_adj", "wb", 0) as stream:
                stream.write(str(score).encode())
        except OSError as error:
            hint = "only who has CAP_SYS_RESOURCE may lower it; `--limits=best-effort` leaves it as it is"
            self._refuse(f"cannot enforce `--oom-score-adj {score}`: {error.strerror}", hint)

    def _refuse(self, message: str, hint: str) -> None:
        if not self._limits.best_effort:
            raise HostError(message, hint)
        self._limits.tell(f"{message}; running without it")


_CEILING = "a group above may allow less, or the kernel lacks the file"


def least(value: int, limit: int) -> int:
    """The lower of two limits of setrlimit(2), where -1 is none."""
    if resource.RLIM_INFINITY in (value, limit):
        return limit if value == resource.RLIM_INFINITY else value
    return min(value, limit)


def _word(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)
