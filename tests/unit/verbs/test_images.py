"""The verbs over the images of a store."""

import io
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.cli.ago import ago
from jettison.errors import NotFound, UsageError
from jettison.image.store import LocalStore
from jettison.oci.config import History, ImageConfig
from jettison.oci.platform import Platform
from jettison.oci.reference import Reference
from jettison.verbs.history import history
from jettison.verbs.images import images
from jettison.verbs.inspect import inspect
from jettison.verbs.save import save
from jettison.verbs.tag import tag
from making import Item, image, tar

CONFIG = ImageConfig(Platform.host(), cmd=("/app",), created="2020-01-01T00:00:00Z")


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


def test_images_lists_names_and_what_has_none(local: LocalStore) -> None:
    """Sorted by name; a broken one is listed too, so that it can be removed."""
    one, two = image(local, tar(Item("file", "a")), config=CONFIG), image(local, tar(Item("file", "b")), config=CONFIG)
    for name in ("b", "a"):
        local.tag(Reference.parse(name), one.digest)
    local.tag(Reference.parse("c"), local.put(b"broken"))

    assert [(item.reference.familiar if item.reference else "", item.image is not None) for item in images(local)] == [
        ("a:latest", True),
        ("b:latest", True),
        ("c:latest", False),
    ]
    assert [item.digest for item in images(local, unnamed=True) if item.reference is None] == [two.digest]
    assert images(local)[0].size_bytes == one.manifest.layers[0].size


def test_inspect_speaks_dockers_words(local: LocalStore) -> None:
    """Whoever has read docker's answer can read this one."""
    made = image(local, tar(Item("file", "a")), config=CONFIG)
    local.tag(Reference.parse("app"), made.digest)

    found = inspect(local, "app")

    assert found["Id"] == str(made.manifest.config.digest)
    assert found["RepoTags"] == ["app:latest"]
    assert found["RepoDigests"] == [f"app@{made.digest}"]
    assert found["Config"] == {"Cmd": ["/app"]}
    assert found["RootFS"]["Layers"] == [str(made.config.diff_ids[0])]
    assert found["Manifest"]["layers"][0]["digest"] == str(made.manifest.layers[0].digest)
    with pytest.raises(NotFound):
        inspect(local, "other")


def test_history_gives_each_step_its_layer(local: LocalStore) -> None:
    """The last one first; steps without a layer have none; layers without a step are shown too."""
    lines = (History("COPY a"), History("ENV A=b", empty_layer=True), History("COPY b"))
    layers = [tar(Item("file", name)) for name in "abc"]
    made = image(local, *layers, config=CONFIG._replace(history=lines))

    steps = history(local, str(made.digest))

    assert [step.line.created_by for step in steps] == ["", "COPY b", "ENV A=b", "COPY a"]
    assert [step.layer.diff_id if step.layer else None for step in steps] == [
        made.config.diff_ids[2],
        made.config.diff_ids[1],
        None,
        made.config.diff_ids[0],
    ]


def test_tag_gives_another_name(local: LocalStore) -> None:
    """Of anything that names an image."""
    made = image(local, tar())

    assert tag(local, made.digest.hex[:8], "app:1").familiar == "app:1"
    assert tag(local, "app:1", "host:5000/app").familiar == "host:5000/app:latest"
    assert [digest for _, digest in local.tags()] == [made.digest] * 2


def test_save_replaces_a_file_at_once(local: LocalStore, tmp_path: Path) -> None:
    """The old file or the new one, never half; through a link; a folder only where nothing is."""
    made = image(local, tar(Item("file", "a")))
    local.tag(Reference.parse("app"), made.digest)
    (tmp_path / "real.tar").write_text("old")
    (tmp_path / "link.tar").symlink_to("real.tar")

    save(local, ["app"], str(tmp_path / "link.tar"))

    stream = io.BytesIO()
    save(local, ["app"], stream)
    assert (tmp_path / "real.tar").read_bytes() == stream.getvalue()
    local.delete(made.manifest.layers[0].digest)
    with pytest.raises(NotFound):
        save(local, ["app"], str(tmp_path / "real.tar"))
    assert (tmp_path / "real.tar").read_bytes() == stream.getvalue()
    with pytest.raises(NotFound):
        save(local, ["app"], str(tmp_path / "folder"), "oci-dir")
    with pytest.raises(UsageError):
        save(local, ["app"], str(tmp_path), "oci-dir")
    assert sorted(os.listdir(tmp_path)) == ["link.tar", "real.tar", "store"]


NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGES = {
    "2026-01-01T00:00:00Z": "just now",
    "2025-12-31T23:59:59.123456789Z": "just now",
    "2025-12-31T23:59:50Z": "10 seconds ago",
    "2025-12-31T23:59:00Z": "1 minute ago",
    "2025-12-31T22:00:00+00:00": "2 hours ago",
    "2025-12-30T23:00:00Z": "25 hours ago",
    "2025-12-25T00:00:00Z": "7 days ago",
    "2025-12-01T00:00:00Z": "4 weeks ago",
    "2025-06-01T00:00:00Z": "7 months ago",
    "1980-01-01T00:00:00Z": "46 years ago",
    "2030-01-01T00:00:00Z": "just now",
    "": "N/A",
    "yesterday": "N/A",
}


@pytest.mark.parametrize("created", AGES)
def test_ago(created: str) -> None:
    """As docker says it."""
    assert ago(created, NOW) == AGES[created]
