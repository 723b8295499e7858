"""fsck: what is broken is found, and what can come anew is removed."""

import os
from pathlib import Path

import pytest

from jettison.image.image import Image
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.oci.reference import Reference
from jettison.verbs.fsck import fsck
from making import Item, dirs, image, tar

LAYERS = (
    tar(*dirs("d"), Item("file", "d/a", "hello"), Item("symlink", "l", "d"), Item("file", "hole", bytes(1 << 20) + b"x")),
    tar(*dirs("d"), Item("file", "d/.wh.a"), Item("hardlink", "h", "l"), Item("file", "closed", "x", mode=0)),
)


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def made(local: LocalStore) -> Image:
    made = image(local, *LAYERS)
    local.tag(Reference.parse("app"), made.digest)
    prepare(local, made.digest)
    return made


def findings(store: LocalStore) -> str:
    return "\n".join(f"{finding.subject} {finding.problem}" for finding in fsck(store)[0].findings)


def test_a_whole_store(local: LocalStore, made: Image) -> None:
    """Nothing is found, also in a store that is not there."""
    health, removed = fsck(local)

    assert (health.blobs, health.images, health.findings, removed) == (4, 1, (), [])
    assert fsck(LocalStore("/nowhere"))[0].findings == ()


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["a bit", "shorter", "empty", "missing", "a folder"])
def test_damaged_blobs(part: str, damage: str, local: LocalStore, made: Image) -> None:
    """Each is found, with the name of the image; a repair removes it, and loading it again is enough (S4)."""
    digest = {"manifest": made.digest, "config": made.manifest.config.digest, "layer": made.manifest.layers[0].digest}[part]
    path = Path(local.blob_path(digest))
    data = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"a bit": data[:-1] + bytes([data[-1] ^ 1]), "shorter": data[:-1], "empty": b""}[damage])

    assert "app" in findings(local)
    fsck(local, repair=True)
    assert not path.exists()
    assert local.put(data) == digest
    assert findings(local) == ""


@pytest.mark.parametrize("damage", ["changed", "missing", "a folder instead", "another target", "a shorter hole"])
def test_damaged_unpacked_layers(damage: str, local: LocalStore, made: Image) -> None:
    """Every file is compared with the layer's blob; a repair removes the layer, and the next run unpacks it again (S4)."""
    folder = Path(local.layer_path(made.config.diff_ids[0]))
    if damage == "changed":
        (folder / "d/a").write_text("jello")
    elif damage == "missing":
        (folder / "d/a").unlink()
    elif damage == "a folder instead":
        (folder / "d/a").unlink()
        (folder / "d/a").mkdir()
    elif damage == "another target":
        (folder / "l").unlink()
        (folder / "l").symlink_to("e")
    else:
        os.truncate(folder / "hole", 5)

    assert "is not as in the layer" in findings(local)
    assert fsck(local, repair=True)[1] != []
    assert not folder.exists()
    prepare(local, made.digest)
    assert findings(local) == ""


def test_names_records_and_access(local: LocalStore, made: Image) -> None:
    """A name that is none, a record that leads nowhere, a store that is open to others."""
    Path(local.path, "tags", "docker.io%2Flibrary%2Fbad%3Alatest").write_text("sha256:")
    Path(local.path, "run", "0" * 64).write_bytes(b"layer\0" + b"1" * 64)
    os.chmod(local.path, 0o755)

    assert len(findings(local).splitlines()) == 3
    fsck(local, repair=True)
    os.chmod(local.path, 0o700)
    assert findings(local) == ""
