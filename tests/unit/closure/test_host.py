"""Drivers: no image brings them, whoever asks."""

import pytest

from elves import make_elf
from jettison.closure.host import is_provided
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.tree.node import made_dir, made_file
from jettison.tree.root import Tree, parents
from making import setting

DRIVER = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"


@pytest.mark.parametrize(
    "name",
    ["libcuda.so.1", "/usr/lib/libcuda.so.580.142", "libnvidia-ptxjitcompiler.so.1", "libGLX_nvidia.so.0", "libnvcuvid.so"],
)
def test_a_drivers_libraries_are_the_hosts(name: str) -> None:
    """As NVIDIA's container toolkit mounts them."""
    assert is_provided(name)


@pytest.mark.parametrize(
    "name", ["libcudart.so.12", "libcublas.so.12", "libnvidia-container.so.1", "libGLX_mesa.so.0", "libnvrtc.so"]
)
def test_the_toolkits_libraries_are_the_programs(name: str) -> None:
    """CUDA's runtime and its libraries go with the program."""
    assert not is_provided(name)


@pytest.mark.parametrize("has_driver", [True, False])
def test_a_needed_driver_is_expected_and_never_packed(has_driver: bool) -> None:
    """Also where the machine that packs has it."""
    program = make_elf(needed=["libcuda.so.1"])

    found = closure(program, has_driver)

    assert [(item.name, item.reason.by) for item in found.expected] == [("libcuda.so.1", "/usr/bin/app")]
    assert DRIVER not in found
    assert not found.missing


def test_a_driver_that_is_opened_by_name_is_expected() -> None:
    """As PyTorch and FFmpeg do it."""
    program = make_elf(imports=["dlopen"]) + b"\0libnvcuvid.so.1\0"

    assert [item.name for item in closure(program, has_driver=False).expected] == ["libnvcuvid.so.1"]


def closure(program: bytes, has_driver: bool) -> Closure:
    """The closure of the program."""
    driver = {DRIVER: made_file(make_elf(soname="libcuda.so.1"))} if has_driver else {}
    files = {"/usr/bin/app": made_file(program, 0o755), **driver}
    tree = Tree({folder: made_dir() for path in files for folder in parents(path)} | files)
    return resolve(tree, [Need("/usr/bin/app", Reason("entry", "", "the program"))], setting(tree))
