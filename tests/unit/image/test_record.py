"""Run records: what `jettison run` reads instead of images."""

import time
from pathlib import Path

import pytest

from jettison.errors import InvalidData
from jettison.image.image import Image
from jettison.image.record import record_layers
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.oci.config import ImageConfig
from jettison.oci.digest import Digest
from jettison.oci.platform import Platform
from making import Item, dirs, image, tar

CONFIG = ImageConfig(Platform.host())


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "store"))


def fields(record: bytes) -> dict[str, list[str]]:
    words = record.decode().split("\0")
    found: dict[str, list[str]] = {}
    for key, value in zip(words[::2], words[1::2], strict=True):
        found.setdefault(key, []).append(value)
    return found


def test_everything_that_run_needs(local: LocalStore) -> None:
    """In a fixed order; what repeats stands once for each."""
    config = CONFIG._replace(
        env=(("A", "b=c\nd"), ("PATH", "/bin")),
        entrypoint=("/app", "-x"),
        cmd=("a b", ""),
        user="bob",
        working_dir="/w",
        stop_signal="SIGINT",
        volumes=("/v", "/u"),
    )
    layers = [
        tar(*dirs("etc"), Item("file", "etc/passwd", "bob:x:7:8::/home/bob:\n")),
        tar(*dirs("etc"), Item("file", "etc/group", "g:x:9:bob\n")),
    ]
    made = image(local, *layers, config=config)

    record = prepare(local, made.digest)

    found = fields(record)
    assert Path(local.run_path(made.digest)).read_bytes() == record
    assert found == {
        "config-digest": [str(made.manifest.config.digest)],
        "layer": [diff_id.hex for diff_id in made.config.diff_ids],
        "env": ["A=b=c\nd", "PATH=/bin"],
        "entrypoint": ["/app", "-x"],
        "cmd": ["a b", ""],
        "user": ["bob"],
        "uid": ["7"],
        "gid": ["8"],
        "group": ["8", "9"],
        "home": ["/home/bob"],
        "workdir": ["/w"],
        "stop-signal": ["SIGINT"],
        "volume": ["/v", "/u"],
    }
    order = "config-digest layer env entrypoint cmd user uid gid group home workdir stop-signal volume"
    assert list(found) == order.split()
    assert record_layers(record) == found["layer"]


def test_equal_layers_are_mounted_once(local: LocalStore) -> None:
    """overlayfs refuses a folder that is given twice; the topmost one says all that the others say."""
    one, two = tar(Item("file", "a", "1")), tar(Item("file", "a", "2"))
    made = image(local, one, two, one)

    assert record_layers(prepare(local, made.digest)) == [made.config.diff_ids[1].hex, made.config.diff_ids[0].hex]


def test_below_an_opaque_root_nothing_is_mounted(local: LocalStore) -> None:
    """overlayfs does not ask whether a layer's root is opaque."""
    made = image(local, tar(Item("file", "a")), tar(Item("file", ".wh..wh..opq")), tar(Item("file", "b")))

    assert record_layers(prepare(local, made.digest)) == [diff_id.hex for diff_id in made.config.diff_ids[1:]]


def test_no_layers_and_many(local: LocalStore) -> None:
    """Zero, and more than overlayfs once took."""
    assert record_layers(prepare(local, image(local).digest)) == []
    many = image(local, *(tar(Item("file", f"f{number}")) for number in range(130)))
    assert len(record_layers(prepare(local, many.digest))) == 130


EVIL = {
    "a FIFO": [Item("fifo", "etc/passwd")],
    "a link to the host's shadow": [Item("symlink", "etc/passwd", "/etc/shadow")],
    "a link that climbs": [Item("symlink", "etc/passwd", "../../../../../../etc/shadow")],
    "a loop": [Item("symlink", "etc/passwd", "passwd")],
    "a folder": [Item("dir", "etc/passwd")],
    "a device": [Item("char", "etc/passwd", device=(1, 5))],
    "endless": [Item("file", "etc/passwd", b"root:x:7:7:\n" * 200_000)],
    "a line without an end": [Item("file", "etc/passwd", b"x" * 3_000_000)],
    "members without an end": [Item("file", "etc/group", b"g:x:1:" + b"root," * 400_000)],
    "NUL bytes": [Item("file", "etc/passwd", b"root:x:0:0::/\0:\n" * 10)],
    "no UTF-8": [Item("file", "etc/passwd", b"\xff\xfe\n")],
}


@pytest.mark.parametrize("case", EVIL)
def test_evil_databases(case: str, local: LocalStore) -> None:
    """Looked up inside the image, regular files only, at most a megabyte of them, in no time (CVE-2024-9676)."""
    made = image(local, tar(*dirs("etc"), *EVIL[case]))
    start_s = time.process_time()

    try:
        record = prepare(local, made.digest)
    except InvalidData:
        assert case == "NUL bytes"
    else:
        assert fields(record)["uid"] == ["0"]

    assert time.process_time() - start_s < 2


@pytest.mark.parametrize("text", [b'"a\\u0000b"', b'"\\ud800"'])
def test_texts_that_no_process_can_have(text: bytes, local: LocalStore) -> None:
    """A NUL byte or half a character in a configuration is an error, not another field."""
    made = image(local, config=CONFIG._replace(cmd=("CMD",)))
    raw_config = made.raw_config.replace(b'"CMD"', text)
    raw_manifest = made.raw_manifest.replace(str(made.manifest.config.digest).encode(), str(Digest.of(raw_config)).encode())
    raw_manifest = raw_manifest.replace(f'"size":{len(made.raw_config)}'.encode(), f'"size":{len(raw_config)}'.encode())
    local.put(raw_config)

    with pytest.raises(InvalidData):
        prepare(local, local.put(raw_manifest))


def test_the_record_stays_while_it_is_right(local: LocalStore) -> None:
    """A running container holds a lock on the file: another call does not replace it."""
    made: Image = image(local, tar(Item("file", "a")))
    prepare(local, made.digest)
    before = Path(local.run_path(made.digest)).stat()

    prepare(local, made.digest)

    assert Path(local.run_path(made.digest)).stat() == before
