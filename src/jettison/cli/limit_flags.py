"""`run`'s limits in docker's words. Imported only where one is given."""

import os
import sys

from jettison.cli.main import readable
from jettison.errors import UsageError
from jettison.sandbox.cgroups import Limit, Setting
from jettison.sandbox.limits import SHM_BYTES, ULIMITS, Limits, Ulimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.cli.flags import Values

_NAMES = (
    "memory", "memory-swap", "memory-reservation", "memory-swappiness", "cpus", "cpu-shares", "cpu-period", "cpu-quota",
    "cpuset-cpus", "cpuset-mems", "pids-limit", "oom-score-adj", "shm-size",
)  # fmt: skip
RARE = ("cpu-shares", "cpu-period", "cpu-quota", "cpuset-mems", "memory-reservation", "memory-swappiness")
_UNITS = {"": 0, "b": 0}
_UNITS.update({f"{unit}{end}": 10 * power for power, unit in enumerate("kmgtp", 1) for end in ("", "b", "ib")})
_LARGEST = (1 << 63) - 1
_LEAST_MEMORY = 6 << 20  # docker's
_LEAST_CPUS = 0.01  # the kernel's shortest quota, 1 ms of its usual period
_PERIOD_US = 100_000
_SIZE_HINT = "bytes, or a number with a unit: `512m`, `1g`"
# docker's names; `as` would bound the start itself.
_ULIMITS = {
    "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
    "stack",
} & ULIMITS.keys()  # fmt: skip
_SYSCTLS = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
}  # fmt: skip


def limits(values: "Values", has_own_network: bool) -> Limits:
    """From the flags. Errors: UsageError that names the flag."""
    for name in _NAMES:
        if values.has(name) and "" in values.texts(name):
            raise UsageError(f"`--{name}` was given an empty value")
    effort = values.text("limits", "strict")
    if effort not in ("strict", "best-effort"):
        raise UsageError(f"`--limits {effort}` is neither `strict` nor `best-effort`")
    score = values.text("oom-score-adj")
    return Limits(
        [*_memory(values), *_cpus(values.text("cpus")), *_cpuset(values.text("cpuset-cpus")), *_pids(values), *_rare(values)],
        [ulimit(text) for text in values.texts("ulimit")],
        whole("oom-score-adj", score, -1000, 1000) if score else None,
        size_of(values, "shm-size") or SHM_BYTES,
        [sysctl(text, has_own_network) for text in values.texts("sysctl")],
        effort == "best-effort",
        _tell,
    )


def size(flag: str, text: str) -> int:
    """docker's sizes: `1073741824`, `512m`, `1.5g`, `64MB`; units are powers of 1024. Errors: UsageError."""
    number = text.rstrip("BKMGTPIbkmgtpi")
    unit = text[len(number) :].lower()
    whole, point, part = number.partition(".")
    if unit not in _UNITS or not _is_digits(whole) or (point and not _is_digits(part)):
        raise UsageError(f"`--{flag} {text}` is no size", _SIZE_HINT)
    amount = (int(whole + part) << _UNITS[unit]) // int("1" + "0" * len(part))
    if amount > _LARGEST:
        raise UsageError(f"`--{flag} {text}` is more than any machine has", _SIZE_HINT)
    return amount


def ulimit(text: str) -> Ulimit:
    """NAME=SOFT[:HARD]; -1 is no limit. Errors: UsageError."""
    name, equals, value = text.partition("=")
    soft, colon, hard = value.partition(":")
    if name not in _ULIMITS or not equals:
        raise UsageError(f"`--ulimit {text}` is no limit: expected NAME=SOFT[:HARD]", f"names are {', '.join(sorted(_ULIMITS))}")
    flag = f"ulimit {name}"
    values = [whole(flag, word, -1, _LARGEST) for word in (soft, hard if colon else soft)]
    if values[1] != -1 and (values[0] == -1 or values[0] > values[1]):
        raise UsageError(f"`--ulimit {text}`: the soft limit is more than the hard one", "give them as SOFT:HARD")
    return Ulimit(name, values[0], values[1])


def sysctl(text: str, has_own_network: bool) -> "tuple[str, str]":
    """NAME=VALUE of a setting that a world has of its own. Errors: UsageError."""
    name, equals, value = text.partition("=")
    parts = name.split(".")
    if not equals or not value or not all(part and part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise UsageError(f"`--sysctl {text}` is no setting: expected NAME=VALUE", "`--sysctl net.core.somaxconn=1024`")
    if parts[0] == "net" and not has_own_network:
        raise UsageError(
            f"`--sysctl {name}` would change this machine's network", "it wants `--network private` or `none` as well"
        )
    if name not in _SYSCTLS and parts[0] != "net" and parts[:2] != ["fs", "mqueue"]:
        hint = f"a world has {', '.join(sorted(_SYSCTLS))}, fs.mqueue.* and net.* of its own"
        raise UsageError(f"`--sysctl {name}` is the whole machine's", hint)
    return name, value


def _memory(values: "Values") -> "list[Limit]":
    """docker's rule: as much swap as memory, where nothing is said about it. -1: any amount."""
    memory = size_of(values, "memory")
    swap_text = values.text("memory-swap")
    both = -1 if swap_text == "-1" else size_of(values, "memory-swap")
    if not memory:
        if both:
            raise UsageError("`--memory-swap` counts memory and swap together, so it wants `--memory` as well")
        return []
    if memory < _LEAST_MEMORY:
        raise UsageError(f"`--memory {values.text('memory')}` is too little to start with", "at least `6m`")
    if 0 < both < memory:
        raise UsageError(f"`--memory-swap {swap_text}` is less than `--memory`", "it counts memory and swap together")
    limit = Limit("memory", "memory", one("memory.limit_in_bytes", memory), one("memory.max", memory))
    if both == -1:
        return [limit]
    both = both or min(2 * memory, _LARGEST)
    flag = "memory-swap" if swap_text else ""
    swap = Limit(flag, "memory", one("memory.memsw.limit_in_bytes", both), one("memory.swap.max", both - memory))
    return [limit, swap]


def _cpus(text: str) -> "list[Limit]":
    """A quota in a period of 100 ms. 0 is no limit."""
    if not text:
        return []
    whole, point, part = text.partition(".")
    if not _is_digits(whole or "0") or (point and not _is_digits(part)) or text == ".":
        raise UsageError(f"`--cpus {text}` is no number of processors", "`--cpus 1.5`")
    number, most = float(text), os.cpu_count() or 1
    if number == 0:
        return []
    if not _LEAST_CPUS <= number <= most:
        raise UsageError(f"`--cpus {text}` is not between {_LEAST_CPUS} and {most}, the processors of this machine")
    quota = round(number * _PERIOD_US)
    version1 = (Setting("cpu.cfs_period_us", str(_PERIOD_US)), Setting("cpu.cfs_quota_us", str(quota)))
    return [Limit("cpus", "cpu", version1, (Setting("cpu.max", f"{quota} {_PERIOD_US}"),))]


def _cpuset(text: str) -> "list[Limit]":
    if not text:
        return []
    most = os.sysconf("SC_NPROCESSORS_CONF") - 1  # those that are switched off have numbers too
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        bounds = [first, last] if dash else [first]
        if not all(_is_digits(word) and len(word) < 6 for word in bounds) or int(bounds[0]) > int(bounds[-1]):
            raise UsageError(f"`--cpuset-cpus {text}` is no list of processors", "`--cpuset-cpus 0-2,4`")
        if int(bounds[-1]) > most:
            raise UsageError(f"`--cpuset-cpus {text}`: this machine has the processors 0-{most}")
    cpus = Setting("cpuset.cpus", text)
    # A new group of version 1 has no memory nodes, and takes no process before it has some (cpusets(7)).
    return [Limit("cpuset-cpus", "cpuset", (Setting("cpuset.mems", ""), cpus), (cpus,))]


def _pids(values: "Values") -> "list[Limit]":
    """0 and -1 are no limit, as in docker."""
    text = values.text("pids-limit")
    number = whole("pids-limit", text, -1, 1 << 22) if text else 0
    if number == 1 and values.on("init", default=True):
        raise UsageError("`--pids-limit 1` has no room for a program below its init", "`--pids-limit 2`, or `--init=false`")
    setting = one("pids.max", number)
    return [Limit("pids-limit", "pids", setting, setting)] if number > 0 else []


def _rare(values: "Values") -> "list[Limit]":
    if not any(values.has(name) for name in RARE):
        return []
    from jettison.cli.rare_limits import limits as rare

    return rare(values)


def one(file: str, value: int) -> "tuple[Setting, ...]":
    return (Setting(file, str(value)),)


def size_of(values: "Values", flag: str) -> int:
    return size(flag, values.text(flag)) if values.text(flag) else 0


def whole(flag: str, text: str, least: int, most: int) -> int:
    digits = text.removeprefix("-")
    if not _is_digits(digits) or not least <= int(text) <= most:
        raise UsageError(f"`--{flag}`: `{text}` is no whole number between {least} and {most}")
    return int(text)


def _is_digits(text: str) -> bool:
    """ASCII alone, and no more than an address has: int() would take other scripts' digits, and any number of them."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def _tell(message: str) -> None:
    sys.stderr.write(f"warning: {readable(message)}\n")
    sys.stderr.flush()
