"""Unpack an image of 30,000 files beside umoci: from blobs that are there to a root that can be run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import engines, inputs
from bench.cases import MIB, Bench, Figure, Result, for_ordinary_user, ratio
from bench.engines import INSTALLED
from bench.measure import Row, side_by_side

PREPARE = """
import sys
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
store = LocalStore(sys.argv[1])
prepare(store, store.resolve("system")[1])
"""
SAMPLE_S = 0.01


def unpack(bench: Bench) -> Result:
    """What the first `jettison run` of an image does before it starts, and `umoci unpack` of the same image."""
    layout = inputs.system_layout(bench.folder)
    user_command, user_env = for_ordinary_user(bench, inputs.c_hello(bench.folder))
    drop = engines.as_user()
    engines.call([INSTALLED], "load", "-i", str(layout), env=dict(bench.env))
    engines.call([*drop, *user_command], "load", "-i", str(layout), env=dict(user_env))
    user_store = Path(user_env["JETTISON_HOME"])
    prepare = [sys.executable, "-c", PREPARE, str(bench.store)]
    user_prepare = [str(Path(user_command[0]).parent / "python3"), "-c", PREPARE, str(user_store)]
    bundle, user_bundle = bench.folder / "bundle", user_store.parent / "bundle"
    umoci = [engines.tool("umoci"), "unpack", "--image", f"{layout}:system"]
    rows = [
        Row("jettison", [prepare], bench.env, lambda: _forget(bench.store)),
        Row("umoci unpack", [[*umoci, str(bundle)]], before=lambda: _remove(bundle)),
        Row("jettison, ordinary user", [user_prepare], user_env, lambda: _forget(user_store), user=engines.USER),
        Row(
            "umoci unpack --rootless",
            [[*umoci, "--rootless", str(user_bundle)]],
            user_env,
            lambda: _remove(user_bundle),
            user=engines.USER,
        ),
    ]
    found = side_by_side(rows, max(bench.heavy_runs, bench.runs // 3))
    _forget(bench.store)
    figures = [
        ratio(found, "jettison", "umoci unpack", 0.6),
        ratio(found, "jettison, ordinary user", "umoci unpack --rootless", 0.6),
        Figure("jettison: most memory, all processes", _peak_bytes(prepare, bench.env) / MIB, 150, " MiB"),
    ]
    note = f"{inputs.SYSTEM_FILES:,} files in five layers with gzip. jettison waits until the disk has them, umoci does not."
    return Result("unpack 500 MB", note, figures, found, "jettison")


def _forget(store: Path) -> None:
    for name in ("layers", "run"):
        for path in (store / name).iterdir():
            _remove(path)


def _remove(path: Path) -> None:
    """So that what is measured next does not wait for the removal."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    os.sync()


def _peak_bytes(command: Sequence[str], env: Mapping[str, str]) -> int:
    """The most memory that a command and its children hold at once; what they share counts for each."""
    process = subprocess.Popen(command, env=env)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident_bytes, _family(process.pid))))
        time.sleep(SAMPLE_S)
    if process.returncode != 0:
        raise RuntimeError(f"{list(command)}: status {process.returncode}")
    return peak


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
