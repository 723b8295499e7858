"""`--secret` is read without a word of the value."""

import os
from pathlib import Path

import pytest

from jettison.cli.run_secrets import secrets
from jettison.errors import UsageError


def test_secrets_are_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files and variables, as they are."""
    (tmp_path / "file").write_bytes(b"\0\xff\n")
    monkeypatch.setitem(os.environ, "MINE", os.fsdecode(b"\xfe"))

    folder = secrets([f"id=a,src={tmp_path}/file", "env=MINE,id=b", f"id=c.d-e_f,source={tmp_path}/file"])

    assert dict(folder.files) == {"a": b"\0\xff\n", "b": b"\xfe", "c.d-e_f": b"\0\xff\n"}
    assert (folder.path, folder.mode) == ("/run/secrets", 0o400)


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
def test_sizes_that_are_taken(tmp_path: Path, size: int) -> None:
    """To the last byte of 1 MiB."""
    (tmp_path / "file").write_bytes(b"x" * size)

    assert len(secrets([f"id=a,src={tmp_path}/file"]).files[0][1]) == size


@pytest.mark.parametrize(
    "text",
    ["hunter2", "id=a,hunter2", "id=a,env=hunter2", "id=a,src=/hunter2", "id=hunter2!,env=HOME", "id=a,value=hunter2", "id=a"],
)
def test_errors_tell_no_value(text: str) -> None:
    """What stands in a value's place may be the secret."""
    with pytest.raises(UsageError) as caught:
        secrets([text])

    assert "hunter2" not in caught.value.message + caught.value.hint
