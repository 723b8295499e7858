"""The local store: blobs, names, what is looked up, and what a broken part of it does not break."""

import itertools
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jettison.errors import HostError, InvalidData, NotFound, UsageError
from jettison.image.image import Image, assemble
from jettison.image.store import LocalStore, open_store
from jettison.oci.config import ImageConfig
from jettison.oci.digest import Digest
from jettison.oci.platform import Platform
from jettison.oci.reference import Reference
from making import Item, image, tar

APP = Reference.parse("app")


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


def index(store: LocalStore) -> dict[str, str]:
    """Name → digest, as other tools read it."""
    entries = json.loads(Path(store.path, "index.json").read_text())["manifests"]
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}


# Where it is


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The argument, $JETTISON_HOME, $XDG_DATA_HOME/jettison, ~/.local/share/jettison, in this order."""
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("JETTISON_HOME", raising=False)
    assert open_store().path == "/h/.local/share/jettison"
    monkeypatch.setenv("XDG_DATA_HOME", "/x")
    assert open_store().path == "/x/jettison"
    monkeypatch.setenv("JETTISON_HOME", "/j")
    assert open_store().path == "/j"
    assert open_store("/a").path == "/a"


def test_nothing_is_made_before_the_first_write(local: LocalStore) -> None:
    """Looking does not leave traces."""
    assert local.tags() == []
    assert local.digests() == []
    with pytest.raises(NotFound):
        local.resolve("app")

    assert not os.path.exists(local.path)


def test_the_store_is_its_owners(tmp_path: Path) -> None:
    """Mode 0700 under any umask, also where the folder was there and open."""
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    old = os.umask(0o777)
    try:
        LocalStore(str(folder)).put(b"x")
        LocalStore(str(tmp_path / "new")).put(b"x")
    finally:
        os.umask(old)

    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("open", "new")] == [0o700, 0o700]
    assert LocalStore(str(tmp_path / "new")).read(Digest.of(b"x")) == b"x"


def test_other_folders_are_not_taken_for_a_store(tmp_path: Path) -> None:
    """A clean-up removes what no name refers to: neither somebody's files nor another tool's OCI layout become a store."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("")
    layout = tmp_path / "layout"
    (layout / "blobs" / "sha256").mkdir(parents=True)
    (layout / "index.json").write_text("{}")
    (layout / "oci-layout").write_text("{}")

    for folder in (tmp_path / "home", layout):
        with pytest.raises(UsageError):
            LocalStore(str(folder)).put(b"x")
        with pytest.raises(UsageError), LocalStore(str(folder)).cleaning():
            pass


@pytest.mark.parametrize("name", ["with space", "a:b,c\\d", "ünï", "\udcff"])
def test_paths_of_any_kind(name: str, tmp_path: Path) -> None:
    """Also through a symbolic link (S5)."""
    (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / name)
    store = LocalStore(str(tmp_path / "link" / "store"))

    assert LocalStore(str(tmp_path / name / "store")).read(store.put(b"x")) == b"x"


def test_a_file_in_the_way_is_an_error_of_the_host(tmp_path: Path) -> None:
    """Not a traceback."""
    (tmp_path / "file").write_text("")

    with pytest.raises((HostError, OSError)):
        LocalStore(str(tmp_path / "file" / "store")).put(b"x")


# Blobs


def test_a_batch_appears_together(local: LocalStore) -> None:
    """Nothing is visible before the end; an error leaves nothing, not even a temporary file."""
    with local.batch() as batch:
        first = batch.put(b"first")
        with batch.writer() as writer:
            writer.write(b"sec")
            writer.write(b"ond")
        assert local.digests() == []
    assert set(local.digests()) == {first, writer.digest} == {Digest.of(b"first"), Digest.of(b"second")}

    with pytest.raises(KeyError), local.batch() as batch:
        batch.put(b"third")
        raise KeyError
    assert not local.has(Digest.of(b"third"))
    assert os.listdir(f"{local.path}/tmp") == []


def test_a_writer_takes_the_callers_digest(local: LocalStore) -> None:
    """Whoever has hashed the bytes need not have them hashed again."""
    with local.batch() as batch, batch.writer(hashing=False) as writer:
        writer.write(b"hello")
        writer.finish(Digest.of(b"hello"))

    assert (writer.digest, writer.size) == (Digest.of(b"hello"), 5)
    assert local.read(writer.digest) == b"hello"


def test_a_failed_writer_leaves_nothing(local: LocalStore) -> None:
    """The blob does not appear, the temporary file is gone."""
    with pytest.raises(KeyError), local.writer() as writer:
        writer.write(b"x")
        raise KeyError

    assert local.digests() == []
    assert os.listdir(f"{local.path}/tmp") == []


def test_documents_are_verified_when_they_are_read(local: LocalStore) -> None:
    """Other bytes, or too many, are an error."""
    digest = local.put(b"x" * 10)
    Path(local.blob_path(digest)).write_bytes(b"y" * 10)

    with pytest.raises(InvalidData, match="other bytes"):
        local.read(digest)
    with pytest.raises(InvalidData, match="larger"):
        local.read(digest, limit_bytes=5)


def test_stray_files_are_passed_over(local: LocalStore) -> None:
    """Nothing that lies about makes a later call fail."""
    digest = image(local, tar()).digest
    local.tag(APP, digest)
    for folder in ("blobs/sha256", "tags", "tmp", "run", "layers"):
        Path(local.path, folder, "stray %41 %zz %").write_text("?")
        Path(local.path, folder, "folder").mkdir()
    Path(local.path, "tags", "docker.io%2Flibrary%2Fbroken%3Alatest").write_text("sha256:xyz")
    Path(local.path, "index.json").write_text("{broken")

    assert local.tags() == [(APP, digest)]
    assert digest in local.digests()
    local.tag(Reference.parse("app:2"), digest)
    assert index(local) == {"app:latest": str(digest), "app:2": str(digest)}


# Names


def test_tag_and_untag(local: LocalStore) -> None:
    """A name means the last thing it was given; index.json says so to other tools."""
    one, two = image(local, tar()), image(local, tar(Item("file", "a")))
    local.tag(APP, one.digest)
    local.tag(APP, two.digest)
    local.tag(Reference.parse("host:5000/team/app:1.2"), one.digest)

    assert local.tags() == [(APP, two.digest), (Reference.parse("host:5000/team/app:1.2"), one.digest)]
    assert index(local) == {"app:latest": str(two.digest), "host:5000/team/app:1.2": str(one.digest)}
    assert local.untag(APP)
    assert not local.untag(APP)
    assert index(local) == {"host:5000/team/app:1.2": str(one.digest)}


def test_names_that_cannot_be_kept(local: LocalStore) -> None:
    """Longer than a file name, or with a digest: an error that says so; no name for what is not there."""
    digest = image(local, tar()).digest

    with pytest.raises(UsageError, match="too long"):
        local.tag(Reference.parse("/".join(["a" * 6] * 34)), digest)
    with pytest.raises(UsageError, match="by digest"):
        local.tag(Reference.parse(f"app@{digest}"), digest)
    with pytest.raises(NotFound):
        local.tag(APP, Digest.of(b"nothing"))


def test_what_words_mean(local: LocalStore) -> None:
    """A name, a name with a digest, a digest, or its beginning; of the manifest or of the configuration."""
    made = image(local, tar())
    config = made.manifest.config.digest
    local.tag(APP, made.digest)

    assert local.resolve("app") == local.resolve("docker.io/library/app:latest") == (APP, made.digest)
    for text in (
        str(made.digest),
        made.digest.hex,
        made.digest.hex[:4],
        f"sha256:{made.digest.hex[:9]}",
        str(config),
        config.hex[:12],
    ):
        assert local.resolve(text) == (None, made.digest), text
    assert local.resolve(f"other@{made.digest}")[1] == made.digest
    for text in ("app:2", "other", "0" * 64, f"app@sha256:{'0' * 64}", made.digest.hex[:3]):
        with pytest.raises(NotFound):
            local.resolve(text)
    with pytest.raises(UsageError):
        local.resolve("No Name!")


def test_a_name_counts_before_the_beginning_of_a_digest(local: LocalStore) -> None:
    """As in docker: an image may be called `cafe`."""
    made = image(local, tar())
    other = image(local, tar(Item("file", "a")))
    name = Reference.parse(made.digest.hex[:6])
    local.tag(name, other.digest)

    assert local.resolve(made.digest.hex[:6]) == (name, other.digest)
    assert local.resolve(f"sha256:{made.digest.hex[:6]}") == (None, made.digest)


def test_an_ambiguous_beginning_lists_what_it_could_be(local: LocalStore) -> None:
    """Rather than taking one of them."""
    seen: dict[str, Image] = {}
    for number in itertools.count():
        made = assemble(ImageConfig(Platform("linux", "amd64"), user=str(number)), ())
        other = seen.setdefault(made.digest.hex[:4], made)
        if other is not made:
            break
    for document in (made.raw_config, made.raw_manifest, other.raw_config, other.raw_manifest):
        local.put(document)

    with pytest.raises(UsageError) as caught:
        local.resolve(made.digest.hex[:4])

    assert made.digest.hex[:20] in caught.value.message
    assert other.digest.hex[:20] in caught.value.message


def test_broken_images_do_not_hide_others(local: LocalStore) -> None:
    """A name of a manifest that is gone or broken is listed, and left out of index.json."""
    good, bad = image(local, tar()), image(local, tar(Item("file", "a")))
    local.tag(APP, good.digest)
    local.tag(Reference.parse("bad"), bad.digest)
    Path(local.blob_path(bad.digest)).write_bytes(b"{")
    local.tag(Reference.parse("new"), good.digest)

    assert len(local.tags()) == 3
    assert set(index(local)) == {"app:latest", "new:latest"}
    with pytest.raises(InvalidData):
        local.image(bad.digest)


def test_reading_needs_no_right_to_write(local: LocalStore) -> None:
    """A store on a read-only disk can be read (S2)."""
    made = image(local, tar())
    local.tag(APP, made.digest)
    for folder, _, _ in os.walk(local.path):
        os.chmod(folder, 0o500)
    try:
        other = LocalStore(local.path)
        assert other.resolve("app") == (APP, made.digest)
        assert other.image(made.digest).raw_config == made.raw_config
        if os.geteuid() != 0:
            with pytest.raises((HostError, OSError)):
                other.put(b"new")
    finally:
        for folder, _, _ in os.walk(local.path):
            os.chmod(folder, 0o700)


def test_opening_and_looking_up_imports_no_json() -> None:
    """A name is found in less than a millisecond."""
    code = "import sys; from jettison.image.store import open_store; open_store('/nowhere').tags(); print('json' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
