"""References, as Docker normalises them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import UsageError
from jettison.oci.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "whole", "familiar"),
    [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
        ("index.docker.io/team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app:2", "localhost:5000/app:2", "localhost:5000/app:2"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}", f"app@{DIGEST}"),
        (f"app:1@{DIGEST}", f"docker.io/library/app:1@{DIGEST}", f"app:1@{DIGEST}"),
        ("a__b/c-d.e_f", "docker.io/a__b/c-d.e_f:latest", "a__b/c-d.e_f:latest"),
    ],
)
def test_a_name_is_normalised(text: str, whole: str, familiar: str) -> None:
    """The whole name and the one that a user types."""
    reference = Reference.parse(text)

    assert (str(reference), reference.familiar) == (whole, familiar)


@pytest.mark.parametrize(
    "text",
    ["", "App", "a//b", "/a", "a/", "-a", "a:", "a:b:c", "a:-b", "a@sha256:abc", "a@md5:" + "a" * 32]
    + ["a" * 300, "a b", "a\nb", "../a"],
)
def test_what_is_not_a_name_is_refused(text: str) -> None:
    """The error quotes it."""
    with pytest.raises(UsageError):
        Reference.parse(text)


@given(st.text())
def test_any_text_is_a_name_or_a_usage_error(text: str) -> None:
    """What parses, parses again to the same."""
    try:
        reference = Reference.parse(text)
    except UsageError:
        return

    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar) == reference
