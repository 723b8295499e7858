"""`--security-opt`, in docker's syntax."""

import json
from pathlib import Path

import pytest

from jettison.cli.security import system_calls
from jettison.errors import UsageError
from jettison.sandbox.seccomp import UNCONFINED


def test_the_last_word_counts(tmp_path: Path) -> None:
    """`seccomp=` with a file, `unconfined` or `builtin`, docker's old colon too."""
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))

    assert system_calls(["seccomp=unconfined"], 0) is UNCONFINED
    assert system_calls(["seccomp:unconfined"], 0) is UNCONFINED
    assert system_calls(["seccomp=unconfined", "seccomp=builtin"], 0) is None
    chosen = system_calls([f"seccomp={path}"], 0)
    assert chosen and chosen.name == f"`{path}`"


@pytest.mark.parametrize("text", ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true", "label=disable"])
def test_what_always_holds(text: str) -> None:
    """May be asked for."""
    assert system_calls([text], 0) is None


@pytest.mark.parametrize("text", ["no-new-privileges:false", "no-new-privileges=false", "seccomp", "seccomp=", "apparmor=x", ""])
def test_what_cannot_be_had(text: str) -> None:
    """Is refused, not dropped."""
    with pytest.raises(UsageError) as caught:
        system_calls([text], 0)

    assert f"`{text}`" in caught.value.message and caught.value.hint
