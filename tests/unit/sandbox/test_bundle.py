"""The config.json of a bundle: what runc is told."""

from typing import Any

import pytest

from bpf_machine import answer
from jettison.errors import HostError, InvalidData
from jettison.oci.process import Process, User
from jettison.sandbox.bpf import ALLOW
from jettison.sandbox.bundle import Identity, configuration
from jettison.sandbox.calls import ARCHITECTURES
from jettison.sandbox.seccomp import usual

USER = User(1000, 1001, (1001, 20), "/home/u")
ROOT = User(0, 0)
ARGUMENTS = (0, 1, 2, 8, 10, 16, 17, 21, 29, 31, 38, 40, 44, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF, (1 << 32) | 38, 17 | 1 << 28)


def document(user: User = ROOT, owner: Identity | None = None, architecture: str = "amd64", env: str = "A=b") -> dict[str, Any]:
    return configuration(Process(["/app", "x"], [env], "/srv", user), architecture, {}, owner)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_same_system_calls_are_allowed(name: str) -> None:
    """Each call, with each argument, is allowed by the document where our own filter allows it, and nowhere else."""
    architecture = ARCHITECTURES[name]
    profile = document(architecture=architecture.docker)["linux"]["seccomp"]
    program = usual(architecture).program

    for call, number in architecture.numbers().items():
        for argument in ARGUMENTS:
            ours = answer(program, number, (argument,), architecture.audit) == ALLOW
            assert is_allowed(profile, call, argument) == ours, f"{call}({argument:#x})"


def test_what_is_refused_says_how() -> None:
    """A harmful call gives EPERM, an unknown one ENOSYS."""
    profile = document()["linux"]["seccomp"]
    refused = [entry for entry in profile["syscalls"] if entry["action"] == "SCMP_ACT_ERRNO"]

    assert [entry["errnoRet"] for entry in refused] == [1]
    assert {"mount", "bpf", "unshare", "keyctl"} <= set(refused[0]["names"])
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def is_allowed(profile: dict[str, Any], call: str, argument: int) -> bool:
    """What libseccomp makes of the document."""
    for entry in profile["syscalls"]:
        fits = all(argument & each["value"] == each["valueTwo"] for each in entry.get("args", ()))
        if call in entry["names"] and fits:
            return bool(entry["action"] == "SCMP_ACT_ALLOW")
    return False


def test_the_process() -> None:
    """User, groups, place and environment are the process's; it can gain nothing."""
    process = document(USER)["process"]

    assert process["user"] == {"uid": 1000, "gid": 1001, "umask": 0o022, "additionalGids": [1001, 20]}
    assert (process["args"], process["env"], process["cwd"]) == (["/app", "x"], ["A=b"], "/srv")
    assert process["noNewPrivileges"] and not process["terminal"]


def test_an_ordinary_user_has_one_id() -> None:
    """Root inside is the user outside; what only root may set is left out."""
    made = document(owner=Identity(1234, 1235))

    assert made["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 1234, "size": 1}]
    assert made["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 1235, "size": 1}]
    assert "resources" not in made["linux"] and "additionalGids" not in made["process"]["user"]


def test_what_runc_cannot_do_is_refused() -> None:
    """Another user than root for an ordinary user; another machine's calls; bytes that JSON cannot hold."""
    with pytest.raises(HostError, match="user is 1000"):
        document(USER, Identity(1234, 1235))
    with pytest.raises(HostError, match="riscv64"):
        document(architecture="riscv64")
    with pytest.raises(InvalidData, match="no Unicode"):
        document(env="A=\udcff")
