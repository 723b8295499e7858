"""Profiles in docker's format: how they are read, and what is refused."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_machine import answer
from jettison.errors import InvalidData, UsageError
from jettison.sandbox.bpf import ALLOW, ENOSYS, EPERM, ERRNO, KILL_PROCESS, LOG
from jettison.sandbox.calls import ARCHITECTURES
from jettison.sandbox.capabilities import NAMES
from jettison.sandbox.profile import read_profile

X86_64 = ARCHITECTURES["x86_64"]
ALLOWED = "SCMP_ACT_ALLOW"


def entry(**fields: object) -> dict[str, object]:
    """A rule for one call."""
    return {"names": ["mkdir"], "action": ALLOWED} | fields


def decide(
    tmp_path: Path,
    *entries: object,
    call: str = "mkdir",
    arguments: tuple[int, ...] = (),
    more: Mapping[str, object] = {},
    capabilities: int = 0,
) -> int:
    """What a profile of these rules answers; by default, EPERM. `more`: other fields of it."""
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries} | dict(more)))
    profile = read_profile(str(path), X86_64, "6.1.0-13-amd64", capabilities)
    return answer(profile.program, X86_64.numbers()[call], arguments)


def test_names_and_actions(tmp_path: Path) -> None:
    """A rule is for its calls, the rest has the default; both may name an errno."""
    assert decide(tmp_path, entry()) == ALLOW
    assert decide(tmp_path, entry(), call="rmdir") == EPERM
    assert decide(tmp_path, more={"defaultErrnoRet": 38}) == ENOSYS
    assert decide(tmp_path, entry(action="SCMP_ACT_ERRNO", errnoRet=13)) == ERRNO | 13
    assert decide(tmp_path, entry(action="SCMP_ACT_KILL_PROCESS")) == KILL_PROCESS
    assert decide(tmp_path, {"name": "mkdir", "action": "SCMP_ACT_LOG"}) == LOG


def test_unknown_calls_are_passed_over(tmp_path: Path) -> None:
    """As libseccomp does: a profile names the calls of many machines and years."""
    assert decide(tmp_path, entry(names=["chown32", "mkdir", "of_tomorrow"])) == ALLOW


@pytest.mark.parametrize(
    ("op", "value", "second", "allowed", "refused"),
    [
        ("SCMP_CMP_NE", 5, 0, 6, 5),
        ("SCMP_CMP_LT", 5, 0, 4, 5),
        ("SCMP_CMP_LE", 5, 0, 5, 6),
        ("SCMP_CMP_EQ", 5, 0, 5, 1 << 32 | 5),
        ("SCMP_CMP_GE", 5, 0, 5, 4),
        ("SCMP_CMP_GT", 5, 0, 1 << 32, 5),
        ("SCMP_CMP_MASKED_EQ", 0xF0, 0x30, 0x13F, 0x4F),
        ("SCMP_CMP_MASKED_EQ", 0x7E020000, None, 17, 0x10000000),
    ],
)
def test_arguments(tmp_path: Path, op: str, value: int, second: int | None, allowed: int, refused: int) -> None:
    """Compared as 64 bits; the first value of MASKED_EQ is the mask."""
    rule = entry(args=[{"index": 1, "value": value, "valueTwo": second, "op": op}])

    assert decide(tmp_path, rule, arguments=(0, allowed)) == ALLOW
    assert decide(tmp_path, rule, arguments=(0, refused)) == EPERM


def test_several_arguments(tmp_path: Path) -> None:
    """All of them, but one of those about the same argument; one of several rules; a rule without arguments decides."""
    first, second, other = ({"index": i, "value": v, "op": "SCMP_CMP_EQ"} for i, v in ((0, 1), (0, 2), (1, 3)))

    assert decide(tmp_path, entry(args=[first, other]), arguments=(1, 3)) == ALLOW
    assert decide(tmp_path, entry(args=[first, other]), arguments=(1, 4)) == EPERM
    assert decide(tmp_path, entry(args=[first, second]), arguments=(2,)) == ALLOW
    assert decide(tmp_path, entry(args=[first]), entry(args=[second]), arguments=(2,)) == ALLOW
    assert decide(tmp_path, entry(args=[first], action="SCMP_ACT_LOG"), entry(), arguments=(1,)) == ALLOW


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["s390x"]}}, True),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"minKernel": "4.8"}}, True),
        ({"includes": {"minKernel": "6.10"}}, False),
        ({"includes": {"minKernel": "6.1"}}, True),
        ({"excludes": {"minKernel": "6.1"}}, False),
        ({"includes": None, "excludes": {}}, True),
    ],
)
def test_for_whom_a_rule_is(tmp_path: Path, where: dict[str, object], holds: bool) -> None:
    """By architecture, kernel and capabilities, of which there are none."""
    assert decide(tmp_path, entry(**where)) == (ALLOW if holds else EPERM)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"caps": ["CAP_SYS_ADMIN", "CAP_SYS_BOOT"]}}, False),
        ({"includes": {"caps": ["CAP_OF_TOMORROW"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_BOOT", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_BOOT"]}}, True),
        ({"includes": {"caps": ["CAP_SYS_ADMIN"]}, "excludes": {"caps": ["CAP_CHOWN"]}}, False),
    ],
)
def test_a_rule_for_capabilities(tmp_path: Path, where: dict[str, object], holds: bool) -> None:
    """All of the included ones, and none of the excluded."""
    capabilities = 1 << NAMES.index("SYS_ADMIN") | 1 << NAMES.index("CHOWN")

    assert decide(tmp_path, entry(**where), capabilities=capabilities) == (ALLOW if holds else EPERM)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"defaultAction": None}, "defaultAction is `None`"),
        ({"defaultAction": "ALLOW"}, "defaultAction is `ALLOW`"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        ({"listenerPath": "/x"}, "unknown key `listenerPath`"),
        ({"defaultErrnoRet": 5000}, "expected 0 to 4095"),
        ({"defaultErrnoRet": True}, "is a bool, expected a int"),
        ({"archMap": [{}], "architectures": ["SCMP_ARCH_X86"]}, "expected one"),
        ({"flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}, "flags is"),
        ({"syscalls": [3]}, "syscalls[0] is no object"),
        ({"syscalls": {}}, "is a dict, expected a list"),
        ({"syscalls": [{"action": ALLOWED}]}, "needs `names`"),
        ({"syscalls": [entry(names=[3])]}, "has 3"),
        ({"syscalls": [{"names": ["a"], "name": "b", "action": ALLOWED}]}, "needs `names`, or `name`"),
        ({"syscalls": [entry(arg=[])]}, "unknown key `arg`"),
        ({"syscalls": [entry(args=[{"index": 6, "op": "SCMP_CMP_EQ"}])]}, "args[0].index is 6"),
        ({"syscalls": [entry(args=[{"index": 0, "op": "EQ"}])]}, "args[0].op is `EQ`"),
        ({"syscalls": [entry(args=[{"index": 0, "value": 1 << 64, "op": "SCMP_CMP_EQ"}])]}, "no number of 64 bits"),
        ({"syscalls": [entry(includes={"minKernel": "new"})]}, "expected one like 4.8"),
        ({"syscalls": [entry(includes={"arch": []})]}, "unknown key `arch`"),
    ],
)
def test_what_is_no_profile(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    """Said where and why; nothing of it is dropped in silence."""
    with pytest.raises(InvalidData) as caught:
        decide(tmp_path, more=fields)

    assert said in caught.value.message and "profile.json" in caught.value.message


leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 1 << 65), st.sampled_from([ALLOWED, "SCMP_CMP_EQ", "mkdir", "4.8", "9" * 5000])
)
keys = st.sampled_from(
    [*"defaultAction syscalls flags names name action errnoRet args includes excludes minKernel caps".split(), "index", "op"]
)
values = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)), max_leaves=12
)


@given(st.dictionaries(keys, values, max_size=4), st.dictionaries(keys, values, max_size=4))
def test_any_other_shape_is_an_error_too(
    tmp_path_factory: pytest.TempPathFactory, profile: dict[str, object], one: dict[str, object]
) -> None:
    """Never a crash."""
    path = tmp_path_factory.getbasetemp() / "shape.json"
    path.write_text(json.dumps({"defaultAction": ALLOWED, "syscalls": [entry(**one)]} | profile))

    with suppress(InvalidData):
        read_profile(str(path), X86_64)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"defaultAction":NaN}', "[" * 100_000, " " * (2 << 20), '{"a":1,"a":2}'])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    """Strangers' JSON, read within bounds."""
    (tmp_path / "p").write_text(text)

    with pytest.raises(InvalidData, match="the seccomp profile"):
        read_profile(str(tmp_path / "p"))


def test_a_missing_file(tmp_path: Path) -> None:
    """Named."""
    with pytest.raises(UsageError, match="No such file"):
        read_profile(str(tmp_path / "absent"))


def test_a_profile_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    """Said here, not by the kernel."""
    much = [{"index": index, "value": 1 << 40, "op": "SCMP_CMP_GT"} for index in range(6)]

    with pytest.raises(InvalidData, match="too long for the kernel"):
        decide(tmp_path, *(entry(args=much) for _ in range(200)))
