"""A container's state: what is told comes back, names are one's own, and what the dead left is swept."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from jettison.errors import UsageError
from jettison.oci.process import Process, User
from jettison.sandbox import state
from jettison.sandbox.containers import containers, find, wait
from jettison.sandbox.seccomp import Filter
from jettison.sandbox.state import Container
from jettison.sandbox.supervise import Child
from jettison.sandbox.told import Ended, Running, is_alive, read_process, read_told, sweep

PROCESS = Process(("sh", "-c", "\udcff x"), ("A=1", "B=\n"), "/tmp", User(5, 6, (7, 8), "/home/x"))


def told(container: Container) -> Running | Ended | None:
    return read_told(Path(container.folder, "lock").read_bytes())


def running(container: Container) -> Running:
    child = Child(os.getpid(), -1, -1)
    child.spaces = [os.open("/", os.O_RDONLY) for _ in state.SPACES]
    container.runs(child)
    found = told(container)
    assert isinstance(found, Running)
    return found


def test_what_is_told_comes_back(tmp_path: Path) -> None:
    """The facts, the process, and its ways of being, one after the other."""
    with Container(str(tmp_path)) as container:
        container.register(
            "web", [("created", "1"), ("label", "a=\udcff"), ("label", "b=\n")], PROCESS, Filter("own", b"\0\1", 3)
        )
        assert told(container) is None
        first = running(container)
        assert (first.init, first.runner, first.restarts) == (os.getpid(), os.getpid(), 0)
        process = read_process(first)
        assert (process.argv, process.env, process.cwd) == (PROCESS.argv, PROCESS.env, PROCESS.cwd)
        assert (process.user.uid, process.user.gid, process.user.groups, process.user.home) == (5, 6, (7, 8), "/home/x")
        container.rests()
        assert told(container) is None
        assert running(container).restarts == 1
        container.ends(7, by_memory=True)
        ended = told(container)
        assert isinstance(ended, Ended)
        assert (ended.status, ended.by_memory, ended.restarts) == (7, True, 1)
        found = find(str(tmp_path), "web")
        assert found.config["label"] == ["a=\udcff", "b=\n"]
        assert Path(found.folder, "filter").read_bytes() == b"\0\1"

    assert os.listdir(tmp_path / "containers") == os.listdir(tmp_path / "names") == []


def test_nothing_stays_open(tmp_path: Path) -> None:
    """Whoever runs many containers one after another has as many descriptors as before."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with Container(str(tmp_path)) as container:
            container.register("web", [("created", "1")], PROCESS, None)
            running(container)
            container.rests()
            running(container)

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_name_is_one_containers(tmp_path: Path) -> None:
    """While that lives or is kept; the name of a dead one is free."""
    with Container(str(tmp_path)) as one, Container(str(tmp_path)) as two:
        one.register("web", [("created", "1")], PROCESS, None)
        with pytest.raises(UsageError, match="is taken"):
            two.register("web", [("created", "2")], PROCESS, None)
        assert find(str(tmp_path), "web").id == one.id
    (tmp_path / "names/web").symlink_to("0" * 64)
    with Container(str(tmp_path)) as three:
        three.register("web", [("created", "3")], PROCESS, None)
        assert find(str(tmp_path), "web").id == three.id


def test_the_beginning_of_several_ids(tmp_path: Path) -> None:
    """It means none of them."""
    with Container(str(tmp_path)) as one:
        one.register("", [("created", "1")], PROCESS, None)
        (tmp_path / "containers" / f"{one.id[:5]}x").mkdir()
        with pytest.raises(UsageError, match="2 containers have ids that begin with"):
            find(str(tmp_path), one.id[:5])


def test_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    """Whatever they came to; what lives, or is kept, stays."""
    folder = tmp_path / "containers"
    for name, files in {"empty": (), "locked": ("lock",), "whole": ("lock", "config", "log", "log.1", "health")}.items():
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).touch()
    (folder / "kept").mkdir()
    (folder / "kept/lock").touch()
    (folder / "kept/config").write_bytes(b"id\0kept\0created\x001\0keep\0")
    with Container(str(tmp_path)) as container:
        container.register("", [("created", "2")], PROCESS, None)

        assert [each.id for each in containers(str(tmp_path))] == [container.id, "kept"]

        assert sorted(os.listdir(folder)) == sorted([container.id, "kept"])


def test_sweepers_and_makers_at_once(tmp_path: Path) -> None:
    """A new container never loses its folder to who removes what the dead left, and never seems to be another's."""
    store, is_over = str(tmp_path), threading.Event()

    def keep_sweeping() -> None:
        while not is_over.is_set():
            for name in os.listdir(tmp_path / "containers"):
                sweep(store, name)

    (tmp_path / "containers").mkdir()
    sweepers = [threading.Thread(target=keep_sweeping) for _ in range(3)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for _ in range(200):
            with Container(store) as container:
                container.register("web", [("created", "1")], PROCESS, None)
                assert find(store, "web").is_alive
    finally:
        is_over.set()
        for sweeper in sweepers:
            sweeper.join()

    assert os.listdir(tmp_path / "containers") == []


def test_who_waits_hears_of_what_is_removed(tmp_path: Path) -> None:
    """The status comes also where all is gone when it is read."""
    heard: list[int] = []
    with Container(str(tmp_path)) as container:
        container.register("web", [("created", "1")], PROCESS, None)
        found = find(str(tmp_path), "web")
        waiting = threading.Thread(target=lambda: heard.append(wait(found).status))
        waiting.start()
        while not _has_two_readers(container):
            pass
        container.ends(3, by_memory=False)
    waiting.join(10)

    assert heard == [3]


def _has_two_readers(container: Container) -> bool:
    """Whether somebody besides the runner has the lock's file open."""
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.readlink(link) == f"{container.folder}/lock" for link in links) == 2


def test_a_reader_never_blocks_a_maker_for_long(tmp_path: Path) -> None:
    """Who looks whether a container lives takes the lock for a moment, and leaves it."""
    with Container(str(tmp_path)) as container:
        assert is_alive(container.folder)
    assert not is_alive(container.folder)
    (tmp_path / "containers/x").mkdir()
    (tmp_path / "containers/x/lock").touch()
    assert not is_alive(str(tmp_path / "containers/x"))
    with open(tmp_path / "containers/x/lock", "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
