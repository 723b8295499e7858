"""Many starts: one after another, and at once. None fails, none is slower for those before it, nothing is left of any."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import engines, inputs
from bench.cases import Bench, Figure, Result
from bench.engines import INSTALLED
from bench.measure import Row, side_by_side
from bench.soak import apart

from jettison.sandbox import cgroups

SERIES = (10, 100, 1000)
AT_ONCE = 50
FLAGS = ("--network", "none")
LIMITS = ("--memory", "64m", "--pids-limit", "20")


class Starter(NamedTuple):
    """What starts a hello, in whose name."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    user: int = 0


def starts(bench: Bench) -> Result:
    """`jettison run` of a hello ten, a hundred and a thousand times, and fifty times at once, as root and as an ordinary user."""
    with apart():
        return _measured(bench)


def _measured(bench: Bench) -> Result:
    hello = inputs.c_hello(bench.folder)
    ours, peers = _ours(bench, hello), _peers(bench, hello)
    for starter in ours:
        _timed(starter)  # the very first one unpacks the image
    before = _there(bench)
    rows = [Row(starter.name, [starter.command] * 10, starter.env, stdout=None, user=starter.user) for starter in [*ours, *peers]]
    found = side_by_side(rows, bench.runs)
    figures = [
        Figure(f"{our.name} / {peer.name}, ten starts", found[our.name].median_s / found[peer.name].median_s, target)
        for our in ours
        for peer, target in zip(peers, (1.2, 0.2), strict=True)
    ]
    lines = ["| | first | after 10 | after 100 | after 1000 | 50 at once |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for starter in ours:
        first_s, *series_s = _series(starter)
        crowd_s = _at_once(starter)
        figures.append(Figure(f"{starter.name}: the slowest series / its first starts", max(series_s) / first_s, 2))
        figures.append(Figure(f"{starter.name}: {AT_ONCE} at once, per start / its first starts", crowd_s / first_s, 2))
        cells = " | ".join(f"{1000 * time_s:.1f} ms" for time_s in (first_s, *series_s, crowd_s))
        lines.append(f"| {starter.name} | {cells} |")
    left = sorted(_there(bench) - before)
    figures.append(Figure("mounts, control groups, links, files and processes that are left", len(left), 0))
    note = "\n".join([*lines, "", *(f"Left: {each}" for each in left)])
    return Result("many starts", note, figures, found, ours[0].name)


def _ours(bench: Bench, hello: Path) -> list[Starter]:
    engines.call([INSTALLED], "pack", str(hello), "-t", "hello", env=dict(bench.env))
    command, env = engines.ordinary(bench.folder)
    engines.call([*engines.as_user(), command], "pack", str(hello), "-t", "hello", env=env)
    return [
        Starter("jettison run --network none", [INSTALLED, "run", *FLAGS, "hello"], bench.env),
        Starter("the same as an ordinary user", [command, "run", *FLAGS, "hello"], env, engines.USER),
        Starter("the same with limits", [INSTALLED, "run", *FLAGS, *LIMITS, "hello"], bench.env),
    ]


def _peers(bench: Bench, hello: Path) -> list[Starter]:
    bundle = engines.runc_bundle(bench.folder, hello)
    podman = engines.podman(bench.folder)
    context = bench.folder / "context"
    context.mkdir()
    (context / "hello").write_bytes(hello.read_bytes())
    (context / "hello").chmod(0o755)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY hello /hello\nENTRYPOINT ["/hello"]\n')
    engines.call(podman, "build", "--isolation", "chroot", "--tag", "hello", str(context))
    runc = [engines.tool("runc"), "--root", str(bench.folder / "runc"), "run", "--bundle", str(bundle), "hello"]
    return [
        Starter("runc run", runc, os.environ),
        Starter("podman --runtime runc run --rm --network none", [*podman, "run", "--rm", *FLAGS, "hello"], os.environ),
    ]


def _series(starter: Starter) -> list[float]:
    """What a start takes: the first ones, then the last ten of each series."""
    return [statistics.median([_timed(starter) for _ in range(number)][-10:]) for number in (10, *SERIES)]


def _timed(starter: Starter) -> float:
    start_s = time.perf_counter()
    _finish(_begin(starter))
    return time.perf_counter() - start_s


def _at_once(starter: Starter) -> float:
    """The share of one start in the time that all of them take."""
    start_s = time.perf_counter()
    for process in [_begin(starter) for _ in range(AT_ONCE)]:
        _finish(process)
    return (time.perf_counter() - start_s) / AT_ONCE


def _begin(starter: Starter) -> "subprocess.Popen[bytes]":
    user = {"user": starter.user, "group": starter.user, "extra_groups": []} if starter.user else {}
    pipe = subprocess.PIPE
    return subprocess.Popen(starter.command, env=starter.env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **user)  # type: ignore[call-overload, no-any-return]


def _finish(process: "subprocess.Popen[bytes]") -> None:
    said, error = process.communicate(timeout=60)
    if process.returncode != 0 or said != b"hello\n":
        raise RuntimeError(f"{process.args!r}: status {process.returncode}\n{said!r}{error.decode()}")


def _there(bench: Bench) -> set[str]:
    """What a start may leave: this machine's own mounts, groups and links, and what is in the stores and runs from them."""
    folders = {site.folder for site in cgroups.sites(cgroups.own_layout()).values() if site.folder}
    stores = [bench.store, bench.folder / "home" / "store"]
    return {
        *(f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(bench.folder) in line),
        *(f"group {folder}/{name}" for folder in folders for name in os.listdir(folder) if name.startswith(cgroups.PREFIX)),
        *(f"link {name}" for name in os.listdir("/sys/class/net")),
        *(f"file {path}" for store in stores for path in store.rglob("*")),
        *(f"process {path.parent.name}" for path in Path("/proc").glob("[0-9]*/cmdline") if _is_of(path, bench.folder)),
    }


def _is_of(command_line: Path, folder: Path) -> bool:
    try:
        environment = command_line.with_name("environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(f"JETTISON_HOME={folder}") in environment
