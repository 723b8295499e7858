"""Images from archives: what is taken, what is refused."""

import gzip
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from jettison.errors import HostileData, InvalidData, NotFound
from jettison.image.image import Image
from jettison.image.intake import Loaded
from jettison.image.layout import CLOSURE
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference
from jettison.verbs.load import load
from jettison.verbs.save import save
from making import Item, Notices, image, tar

LAYER = tar(Item("file", "a", "hello"))
OTHER = tar(Item("file", "b", "hello"))
CONFIG = b'{"architecture":"amd64","os":"linux","config":{"Cmd":["/a"],"Unknown":1},"rootfs":{"type":"layers","diff_ids":["%b"]}}'


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(*layers: bytes) -> bytes:
    return CONFIG.replace(b'"%b"', b",".join(b'"sha256:%b"' % sha(layer).encode() for layer in layers))


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


@pytest.fixture
def source(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "source"))


def docker_archive(items: list[Item] | None = None, **changes: Any) -> bytes:
    """What `docker save` writes, with changes to manifest.json's only entry."""
    entry = {"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l/layer.tar"], **changes}
    files = items or [Item("file", "c.json", config(LAYER)), Item("file", "l/layer.tar", LAYER)]
    return tar(*files, Item("file", "manifest.json", json.dumps([entry])))


def taken(local: LocalStore, data: bytes) -> list[Loaded]:
    return load(local, io.BytesIO(data))


def nothing_is_left(local: LocalStore) -> bool:
    return local.digests() == [] and local.tags() == [] and os.listdir(f"{local.path}/tmp") == []


# docker archives


def test_a_docker_archive(local: LocalStore) -> None:
    """The configuration's bytes, and so the image's id, stay as they were; the layers are kept as they are."""
    [loaded] = taken(local, docker_archive())

    assert loaded.references == (Reference.parse("app:1"),)
    assert loaded.image.raw_config == config(LAYER)
    assert local.tags() == [(Reference.parse("app:1"), loaded.image.digest)]
    assert local.read(loaded.image.manifest.layers[0].digest) == LAYER


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, lambda data: data])
def test_compression_is_told_by_the_bytes(compress: Any, local: LocalStore) -> None:
    """Of the archive and of the layers in it, whatever they are called."""
    items = [Item("file", "c.json", config(LAYER)), Item("file", "l/layer.tar", compress(LAYER))]

    [loaded] = taken(local, compress(docker_archive(items)))

    assert loaded.image.config.diff_ids == (Digest.of(LAYER),)
    assert local.image(loaded.image.digest).raw_config == config(LAYER)


def test_links_to_equal_layers(local: LocalStore) -> None:
    """docker writes equal layers once and links to them."""
    items = [
        Item("file", "./c.json", config(LAYER, LAYER, LAYER)),
        Item("file", "one/layer.tar", LAYER),
        Item("symlink", "two/layer.tar", "../one/layer.tar"),
        Item("hardlink", "three/layer.tar", "two/layer.tar"),
    ]

    [loaded] = taken(local, docker_archive(items, Layers=["one/layer.tar", "two/layer.tar", "three/layer.tar"]))

    assert len(loaded.image.layers) == 3
    assert len(local.digests()) == 3


def test_names(local: LocalStore) -> None:
    """All that it brings; an image without one is told by its digest."""
    [loaded] = taken(local, docker_archive(RepoTags=["app:1", "host:5000/team/app:2"]))
    assert {reference.familiar for reference, _ in local.tags()} == {"app:1", "host:5000/team/app:2"}

    for none in (None, [], ["<none>:<none>"]):
        [loaded] = taken(local, docker_archive(RepoTags=none))
        assert loaded.references == ()
    assert local.resolve(loaded.image.digest.hex[:12])[1] == loaded.image.digest


def test_a_name_that_meant_something_else_is_told(local: LocalStore) -> None:
    """An archive never takes a name over silently (S7)."""
    notices = Notices()
    local.tag(Reference.parse("app:1"), image(local, OTHER).digest)
    load(local, io.BytesIO(docker_archive()), notices)

    assert len(notices.said) == 1
    assert "`app:1`" in notices.said[0]


def broken_config(**changes: Any) -> list[Item]:
    value = {**json.loads(config(LAYER)), **changes}
    return [Item("file", "c.json", json.dumps(value)), Item("file", "l/layer.tar", LAYER)]


REFUSED = {
    "nothing": b"",
    "no archive": b"hello" * 1000,
    "an empty archive": tar(),
    "a root filesystem": LAYER,
    "truncated": docker_archive()[:5000],
    "truncated gzip": gzip.compress(docker_archive())[:-20],
    "no config": docker_archive(Config="other.json"),
    "no layer": docker_archive(Layers=["other/layer.tar"]),
    "too many layers": docker_archive(Layers=["l/layer.tar"] * 2),
    "too few layers": docker_archive(Layers=[]),
    "config no text": docker_archive(Config=7),
    "layers no list": docker_archive(Layers="l/layer.tar"),
    "names no list": docker_archive(RepoTags={"a": "b"}),
    "a name that is none": docker_archive(RepoTags=["../../etc/passwd"]),
    "a name in capitals": docker_archive(RepoTags=["APP"]),
    "a layer that is another": docker_archive([Item("file", "c.json", config(LAYER)), Item("file", "l/layer.tar", OTHER)]),
    "a compressed layer that is another": docker_archive(
        [Item("file", "c.json", config(LAYER)), Item("file", "l/layer.tar", gzip.compress(OTHER))]
    ),
    "a layer that is an xz": docker_archive(
        [Item("file", "c.json", config(LAYER)), Item("file", "l/layer.tar", b"\xfd7zXZ\0\0")]
    ),
    "a layer that is a folder": docker_archive([Item("file", "c.json", config(LAYER)), Item("dir", "l/layer.tar")]),
    "a layer that is a device": docker_archive(
        [Item("file", "c.json", config(LAYER)), Item("char", "l/layer.tar", device=(1, 5))]
    ),
    "a layer that links out": docker_archive(
        [Item("file", "c.json", config(LAYER)), Item("symlink", "l/layer.tar", "/etc/passwd")]
    ),
    "a layer that links up": docker_archive([Item("file", "c.json", config(LAYER)), Item("symlink", "l/layer.tar", "../../x")]),
    "a layer that links to itself": docker_archive(
        [Item("file", "c.json", config(LAYER)), Item("symlink", "l/layer.tar", "layer.tar")]
    ),
    "an entry up": docker_archive([Item("file", "../c.json", config(LAYER)), Item("file", "l/layer.tar", LAYER)]),
    "a config path up": docker_archive(Config="../../../etc/passwd"),
    "config no JSON": docker_archive([Item("file", "c.json", "{"), Item("file", "l/layer.tar", LAYER)]),
    "config a list": docker_archive([Item("file", "c.json", "[]"), Item("file", "l/layer.tar", LAYER)]),
    "config too large": docker_archive([Item("file", "c.json", b" " * (5 << 20)), Item("file", "l/layer.tar", LAYER)]),
    "config with a wrong diff id": docker_archive(broken_config(rootfs={"type": "layers", "diff_ids": ["sha256:../x"]})),
    "config with environment of numbers": docker_archive(broken_config(config={"Env": [1]})),
    "manifest.json no list": tar(Item("file", "manifest.json", "{}")),
    "manifest.json of texts": tar(Item("file", "manifest.json", '["a"]')),
    "manifest.json too deep": tar(Item("file", "manifest.json", "[" * 100_000)),
    "manifest.json that breaks out": tar(Item("file", "manifest.json", '[]}, {"list": [')),
    "manifest.json with a key twice": tar(Item("file", "manifest.json", '[{"Config":"a","Config":"b"}]')),
    "manifest.json sparse": tar(Item("file", "manifest.json", "[]", pax={"GNU.sparse.map": "9,2", "GNU.sparse.size": "11"})),
    "index.json of nothing": tar(Item("file", "index.json", "{}")),
    "index.json that is a manifest": tar(Item("file", "index.json", '{"manifests":[],"layers":[]}')),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, local: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, and nothing stays: no blob, no name, no temporary file, nothing beside the store."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidData):
        taken(local, REFUSED[case])

    assert nothing_is_left(local)
    assert os.listdir(tmp_path) == ["store"]


def test_an_archive_of_no_images(local: LocalStore) -> None:
    """Nothing comes in, and that is no error."""
    assert taken(local, tar(Item("file", "manifest.json", "[]"))) == []


def test_what_is_not_there(local: LocalStore) -> None:
    """A file that does not exist is named."""
    with pytest.raises(NotFound, match="/nowhere"):
        load(local, "/nowhere")


# OCI


def oci(source: LocalStore, folder: Path, **options: Any) -> tuple[Image, Path]:
    """An OCI folder with one image of the name `app:1`."""
    made = image(source, LAYER, **options)
    source.tag(Reference.parse("app:1"), made.digest)
    save(source, ["app:1"], str(folder), "oci-dir")
    return made, folder


def test_an_oci_folder_and_archive(local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """The manifest, and so the digest, stays as it was; the closure comes along."""
    closure = source.put(b'{"why":[]}')
    made, folder = oci(source, tmp_path / "oci", annotations=((CLOSURE, str(closure)),))

    for target in (str(folder), str(tmp_path / "oci.tar")):
        if target.endswith(".tar"):
            save(source, ["app:1"], target)
        store = LocalStore(f"{target}.store")
        [loaded] = load(store, target)
        assert loaded.image.digest == made.digest
        assert store.tags() == [(Reference.parse("app:1"), made.digest)]
        assert store.read(closure) == b'{"why":[]}'
        assert set(store.digests()) == set(source.digests())


def test_what_is_beside_the_images_is_dropped(local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """A blob that no image refers to does not come in."""
    _, folder = oci(source, tmp_path / "oci")
    (folder / "blobs/sha256" / sha(b"stray")).write_bytes(b"stray")

    load(local, str(folder))

    assert not local.has(Digest.of(b"stray"))


def edit_index(folder: Path, **changes: Any) -> None:
    value = json.loads((folder / "index.json").read_text())
    value["manifests"][0].update(changes)
    (folder / "index.json").write_text(json.dumps(value))


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["changed", "longer", "missing", "a FIFO", "a link"])
def test_damaged_oci_folders(part: str, damage: str, local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """Every blob must be a regular file with the digest and the size that leads to it."""
    made, folder = oci(source, tmp_path / "oci")
    digest = {"manifest": made.digest, "config": made.manifest.config.digest, "layer": made.manifest.layers[0].digest}[part]
    path = folder / "blobs/sha256" / digest.hex
    data = path.read_bytes()
    path.unlink()
    if damage == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "longer":
        path.write_bytes(data + b" ")
    elif damage == "a FIFO":
        os.mkfifo(path)
    elif damage == "a link":
        path.symlink_to("/dev/zero")

    with pytest.raises(InvalidData):
        load(local, str(folder))

    assert nothing_is_left(local)


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:../../../../etc/passwd"},
        {"digest": "md5:abc"},
        {"size": -1},
        {"size": 1 << 70},
        {"size": "12"},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"annotations": {"org.opencontainers.image.ref.name": "../evil"}},
        {"annotations": {"io.containerd.image.name": "a b"}},
    ],
)
def test_an_index_that_lies(changes: dict[str, Any], local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """Digests, sizes, kinds and names in index.json are checked before they are used."""
    _, folder = oci(source, tmp_path / "oci")
    edit_index(folder, **changes)

    with pytest.raises(InvalidData):
        load(local, str(folder))

    assert nothing_is_left(local)


def test_a_nest_of_indexes_has_an_end(local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """An index that leads to an index that leads to an index …"""
    _, folder = oci(source, tmp_path / "oci")
    entry = json.loads((folder / "index.json").read_text())["manifests"][0]
    for _ in range(10):
        data = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
        (folder / "blobs/sha256" / sha(data)).write_bytes(data)
        entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{sha(data)}", "size": len(data)}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))

    with pytest.raises(HostileData, match="nested"):
        load(local, str(folder))


def test_an_image_for_other_machines_is_refused(local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """With what it is for, and what this machine is."""
    _, folder = oci(source, tmp_path / "oci")
    entry = json.loads((folder / "index.json").read_text())["manifests"][0]
    entries = [{**entry, "platform": {"os": "linux", "architecture": name}} for name in ("mips64", "sparc")]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))

    with pytest.raises(InvalidData, match="linux/mips64, linux/sparc"):
        load(local, str(folder))


def test_artifacts_are_left_out(local: LocalStore, source: LocalStore, tmp_path: Path) -> None:
    """Signatures and attestations beside an image are no images."""
    made, folder = oci(source, tmp_path / "oci")
    value = json.loads(made.raw_manifest)
    data = json.dumps({**value, "artifactType": "application/vnd.example"}).encode()
    (folder / "blobs/sha256" / sha(data)).write_bytes(data)
    index = json.loads((folder / "index.json").read_text())
    index["manifests"].append({"mediaType": value["mediaType"], "digest": f"sha256:{sha(data)}", "size": len(data)})
    (folder / "index.json").write_text(json.dumps(index))

    assert [loaded.image.digest for loaded in load(local, str(folder))] == [made.digest]
