"""The closure that travels with an image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.closure.document import Document, Owner, read, write
from jettison.closure.why import Closure, Link, Missing, Reason
from jettison.errors import JettisonError
from jettison.oci.documents import serialise

REASONS = {
    "/app": (Reason("entry", "", "the program"),),
    "/lib/liba.so": (Reason("needed", "/app", "liba.so via default directory /lib"),),
    "/lib/libb.so": (Reason("needed", "/lib/liba.so", "libb.so"), Reason("needed", "/app", "libb.so")),
    "/odd\udcff": (Reason("kept", "", "--include", "likely"),),
}


def test_a_document_is_read_back_as_it_was_written() -> None:
    """Reasons, what is missing and the owners come through; the same closure gives the same bytes."""
    missing = [Missing("libz.so", Reason("dlopen", "/app", "feature", "hint"), ("/lib",))]
    document = Document(Closure(REASONS, missing), {"/lib/liba.so": Owner("dpkg", "liba1", "1.0-1", "amd64")})

    again = read(write(document), "closure")

    assert (again.closure.reasons, again.closure.missing, again.packages) == (REASONS, tuple(missing), document.packages)
    assert write(again) == write(document)


def test_the_shortest_chain_is_told() -> None:
    """/lib/libb.so is wanted by the program itself, so nobody in between is named."""
    chain = Closure(REASONS).why("/lib/libb.so")

    assert chain == [Link("/lib/libb.so", REASONS["/lib/libb.so"][1]), Link("/app", REASONS["/app"][0])]


def test_reasons_that_go_in_circles_end() -> None:
    """Two libraries that want each other and nothing else have no chain."""
    circle: dict[str, tuple[Reason, ...]] = {"/a": (Reason("needed", "/b", ""),), "/b": (Reason("needed", "/a", ""),)}

    assert Closure(circle).why("/a") == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 2},
        {"version": 1, "reasons": {"/a": [["magic", "", "", "certain"]]}, "missing": [], "packages": [], "owners": {}},
        {"version": 1, "reasons": {"/a": [["entry", 1, "", "certain"]]}, "missing": [], "packages": [], "owners": {}},
        {"version": 1, "reasons": [], "missing": [], "packages": [], "owners": {}},
        {"version": 1, "reasons": {}, "missing": [], "packages": [], "owners": {"/a": 3}},
    ],
)
def test_a_broken_document_is_an_error_that_names_it(value: object) -> None:
    """Never another exception."""
    with pytest.raises(JettisonError, match="closure of app"):
        read(serialise(value), "closure of app")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    """Bytes from strangers."""
    with pytest.raises(JettisonError):
        read(data, "closure")
