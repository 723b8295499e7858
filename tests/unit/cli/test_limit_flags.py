"""`run`'s limits: docker's words, and what is none of them."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.cli import limit_flags
from jettison.cli.flags import parse
from jettison.cli.run_flags import COMMAND
from jettison.errors import UsageError
from jettison.sandbox.limits import Limits


def limits(*words: str, own_network: bool = False) -> Limits:
    """What the flags ask for."""
    return limit_flags.limits(parse(COMMAND, [*words, "image"])[0], own_network)


def written(found: Limits, version: int) -> dict[str, str]:
    """The files of control groups and what goes into them."""
    return {setting.file: setting.value for limit in found.controls for setting in limit.settings[version]}


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0), ("1", 1), ("1073741824", 1 << 30), ("10b", 10), ("512k", 512 << 10), ("512m", 512 << 20), ("1g", 1 << 30),
        ("1G", 1 << 30), ("64MB", 64 << 20), ("64MiB", 64 << 20), ("1.5g", 3 << 29), ("0.5k", 512), ("2t", 2 << 40),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)  # fmt: skip
def test_sizes_are_dockers(text: str, size_bytes: int) -> None:
    """Bytes, or a number and a unit of 1024, as go-units reads them."""
    assert limit_flags.size("memory", text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "", "-1", "+1", "x", "m", "1x", "1mm", "1 m", "1bb", "1.", ".5g", "1..5g", "1e9", "0x10", "nan", "inf", "٣", "1_000",
        "9223372036854775808", "9" * 30, "8388608t", "-9223372036854775808",
    ],
)  # fmt: skip
def test_what_is_no_size(text: str) -> None:
    """Negative, overflowing and other words are refused with the flag's name."""
    with pytest.raises(UsageError, match="--memory"):
        limit_flags.size("memory", text)


@given(st.text(max_size=40))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    """Nothing else than a number in range or the error comes of it."""
    try:
        assert 0 <= limit_flags.size("memory", text) < 1 << 63
    except UsageError:
        pass


def test_memory_brings_as_much_swap() -> None:
    """docker's default. Version 1 counts both together, version 2 swap alone."""
    found = limits("-m", "64m")

    assert written(found, 1) == {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "134217728"}
    assert written(found, 2) == {"memory.max": "67108864", "memory.swap.max": "67108864"}
    assert [limit.flag for limit in found.controls] == ["memory", ""]


@pytest.mark.parametrize(("swap", "most"), [("64m", "0"), ("100m", str(36 << 20))])
def test_swap_is_what_is_left(swap: str, most: str) -> None:
    """`--memory-swap` is memory and swap together."""
    assert written(limits("-m", "64m", "--memory-swap", swap), 2)["memory.swap.max"] == most


def test_any_amount_of_swap() -> None:
    """-1 leaves swap without a limit."""
    assert list(written(limits("-m", "64m", "--memory-swap", "-1"), 2)) == ["memory.max"]


def test_processors_are_a_quota() -> None:
    """Of a period of 100 ms."""
    found = limits("--cpus", "0.5")

    assert written(found, 1) == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    assert written(found, 2) == {"cpu.max": "50000 100000"}


def test_a_new_set_of_processors_has_the_nodes_above() -> None:
    """Version 1 takes no process into a group without memory nodes."""
    assert written(limits("--cpuset-cpus", "0"), 1) == {"cpuset.mems": "", "cpuset.cpus": "0"}


def test_what_is_no_limit() -> None:
    """docker's words for "as much as it likes"."""
    assert limits("--pids-limit", "-1", "--cpus", "0", "--memory", "0").controls == ()


def test_ulimits() -> None:
    """Soft and hard, or one for both; -1 is none."""
    found = limits("--ulimit", "nofile=10:20", "--ulimit", "core=0", "--ulimit", "stack=5:-1").ulimits

    assert [(each.kind, each.values) for each in found] == [
        (resource.RLIMIT_NOFILE, (10, 20)),
        (resource.RLIMIT_CORE, (0, 0)),
        (resource.RLIMIT_STACK, (5, -1)),
    ]


def test_a_size_of_shared_memory() -> None:
    """docker's 64m where nothing is said, also where 0 is: for a tmpfs that were any amount."""
    assert [limits("--shm-size", text).shm_bytes for text in ("1g", "0")] == [1 << 30, 64 << 20]


def test_settings_of_the_own_network() -> None:
    """net.* belongs to the network, the others to the world's own message queues."""
    found = limits("--sysctl", "net.core.somaxconn=9", "--sysctl", "kernel.sem=1 2 3 4", own_network=True)

    assert found.sysctls == (("net.core.somaxconn", "9"), ("kernel.sem", "1 2 3 4"))


@pytest.mark.parametrize(
    "words",
    [
        "-m 5m", "-m=", "--memory-swap 1g", "-m 1g --memory-swap 512m", "-m 1g --memory-swap -2",
        "--cpus -1", "--cpus x", "--cpus .", "--cpus 1e3", "--cpus 100000", "--cpus 0.001", "--cpus nan", "--cpus 1.2.3",
        "--cpuset-cpus x", "--cpuset-cpus 1-0", "--cpuset-cpus 0,", "--cpuset-cpus 99999", "--cpuset-cpus -1",
        "--cpuset-cpus 0-1-2",
        "--pids-limit x", "--pids-limit -2", "--pids-limit 1", "--pids-limit 99999999999999999999999",
        "--ulimit nofile", "--ulimit nofile=", "--ulimit x=1", "--ulimit nofile=2:1", "--ulimit nofile=-1:5",
        "--ulimit nofile=-2", "--ulimit nofile=1:2:3", "--ulimit nofile=9223372036854775808", "--ulimit as=1",
        "--oom-score-adj 1001", "--oom-score-adj -1001", "--oom-score-adj x", "--oom-score-adj=",
        "--shm-size -1", "--shm-size x",
        "--sysctl kernel.hostname=x", "--sysctl net.core.somaxconn=1", "--sysctl kernel.sem", "--sysctl kernel.sem=",
        "--sysctl fs.mqueue..x=1", "--sysctl fs.mqueue/../../kernel/core_pattern=x", "--sysctl vm.swappiness=1", "--sysctl =1",
        "--limits none",
    ],
)  # fmt: skip
def test_what_is_refused(words: str) -> None:
    """Before anything is done."""
    with pytest.raises(UsageError, match="--"):
        limits(*words.split())
