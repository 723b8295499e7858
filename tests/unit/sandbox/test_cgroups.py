"""Control groups: layouts told apart by their texts, and where a new group may be, in folders made for it."""

import fcntl
import os
from pathlib import Path

import pytest

from jettison.sandbox import cgroups
from jettison.sandbox.cgroups import Group, Layout, Limit, Setting, read_layout, sites, sweep

VERSION2 = "30 24 0:26 {root} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "34 31 0:31 {root} /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
)
UNIFIED = VERSION2.format(root="/", point="/sys/fs/cgroup/unified")
MEMBER1 = "3:memory:/a/b\n2:cpu,cpuacct:/a\n1:name=systemd:/\n"


def test_version_2_alone() -> None:
    """One folder for all controllers."""
    layout = read_layout(VERSION2.format(root="/", point="/sys/fs/cgroup"), "0::/user.slice/a.scope\n")

    assert (layout.name, layout.version1, layout.version2) == ("version 2", {}, "/sys/fs/cgroup/user.slice/a.scope")


def test_version_1_alone() -> None:
    """A folder for each controller; those without one, and other hierarchies, are not there."""
    layout = read_layout(VERSION1.format(root="/"), MEMBER1)

    assert (layout.name, layout.version2) == ("version 1", "")
    assert layout.version1 == {"cpu": "/sys/fs/cgroup/cpu,cpuacct/a", "memory": "/sys/fs/cgroup/memory/a/b"}


def test_hybrid() -> None:
    """Both."""
    layout = read_layout(VERSION1.format(root="/") + UNIFIED, MEMBER1 + "0::/x\n")

    assert (layout.name, sorted(layout.version1), layout.version2) == ("hybrid", ["cpu", "memory"], "/sys/fs/cgroup/unified/x")


def test_systemds_version_1_beside_version_2_is_version_2() -> None:
    """A hierarchy of version 1 without a controller limits nothing."""
    named = VERSION1.format(root="/").splitlines()[-1] + "\n"

    assert read_layout(named + UNIFIED, "1:name=systemd:/\n0::/\n").name == "version 2"


def test_none() -> None:
    """No hierarchy is mounted, as in a bare chroot."""
    assert read_layout("1 1 8:1 / / rw - ext4 /dev/sda rw\n", "0::/\n").name == "none"


@pytest.mark.parametrize(
    ("root", "path", "folder"),
    [
        ("/docker/1", "/docker/1", "/sys/fs/cgroup"),
        ("/docker/1", "/docker/1/x", "/sys/fs/cgroup/x"),
        ("/docker/1", "/docker/12", ""),
        ("/docker/1", "/", ""),
        ("/", "/../other", ""),
        ("/", "/", "/sys/fs/cgroup"),
    ],
)
def test_a_mount_may_show_a_part(root: str, path: str, folder: str) -> None:
    """In a container; what lies outside of the part is no place of ours."""
    layout = read_layout(VERSION2.format(root=root, point="/sys/fs/cgroup"), f"0::{path}\n")

    assert layout.version2 == folder


def test_a_place_with_a_space() -> None:
    """The kernel writes it in octal."""
    assert read_layout(VERSION2.format(root="/", point=r"/a\040b"), "0::/\n").version2 == "/a b"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A hierarchy of version 2 in plain files: the root, a slice that is ours, and a scope in it with another process."""
    for path, processes in (("", ""), ("slice", ""), ("slice/scope", "1\n")):
        folder = tmp_path / path
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
        (folder / "cgroup.subtree_control").write_text("memory pids\n" if path == "slice" else "")
        (folder / "cgroup.procs").write_text(processes)
        if path:
            (folder / "cgroup.type").write_text("domain\n")
    return tmp_path


def site(tree: Path, *controllers: str) -> cgroups.Site:
    """Where the first one goes, from the scope."""
    return sites(Layout("version 2", {}, f"{tree}/slice/scope"), controllers)[controllers[0]]


def test_the_nearest_group_that_can_be_divided(tree: Path) -> None:
    """The scope has another's process in it, so the group above it is the place."""
    assert site(tree, "memory").folder == f"{tree}/slice"


def test_a_group_of_our_own_process_alone(tree: Path) -> None:
    """As systemd-run makes it: we step down, so it can be divided."""
    (tree / "slice/scope/cgroup.procs").write_text(f"{os.getpid()}\n")

    assert site(tree, "memory").folder == f"{tree}/slice/scope"


def test_a_limit_of_the_callers_is_not_left(tree: Path) -> None:
    """A group beside it would have no such limit, so it is refused, with the mend."""
    (tree / "slice/scope/memory.max").write_text("1000000\n")

    found = site(tree, "memory")

    assert found.folder == ""
    assert "systemd-run --user --scope" in found.mend


def test_a_controller_that_is_not_delegated(tree: Path) -> None:
    """The others work, this one is refused."""
    for folder in (tree, tree / "slice", tree / "slice/scope"):
        (folder / "cgroup.controllers").write_text("memory pids\n")

    found = sites(Layout("version 2", {}, f"{tree}/slice/scope"), ("memory", "cpu"))

    assert (found["memory"].folder, found["cpu"].folder) == (f"{tree}/slice", "")
    assert "`cpu` is not there" in found["cpu"].reason


def test_no_control_groups_at_all() -> None:
    """The mend mounts them."""
    assert "mount -t cgroup2" in sites(Layout("none", {}, ""), ("memory",))["memory"].mend


def test_a_hierarchy_of_version_1_that_is_out_of_sight(tmp_path: Path) -> None:
    """Refused, not guessed."""
    assert sites(Layout("version 1", {"memory": ""}, ""), ("memory",))["memory"].folder == ""


def test_a_sweep_takes_what_nobody_holds(tmp_path: Path) -> None:
    """Our name and no lock: its maker is dead. Others' names are others'."""
    for name in ("jettison-dead", "jettison-alive", "docker"):
        (tmp_path / name).mkdir()
    lock = os.open(tmp_path / "jettison-alive", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    sweep(str(tmp_path))

    assert sorted(os.listdir(tmp_path)) == ["docker", "jettison-alive"]
    os.close(lock)


def test_a_default_is_passed_over_where_the_kernel_lacks_it(tmp_path: Path) -> None:
    """A kernel without swap accounting limits memory all the same."""
    (tmp_path / "cgroup.subtree_control").write_text("memory\n")
    group = Group()

    group.apply(Limit("", "memory", (), (Setting("memory.swap.max", "1"),)), cgroups.Site(str(tmp_path), 2))

    assert [os.listdir(folder) for folder in tmp_path.glob("jettison-*")] == [[]]
    group.remove()
    assert list(tmp_path.glob("jettison-*")) == []
