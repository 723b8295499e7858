"""The causes of a refused user namespace."""

import errno
from collections.abc import Mapping

import pytest

from jettison.sandbox import refusal

CASES: Mapping[str, tuple[str, str]] = {
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    "kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone=1"),
    "user/max_user_namespaces": ("0", "user.max_user_namespaces=15000"),
}


@pytest.mark.parametrize("setting", CASES)
def test_a_setting_that_refuses(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """The mend is a command to copy."""
    value, command = CASES[setting]
    monkeypatch.setattr(refusal, "_setting", lambda path: value if path == setting else "")

    assert f"`sudo sysctl -w {command}`" in refusal.mend(errno.EPERM)


def test_a_confined_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the engine's options are the mend."""
    monkeypatch.setattr(refusal, "_setting", lambda path: "")
    monkeypatch.setattr(refusal, "_is_confined", lambda: True)

    assert "--security-opt" in refusal.mend(errno.EPERM)


def test_nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made up."""
    monkeypatch.setattr(refusal, "_setting", lambda path: "")
    monkeypatch.setattr(refusal, "_is_confined", lambda: False)

    assert refusal.mend(errno.EPERM) == ""
