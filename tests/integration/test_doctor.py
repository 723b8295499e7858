"""`jettison doctor` on this machine, as it is and with something taken away."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from peers import Jettison, OrdinaryUser


def findings(jettison: Jettison) -> Mapping[str, Mapping[str, str]]:
    """By name."""
    told = json.loads(jettison.call("doctor", "--json").stdout)
    assert told["version"] == 1
    return {finding["name"]: finding for finding in told["findings"]}


def test_a_machine_that_can(jettison: Jettison) -> None:
    """Where the tests of `run` pass, nothing is missing, and the status is 0."""
    done = jettison.call("doctor")

    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("missing")] == []


def test_an_ordinary_user(rootless: Jettison) -> None:
    """Everything works, with one user alone, and the mend says how to have more."""
    found = findings(rootless)

    assert {finding["state"] for finding in found.values()} <= {"ok", "limited"}
    assert found["users"]["state"] == "limited"
    assert found["users"]["mend"]


def test_user_namespaces_refused(ordinary_user: OrdinaryUser, rootless: Jettison) -> None:
    """In a chroot the kernel makes none: the finding says so, `run` says the same, and the status is 1."""
    shut = Jettison(rootless.store, [], _without_user_namespaces(ordinary_user, rootless))

    found = findings(shut)

    assert found["user namespaces"]["state"] == "missing"
    assert "sysctl" in found["user namespaces"]["mend"]
    assert shut.call("doctor").returncode == 1


def _without_user_namespaces(user: OrdinaryUser, rootless: Jettison) -> list[str]:
    """The command in a user namespace in which no more may be made."""
    command = rootless.command[len(user.prefix) :]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec env "$@"'
    return [*user.prefix, "unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *command]


def test_a_store_that_cannot_be_written() -> None:
    """The mend names the ways to choose another."""
    found = findings(Jettison(Path("/proc/nowhere")))["store"]

    assert found["state"] == "missing"
    assert "JETTISON_HOME" in found["mend"]


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_it_leaves_nothing(jettison: Jettison, flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No store, no folder, no mount."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    jettison.call("doctor", *flags)

    assert not jettison.store.exists()
    assert list(tmp_path.iterdir()) == []
    assert "jettison-doctor-" not in Path("/proc/self/mountinfo").read_text()
