"""Rules: what sets them off, and what they bring."""

import pytest

from jettison.closure.rules import parse, rules
from jettison.errors import InvalidData
from jettison.tree.node import made_dir, made_file, made_symlink
from jettison.tree.root import Tree

ROOT = Tree(
    {
        "/opt": made_dir(),
        "/opt/run": made_dir(),
        "/opt/run/lib": made_dir(),
        "/opt/run/lib/core.so": made_file(b""),
        "/opt/run/lib/server": made_dir(),
        "/opt/run/lib/server/vm.so": made_file(b""),
        "/opt/run/lib/src.zip": made_file(b""),
        "/opt/run/conf": made_symlink("/etc/run"),
        "/etc": made_dir(),
        "/etc/run": made_dir(),
        "/etc/run/a.conf": made_file(b""),
    }
)


def rule(**value: object) -> dict[str, object]:
    return {"detail": "it is so", "source": "a manual", **value}


def test_paths_are_relative_to_the_file_that_set_the_rule_off() -> None:
    """`**` is everything below; links on the way are followed; what is excluded stays out."""
    found = parse("vm", rule(files=["core.so"], include=["**", "../conf/*.conf"], exclude=["*.zip"]))

    assert found.paths(ROOT, "/opt/run/lib/core.so") == [
        "/opt/run/conf/a.conf",
        "/opt/run/lib/server/vm.so",
    ]


def test_what_is_not_there_is_not_brought() -> None:
    """A rule is for many roots."""
    found = parse("locale", rule(symbols=["setlocale"], include=["/etc/run/a.conf", "/etc/nothing"]))

    assert found.paths(ROOT, "/bin/app") == ["/etc/run/a.conf"]


@pytest.mark.parametrize("value", [{}, rule(source=""), rule(detail=""), rule(includes=["/x"])])
def test_a_rule_without_its_source_or_with_an_unknown_key_is_refused(value: dict[str, object]) -> None:
    """A rule that nobody can check, or that was misspelt, is an error."""
    with pytest.raises(InvalidData):
        parse("bad", value)


def test_every_rule_can_be_set_off_and_brings_something() -> None:
    """The rules that jettison brings are whole."""
    assert all(found.files or found.symbols or found.strings or found.packages for found in rules())
