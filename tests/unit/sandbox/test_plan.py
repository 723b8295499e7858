"""The plan: the order of the start, and what each option changes in it."""

import pytest

from jettison.oci.process import Process, User
from jettison.sandbox.capabilities import EVERY
from jettison.sandbox.memory import MemoryFolder
from jettison.sandbox.operations import Bind, Operation, Tmpfs
from jettison.sandbox.plan import Options, Place, namespaces, plan
from jettison.sandbox.syscalls import CLONE_NEWNET

PROCESS = Process(["/app", "x"], ["PATH=/bin"], "/srv", User(101, 102, [102, 7]))
PLACE = Place(["/store/layers/a", "/store/layers/b"], "/store/tmp", lambda: [("/etc/hosts", b"")])


def names(options: Options) -> list[str]:
    """The operations' names, in order."""
    return [type(operation).__name__ for operation in plan(PROCESS, options, PLACE)]


def test_the_order_of_the_start() -> None:
    """Descriptors before anything of the image, settings before they are read-only, privileges last before the program."""
    assert names(Options()) == [
        "Descriptors", "Identity", "Session", "CommandLine",
        "Workspace", "OverlayRoot", "File", "Folder",
        "Proc", "NoUserNamespaces", "ReadOnly", "Masked", "Sys", "Masked", "Cgroups", "Dev", "Terminals",
        "DevFilesystem", "DevFilesystem",
        "Pivot", "WorkingDirectory", "Program", "Privileges", "SystemCalls", "Execute",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "operation", "after", "before"),
    [
        (Options(hostname="x"), "Hostname", "Identity", "Workspace"),
        (Options(network="none"), "Loopback", "Proc", "ReadOnly"),
        (Options(read_only=True), "ReadOnlyRoot", "DevFilesystem", "Pivot"),
        (Options(terminal=True), "Terminal", "DevFilesystem", "Pivot"),
        (Options(mounts=[Bind("/a", "/b")]), "Bind", "DevFilesystem", "Pivot"),
        (Options(mounts=[Tmpfs("/t", 0, {})]), "Tmpfs", "DevFilesystem", "Pivot"),
        (Options(memory=[MemoryFolder("/m", "files", [], 0o400)]), "ShowMemory", "DevFilesystem", "Pivot"),
        (Options(capabilities=EVERY), "LockedMounts", "Program", "Privileges"),
        (Options(anonymous_volumes=["/v"], read_only=True), "Writable", "OverlayRoot", "ReadOnlyRoot"),
    ],
)
def test_an_option_adds_one_operation(options: Options, operation: str, after: str, before: str) -> None:
    """At its place."""
    steps = names(options)

    assert steps.count(operation) == 1
    assert steps.index(after) < steps.index(operation) < steps.index(before)


def test_only_a_network_of_its_own_costs_a_namespace() -> None:
    """It is the dearest of all."""
    assert not namespaces(Options()) & CLONE_NEWNET
    assert namespaces(Options(network="none")) & CLONE_NEWNET


def test_every_step_says_what_it_does() -> None:
    """In words that follow "cannot", and that differ."""
    options = Options("none", "me", True, True, True, True, [Bind("/a", "/b"), Tmpfs("/t", 0, {})], ["/v"])
    options.memory = (MemoryFolder("/m", "the secrets", [("db", b"value")], 0o400),)
    options.added_groups = (44,)
    said = [operation.describe() for operation in plan(PROCESS, options, PLACE)]

    assert len(set(said)) == len(said)
    assert all(text[0].islower() and not text.endswith(".") for text in said)


def test_an_operation_has_to_say_and_do() -> None:
    """The base class does neither."""
    with pytest.raises(NotImplementedError):
        Operation().describe()


def test_one_layer_twice_is_mounted_once() -> None:
    """The topmost hides the others, and the kernel refuses a folder twice."""
    steps = plan(PROCESS, Options(), Place(["a", "b", "a"], "/w"))

    assert "lay 2 layers on each other, a throw-away one on top" in [step.describe() for step in steps]
