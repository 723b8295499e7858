"""What /sys tells of processors, hidden."""

import os
from pathlib import Path

import pytest

from jettison.sandbox import syscalls
from jettison.sandbox.enter import World
from jettison.sandbox.processors import HiddenHeat


def test_each_processors_heat_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that tell it; nothing else of them is (R43)."""
    for name in ("cpu0/thermal_throttle", "cpu1/topology", "cpu12/thermal_throttle", "cpufreq/thermal_throttle"):
        (tmp_path / "devices/system/cpu" / name).mkdir(parents=True)
    hidden: list[str] = []
    monkeypatch.setattr(syscalls, "new_filesystem", lambda *_, **__: os.open("/", os.O_PATH))
    monkeypatch.setattr(syscalls, "clone_tree", lambda *_: os.open("/", os.O_PATH))
    monkeypatch.setattr(syscalls, "attach", lambda _, target: hidden.append(os.readlink(f"/proc/self/fd/{target}")))
    world = World(0, 1)
    world.mounts["sys"] = os.open(tmp_path, os.O_PATH)

    HiddenHeat().execute(world)

    assert sorted(hidden) == [f"{tmp_path}/devices/system/cpu/{name}/thermal_throttle" for name in ("cpu0", "cpu12")]


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """There is nothing to hide."""
    world = World(0, 1)
    world.mounts["sys"] = os.open(tmp_path, os.O_PATH)

    HiddenHeat().execute(world)
