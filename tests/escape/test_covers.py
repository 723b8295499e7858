"""What is hidden and what may only be read in /proc and /sys."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jettison.sandbox.plan import HIDDEN_OF_PROCESSORS, HIDDEN_PROC, HIDDEN_SYS, READ_ONLY_PROC
from peers import Docker
from worlds import World

# Of moby's today; the engine that judges below is older.
MOBY = {
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
    "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
    "/sys/devices/system/cpu/cpu*/thermal_throttle",
}  # fmt: skip
HIDDEN = {f"/proc/{path}" for path in HIDDEN_PROC} | {f"/sys/{path}" for path in (*HIDDEN_SYS, *HIDDEN_OF_PROCESSORS)}


def test_what_moby_hides() -> None:
    """All of it, and /sys/fs/selinux, which podman hides."""
    assert MOBY | {"/sys/fs/selinux"} <= HIDDEN


def test_what_docker_hides(docker: Docker, tmp_path: Path) -> None:
    """The engine's own answer."""
    archive = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", archive, "-T", "/dev/null"], check=True)
    docker("import", str(archive), "covers:1")
    container = docker("create", "--network", "none", "covers:1", "/x").strip()
    config = json.loads(docker("inspect", container))[0]["HostConfig"]
    docker("rm", container)

    assert set(config["MaskedPaths"]) <= HIDDEN
    assert set(config["ReadonlyPaths"]) <= {f"/proc/{path}" for path in READ_ONLY_PROC}


def test_everything_is_covered(world: World) -> None:
    """Whatever of it this kernel has: an empty folder or the null device, and nothing that can be written."""
    script = f"""
    for path in {" ".join(sorted(HIDDEN))}; do
        if [ -d $path ]; then [ -z "$(ls -A $path)" ] || echo $path; fi
        if [ -e $path ] && [ ! -d $path ]; then [ "$(stat -c %t.%T $path)" = 1.3 ] || echo $path; fi
    done
    for path in {" ".join(f"/proc/{path}" for path in READ_ONLY_PROC)}; do
        [ ! -e $path ] || grep -q " $path ro," /proc/self/mountinfo || echo $path
    done"""

    assert world.shell(script) == ""


@pytest.mark.parametrize("world", ["root"], indirect=True)
@pytest.mark.parametrize("network", ["host", "none"])
def test_each_processor_is_covered(world: World, network: str) -> None:
    """Not every machine says how hot its processors got, so another folder of theirs stands for it."""
    program = (
        "import sys; from jettison.sandbox import plan; plan.HIDDEN_OF_PROCESSORS = ('devices/system/cpu/cpu*/topology',);"
        "from jettison.cli.main import main; main()"
    )
    look = "cd /sys/devices/system/cpu; ls -d cpu[0-9]*/topology | wc -l; ls -A cpu[0-9]*/topology/ | grep -c _id"
    command = [sys.executable, "-c", program, "run", "--network", network, "box", "sh", "-c", look]

    done = subprocess.run(command, env={**os.environ, "JETTISON_HOME": str(world.store)}, stdout=subprocess.PIPE, text=True)

    assert done.stdout.split() == [str(os.cpu_count()), "0"]
