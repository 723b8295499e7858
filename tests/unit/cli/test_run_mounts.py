"""`--mount` and `-v` are read as docker reads them."""

import pytest

from jettison.cli.run_files import named_volume
from jettison.cli.run_mounts import mount
from jettison.errors import UsageError
from jettison.sandbox.operations import Bind, Tmpfs
from jettison.sandbox.volumes import Volume


def facts(made: Bind | Tmpfs | str) -> tuple[object, ...]:
    """What matters of a mount."""
    if isinstance(made, Volume):
        return "volume", made.source, made.target, made.read_only, made.copies
    if isinstance(made, Bind):
        return "bind", made.source, made.target, made.read_only
    return ("tmpfs", made.target, made.options) if isinstance(made, Tmpfs) else ("anonymous", made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source=v,target=/x", ("volume", "/store/v", "/x", False, True)),
        ("type=volume,src=v,dst=/x/../y/,ro,volume-nocopy", ("volume", "/store/v", "/y", True, False)),
        ("source=v,destination=/x,readonly=false,volume-nocopy=0", ("volume", "/store/v", "/x", False, True)),
        ("SOURCE=v,Target=/x,READONLY=True", ("volume", "/store/v", "/x", True, True)),
        ("target=/x", ("anonymous", "/x")),
        ("type=bind,source=/usr,target=/x,bind-propagation=rprivate", ("bind", "/usr", "/x", False)),
        ('type=bind,source=/usr,"target=/x,y",ro=1,consistency=cached', ("bind", "/usr", "/x,y", True)),
        ("type=tmpfs,target=/x", ("tmpfs", "/x", {})),
        ("type=tmpfs,target=/x,tmpfs-size=64MB,tmpfs-mode=01770", ("tmpfs", "/x", {"size": "64m", "mode": "01770"})),
        ("type=tmpfs,target=/x,tmpfs-size=65536", ("tmpfs", "/x", {"size": "65536"})),
    ],
)
def test_dockers_keys(text: str, expected: tuple[object, ...]) -> None:
    """Long and short, in any order and case."""
    assert facts(mount(text, "/store")) == expected


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../etc", "/etc", "a/b", "-x", ".x", "_x", "é", "a b", "a\n", "a\0", "x" * 129]
)
def test_a_name_is_one_file_name(name: str) -> None:
    """And never one that is hidden or leads elsewhere."""
    with pytest.raises(UsageError, match="no name for a volume"):
        named_volume("/store", name, "/x", "text", read_only=False, copies=True)


@pytest.mark.parametrize("name", ["a", "A1", "0", "a.b-c_d", "a..b", "x" * 128])
def test_names_of_volumes(name: str) -> None:
    """docker's."""
    assert named_volume("/store", name, "/x", "text", read_only=False, copies=True).source == f"/store/{name}"
