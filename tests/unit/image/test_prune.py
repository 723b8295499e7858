"""What the store forgets, and what it keeps."""

import json
import os
from pathlib import Path

import pytest

from jettison.errors import UsageError
from jettison.image.check import check_store
from jettison.image.image import Image
from jettison.image.layout import CLOSURE
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.oci.manifest import OCI_EMPTY, OCI_MANIFEST
from jettison.oci.reference import Reference
from jettison.verbs.prune import prune
from jettison.verbs.rmi import rmi
from making import Item, image, tar

SHARED, OWN = tar(Item("file", "shared")), tar(Item("file", "own"))


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


def named(store: LocalStore, name: str, *layers: bytes, annotations: tuple[tuple[str, str], ...] = ()) -> Image:
    made = image(store, *layers, annotations=annotations)
    store.tag(Reference.parse(name), made.digest)
    return made


def referrer(store: LocalStore, subject: Digest, text: str) -> Digest:
    """A manifest that says that it belongs to another one, as signatures do."""
    config = store.put(b"{}")
    blob = store.put(text.encode())
    descriptor = {"mediaType": OCI_EMPTY, "digest": str(config), "size": 2}
    value = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": descriptor,
        "layers": [{"mediaType": "text/plain", "digest": str(blob), "size": len(text)}],
        "subject": {"mediaType": OCI_MANIFEST, "digest": str(subject), "size": 1},
    }
    return store.put(json.dumps(value).encode())


def test_what_a_name_leads_to_stays(local: LocalStore) -> None:
    """Manifest, configuration, layers, closure, unpacked layers, the run record, and what belongs to it."""
    closure = local.put(b"the closure")
    made = named(local, "app", SHARED, OWN, annotations=((CLOSURE, str(closure)),))
    prepare(local, made.digest)
    signature = referrer(local, made.digest, "signature")
    referrer(local, signature, "signature of the signature")
    before = set(local.digests())

    swept = prune(local)

    assert swept.blobs == ()
    assert set(local.digests()) == before
    assert len(os.listdir(f"{local.path}/layers")) == 2
    assert os.listdir(f"{local.path}/run") == [made.digest.hex]


def test_what_no_name_leads_to_goes(local: LocalStore) -> None:
    """With all that belongs to it, and with what dead writers left; and it says how much that freed."""
    kept = named(local, "kept", SHARED)
    gone = named(local, "gone", SHARED, OWN)
    prepare(local, gone.digest)
    referrer(local, gone.digest, "signature")
    local.put(b"stray")
    Path(local.path, "tmp", "leftover").mkdir()
    Path(local.path, "tmp", "leftover", "closed").mkdir(mode=0)
    local.untag(Reference.parse("gone"))

    swept = prune(local)

    assert set(local.digests()) == {kept.digest, kept.manifest.config.digest, kept.manifest.layers[0].digest}
    assert [os.listdir(f"{local.path}/{folder}") for folder in ("tmp", "run")] == [[], []]
    assert os.listdir(f"{local.path}/layers") == [kept.config.diff_ids[0].hex]
    assert swept.freed_bytes > 0
    assert check_store(local).findings == ()


@pytest.mark.parametrize("broken", ["manifest", "config", "layer", "index", "tag", "missing folders", "strays"])
def test_a_clean_up_works_whatever_is_broken(broken: str, local: LocalStore) -> None:
    """No state makes it fail, and it never takes what it should keep."""
    good, bad = named(local, "good", SHARED), named(local, "bad", OWN)
    digests = {"manifest": bad.digest, "config": bad.manifest.config.digest, "layer": bad.manifest.layers[0].digest}
    if broken in digests:
        Path(local.blob_path(digests[broken])).write_bytes(b"{")
    elif broken == "index":
        Path(local.path, "index.json").write_bytes(b"\0")
    elif broken == "tag":
        Path(local.tag_path(Reference.parse("bad"))).write_bytes(b"")
    elif broken == "missing folders":
        for folder in ("tmp", "layers", "run"):
            Path(local.path, folder).rmdir()
    else:
        for folder in ("blobs/sha256", "layers", "run", "tags", "tmp"):
            Path(local.path, folder, "stray").mkdir()
            os.mkfifo(Path(local.path, folder, "fifo"))
        Path(local.path, "blobs/sha256", "0" * 64).mkdir()

    prune(local)

    assert local.image(good.digest).raw_config == good.raw_config
    assert local.has(good.manifest.layers[0].digest)


def test_rmi_takes_what_is_its_own(local: LocalStore) -> None:
    """What other images share stays, and so does what nobody has named."""
    shared = named(local, "one", SHARED)
    own = named(local, "two", SHARED, OWN)
    prepare(local, own.digest)
    stray = local.put(b"stray")

    removed = rmi(local, ["two"])

    assert [reference.familiar for reference in removed.untagged] == ["two:latest"]
    assert set(removed.deleted) == {own.digest, own.manifest.config.digest, own.manifest.layers[1].digest}
    assert local.has(stray)
    assert local.image(shared.digest)
    assert os.listdir(f"{local.path}/layers") == [shared.config.diff_ids[0].hex]


def test_rmi_of_one_of_several_names(local: LocalStore) -> None:
    """The image stays as long as it has a name; by its digest it needs `--force`."""
    made = named(local, "one", SHARED)
    local.tag(Reference.parse("two"), made.digest)

    assert rmi(local, ["one"]).deleted == ()
    local.tag(Reference.parse("one"), made.digest)
    with pytest.raises(UsageError, match="several names"):
        rmi(local, [made.digest.hex[:12]])
    assert len(rmi(local, [made.digest.hex[:12]], force=True).untagged) == 2
    assert local.digests() == []


def test_rmi_leaves_the_blobs_while_somebody_writes(local: LocalStore) -> None:
    """It does not wait for a long pack: the name is gone at once, the rest is left to a clean-up."""
    named(local, "app", SHARED)

    with local.writing():
        assert rmi(local, ["app"]).deleted == ()

    assert local.tags() == []
    assert len(local.digests()) == 3
    assert len(prune(local).blobs) == 3
