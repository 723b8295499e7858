"""`run`'s limits that few ask for, in docker's words. Imported only where one is given."""

import os

from jettison.cli.limit_flags import RARE, one, size_of, whole
from jettison.errors import UsageError
from jettison.sandbox.cgroups import Limit, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.cli.flags import Values

_LEAST_SHARES, _MOST_SHARES, _MOST_WEIGHT = 2, 262_144, 10_000  # of version 1; and of version 2, from 1 on
_PERIODS_US = (1_000, 1_000_000)  # the kernel's
_PERIOD_US = 100_000
_MOST_QUOTA_US = 1 << 40


def limits(values: "Values") -> "list[Limit]":
    """From the flags. 0 is no limit, as in docker. Errors: UsageError that names the flag."""
    if values.text("cpus") and (values.has("cpu-period") or values.has("cpu-quota")):
        raise UsageError("`--cpus` and `--cpu-period` or `--cpu-quota` say the same in two ways", "leave one of them out")
    texts = {name: values.text(name) for name in RARE}
    found = [_shares(texts), *_quota(texts), _nodes(values), _reservation(values), _swappiness(texts)]
    return [limit for limit in found if limit]


def _shares(texts: "dict[str, str]") -> "Limit | None":
    """A weight of version 2 stands for shares as runc has it."""
    shares = whole("cpu-shares", texts["cpu-shares"] or "0", 0, _MOST_SHARES)
    if not shares:
        return None
    shares = max(shares, _LEAST_SHARES)
    weight = 1 + (shares - _LEAST_SHARES) * (_MOST_WEIGHT - 1) // (_MOST_SHARES - _LEAST_SHARES)
    return Limit("cpu-shares", "cpu", one("cpu.shares", shares), one("cpu.weight", weight))


def _quota(texts: "dict[str, str]") -> "list[Limit]":
    period = whole("cpu-period", texts["cpu-period"] or "0", 0, _PERIODS_US[1])
    quota = whole("cpu-quota", texts["cpu-quota"] or "0", -1, _MOST_QUOTA_US)
    for flag, number in (("cpu-period", period), ("cpu-quota", quota)):
        if 0 < number < _PERIODS_US[0]:
            raise UsageError(f"`--{flag} {number}` is too short", f"at least {_PERIODS_US[0]} microseconds")
    version1 = [Setting("cpu.cfs_period_us", str(period))] if period else []
    version1 += [Setting("cpu.cfs_quota_us", str(quota))] if quota > 0 else []
    both = f"{quota if quota > 0 else 'max'} {period or _PERIOD_US}"
    flag = "cpu-quota" if quota > 0 else "cpu-period"
    return [Limit(flag, "cpu", tuple(version1), (Setting("cpu.max", both),))] if version1 else []


def _nodes(values: "Values") -> "Limit | None":
    text = values.text("cpuset-mems")
    if not text:
        return None
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        bounds = [whole("cpuset-mems", word, 0, 1 << 16) for word in ([first, last] if dash else [first])]
        if bounds[0] > bounds[-1] or not all(os.path.isdir(f"/sys/devices/system/node/node{number}") for number in bounds):
            raise UsageError(f"`--cpuset-mems {text}`: this machine does not have all these memory nodes", "`lscpu` shows them")
    nodes = Setting("cpuset.mems", text)
    # A new group of version 1 has no processors, and takes no process before it has some (cpusets(7)).
    processors = () if values.text("cpuset-cpus") else (Setting("cpuset.cpus", ""),)
    return Limit("cpuset-mems", "cpuset", (*processors, nodes), (nodes,))


def _reservation(values: "Values") -> "Limit | None":
    reserved, most = size_of(values, "memory-reservation"), size_of(values, "memory")
    if not reserved:
        return None
    if most and most < reserved:
        raise UsageError(
            "`--memory-reservation` is more than `--memory`", "it is what memory is cut back to first, below the limit"
        )
    return Limit("memory-reservation", "memory", one("memory.soft_limit_in_bytes", reserved), one("memory.low", reserved))


def _swappiness(texts: "dict[str, str]") -> "Limit | None":
    text = texts["memory-swappiness"]
    if text in ("", "-1"):
        return None
    return Limit("memory-swappiness", "memory", one("memory.swappiness", whole("memory-swappiness", text, 0, 100)), ())
