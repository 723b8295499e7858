"""Manifests, configurations and JSON from strangers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import HostileData, InvalidData, JettisonError
from jettison.image.image import Image, assemble
from jettison.oci.config import History, ImageConfig, parse_config
from jettison.oci.digest import Digest
from jettison.oci.documents import parse, serialise
from jettison.oci.manifest import parse_index, parse_manifest
from jettison.oci.platform import Platform

CONFIG = ImageConfig(
    Platform("linux", "arm64", "v8"),
    (("PATH", "/bin"), ("EMPTY", "")),
    ("/app",),
    ("serve", "--port=80"),
    "nonroot:nonroot",
    "/srv",
    ("8080/tcp",),
    ("/data",),
    (("org.example.key", "value"),),
    "SIGINT",
    "1980-01-01T00:00:00Z",
    (Digest.of(b"layer"),),
    (History("made", "1980-01-01T00:00:00Z"), History("ENV", empty_layer=True)),
)
DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(Digest.of(b"x")), "size": 1}


def test_a_configuration_is_read_back_as_it_was_written() -> None:
    """Every field comes through the JSON."""
    assert parse_config(parse(serialise(CONFIG.as_json()), "config"), "config") == CONFIG


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", InvalidData, "not JSON"),
        (b"[]", InvalidData, "expected an object"),
        (b'{"a":1,"a":2}', InvalidData, "appears twice"),
        (b'{"a":NaN}', InvalidData, "NaN"),
        (b'{"a":' + b"9" * 10_000 + b"}", InvalidData, "not JSON"),
        (b"\xff{}", InvalidData, "not JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, HostileData, "nested too deeply"),
        (b" " * (5 << 20), HostileData, "the limit is"),
    ],
)
def test_json_that_would_do_harm_is_refused(data: bytes, error: type[Exception], message: str) -> None:
    """Each within bounds, each named."""
    with pytest.raises(error, match=message):
        parse(data, "manifest of app")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"manifests": []}, "refusing"),
        ({"mediaType": "application/vnd.oci.image.index.v1+json"}, "expected an image manifest"),
        ({"layers": None}, "no usable list of layers"),
        ({"config": None}, "is not a descriptor"),
        ({"config": DESCRIPTOR | {"size": -1}}, "no usable size"),
        ({"config": DESCRIPTOR | {"size": True}}, "no usable size"),
        ({"config": DESCRIPTOR | {"size": 1 << 63}}, "no usable size"),
        ({"config": DESCRIPTOR | {"digest": "sha256:../../x"}}, "refusing"),
        ({"config": DESCRIPTOR | {"digest": "md5:" + "a" * 32}}, "refusing"),
        ({"config": DESCRIPTOR | {"digest": 7}}, "refusing"),
        ({"annotations": {"a": 1}}, "not a map of strings"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(change: dict[str, Any], message: str) -> None:
    """Every field that we act on is checked."""
    value = {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]} | change

    with pytest.raises(InvalidData, match=message):
        parse_manifest(value, "manifest")


def test_a_document_cannot_be_an_index_and_a_manifest() -> None:
    """Two readers must not see two images (CVE-2021-41190)."""
    with pytest.raises(HostileData):
        parse_index({"manifests": [], "layers": []}, "index")


def test_an_image_whose_parts_do_not_belong_together_is_refused() -> None:
    """The config's digest and the number of layers are checked."""
    image = assemble(CONFIG, ())

    with pytest.raises(InvalidData, match="its manifest says"):
        Image(image.raw_manifest, image.raw_config + b" ")


KEYS = st.sampled_from(["config", "layers", "rootfs", "Env", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["config", "layers", "rootfs", "history", "os", "mediaType", "created"]), JSON))
def test_any_json_is_a_document_or_a_named_error(value: dict[str, Any]) -> None:
    """Whatever its shape."""
    for read in (parse_manifest, parse_config, parse_index):
        try:
            read(json.loads(json.dumps(value)), "document")
        except JettisonError as error:
            assert "document" in error.message
