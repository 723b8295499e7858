"""`run`'s limits that few ask for, in the files of both versions of control groups."""

import pytest

from jettison.cli import limit_flags
from jettison.cli.flags import parse
from jettison.cli.run_flags import COMMAND
from jettison.errors import UsageError
from jettison.sandbox.limits import Limits


def limits(words: str) -> Limits:
    """What the flags ask for."""
    return limit_flags.limits(parse(COMMAND, [*words.split(), "image"])[0], False)


def written(words: str, version: int) -> dict[str, str]:
    """The files of control groups and what goes into them."""
    return {setting.file: setting.value for limit in limits(words).controls for setting in limit.settings[version]}


@pytest.mark.parametrize(
    ("words", "version1", "version2"),
    [
        ("-c 512", {"cpu.shares": "512"}, {"cpu.weight": "20"}),
        ("-c 1", {"cpu.shares": "2"}, {"cpu.weight": "1"}),
        ("-c 262144", {"cpu.shares": "262144"}, {"cpu.weight": "10000"}),
        (
            "--cpu-period 50000 --cpu-quota 25000",
            {"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "25000"},
            {"cpu.max": "25000 50000"},
        ),
        ("--cpu-quota 25000", {"cpu.cfs_quota_us": "25000"}, {"cpu.max": "25000 100000"}),
        ("--cpu-period 50000", {"cpu.cfs_period_us": "50000"}, {"cpu.max": "max 50000"}),
        ("--cpuset-mems 0", {"cpuset.cpus": "", "cpuset.mems": "0"}, {"cpuset.mems": "0"}),
        ("--cpuset-cpus 0 --cpuset-mems 0", {"cpuset.cpus": "0", "cpuset.mems": "0"}, {"cpuset.cpus": "0", "cpuset.mems": "0"}),
        ("--memory-reservation 1m", {"memory.soft_limit_in_bytes": "1048576"}, {"memory.low": "1048576"}),
        ("--memory-swappiness 0", {"memory.swappiness": "0"}, {}),
        ("-c 0 --cpu-period 0 --cpu-quota 0 --memory-reservation 0 --memory-swappiness -1", {}, {}),
    ],
)
def test_what_is_written(words: str, version1: dict[str, str], version2: dict[str, str]) -> None:
    """The numbers of version 2 are those that runc makes of docker's; 0 is no limit."""
    assert (written(words, 1), written(words, 2)) == (version1, version2)


@pytest.mark.parametrize(
    "words",
    [
        "-c x", "-c -1", "--cpu-period 999", "--cpu-period 1000001", "--cpu-quota 999", "--cpu-quota -2", "--cpu-quota=",
        "--cpus 1 --cpu-quota 5000", "--cpuset-mems x", "--cpuset-mems 1-0", "--cpuset-mems 65000", "--cpuset-mems 0-1-2",
        "-m 10m --memory-reservation 11m", "--memory-reservation x", "--memory-swappiness 101", "--memory-swappiness x",
    ],
)  # fmt: skip
def test_what_is_refused(words: str) -> None:
    """Before anything is done."""
    with pytest.raises(UsageError, match="--"):
        limits(words)
