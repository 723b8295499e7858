"""A program's image: packed by the command as a user would, and looked at through the library."""

import atexit
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import peers
from corpus.world import LANG, PATH, World
from jettison.closure.system import made

PACK_TIMEOUT_S = 120.0
_MOST_LINKS = 40  # as many as path_resolution(7) follows
_NEVER_SHIPPED = ("/dev/", "/proc/", "/sys/", "/run/", "/tmp/")


class Weight(NamedTuple):
    """How many paths that are no folders, and the bytes of the files among them."""

    files: int
    size: int


class Image(NamedTuple):
    """`program` is a name, `path` where it lies on the machine; `weight` is what is in the image.

    `touched` is what an observation of the program saw, where it was packed with one.
    """

    program: str
    path: str
    tag: str
    weight: Weight
    touched: Weight | None = None


class NotPacked(Exception):
    """`jettison pack` failed, with what it said."""


def command(world: World) -> list[str]:
    """The installed command, or the one that $JETTISON_COMMAND names; for another user copies that every user may read."""
    if world.user:
        return ["/usr/bin/env", f"PYTHONPATH={_readable()}", *_python(world), "-m", "jettison"]
    return [os.environ.get("JETTISON_COMMAND", str(Path(sys.executable).parent / "jettison"))]


@cache
def _readable() -> Path:
    """jettison and its libraries; they may lie below /root."""
    folder = Path(tempfile.mkdtemp(prefix="jc.packages.", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return peers.readable_packages(folder)


def _python(world: World) -> list[str]:
    """A Python of this one's version that the entry's user may start."""
    pythons = [os.path.realpath(sys.executable), f"/usr/bin/python3.{sys.version_info.minor}"]
    for python in pythons:
        if peers.call([*world.become, python, "-c", ""], env={}).returncode == 0:
            return [python]
    raise NotPacked(f"{world.entry.user} may start none of {', '.join(pythons)}")


def pack(program: str, world: World, level: str) -> Image:
    """Pack with nothing but the program's path and a level, into the world's own store. Errors: NotPacked."""
    path, tag = _find(program)
    done = call(world, "pack", path, *_flags(tag), "--level", level)
    if done.returncode != 0:
        raise NotPacked(f"pack {path}: {done.stderr.strip()}")
    return Image(name_of(program), path, tag, _weight(done.stdout))


def pack_observed(program: str, world: World) -> Image:
    """Pack at the lowest level with what the entry's script was seen to touch. Errors: NotPacked."""
    path, tag = _find(program)
    notes = world.notes / tag
    script = f"export TZ=UTC LANG={LANG}; exec /bin/bash {world.base}/run"
    flags = [*_flags(tag), "--store", str(store(world)), "--level", "minimal", "--save-observation", str(notes)]
    said = world.after_setup([*command(world), "pack", path, *flags, "--observe", script])
    if said.problem or said.status != 0:
        raise NotPacked(f"pack --observe {path}: {said.problem} {said.stderr.strip()[-500:]}")
    return Image(name_of(program), path, tag, _weight(said.stdout.decode()), _touched(json.loads(notes.read_text()), path))


def name_of(program: str) -> str:
    """What the scripts call it: a name, also where the entry gives a path."""
    return program.rpartition("/")[2]


def _find(program: str) -> tuple[str, str]:
    path = shutil.which(program, path=PATH)
    if path is None:
        raise NotPacked(f"no {program} on PATH")
    return path, f"corpus-{name_of(program).lower().replace('+', 'p')}"


def _flags(tag: str) -> list[str]:
    return ["--tag", tag, "--json", "--compression", "none"]


def _weight(text: str) -> Weight:
    value = json.loads(text)
    return Weight(value["files"], value["size"])


def _touched(observation: dict[str, dict[str, str]], program: str) -> Weight:
    """The system's files that were started, read, listed or looked at, the links that lead to them, and what every image has."""
    asked = {program, *(path for kind in ("executed", "read", "listed", "looked") for path in observation[kind])}
    paths = {path for name in asked for path in _way(name) if not path.startswith(_NEVER_SHIPPED)}
    files = [path for path in paths if os.path.isfile(path) and not os.path.islink(path)]
    always = [item.node.size for item in made() if item.node.kind == "file" and item.path not in paths]
    return Weight(len(files) + sum(map(os.path.islink, paths)) + len(always), sum(map(os.path.getsize, files)) + sum(always))


def _way(path: str) -> Iterator[str]:
    """The path, each link on its way, and where it leads."""
    for _ in range(_MOST_LINKS):
        here = ""
        for part in path.split("/")[1:]:
            here = f"{here}/{part}"
            if os.path.islink(here):
                yield here
                path = os.path.normpath(f"{os.path.dirname(here)}/{os.readlink(here)}{path[len(here) :]}")
                break
        else:
            yield path
            return


def call(world: World, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command on the world's store, as the entry's user."""
    environment = {"PATH": PATH, "HOME": str(world.base), "JETTISON_HOME": str(store(world))}
    words = [*world.become, *command(world), *arguments]
    nothing = subprocess.DEVNULL
    return subprocess.run(words, env=environment, stdin=nothing, capture_output=True, text=True, timeout=PACK_TIMEOUT_S)


def store(world: World) -> Path:
    """Private to the world, and its user's."""
    folder = world.base / "store"
    if not folder.exists():
        folder.mkdir(0o700)
        if world.user:
            os.chown(folder, world.user.pw_uid, world.user.pw_gid)
    return folder


def stand_in_outside(program: str, world: World) -> None:
    """Put a script in the program's place that calls it by its path, as an image's entry point does, and messages repeat."""
    path = shutil.which(program, path=PATH)
    _write(world.outside / name_of(program), f'exec {path} "$@"')


def stand_in(image: Image, world: World, trace: Path | None = None) -> None:
    """Put a script in the program's place that runs the image: with what the caller exported, on the scratch folder.

    Variables are passed by value: jettison itself gets none of them. LANG is the image's own, unless the caller has another
    one than everybody's. `trace` is a folder for strace's notes.
    """
    network = "none" if world.entry.network == "none" else "host"
    user = f"--user {world.user.pw_uid}:{world.user.pw_gid}" if world.user else ""
    jettison = shlex.join(command(world))
    strace = f"/usr/bin/strace -f -qq -s 4096 -e trace=file -e signal=none -o {trace}/$$ " if trace else ""
    _write(
        world.inside / image.program,
        f"""\
echo {shlex.quote(image.program)} >> {world.base}/used
flags=(-i)
[ -t 0 ] && [ -t 1 ] && flags+=(-t)
for name in $(compgen -e); do
    case $name=${{!name}} in PATH=*|PWD=*|OLDPWD=*|SHLVL=*|_=*|LANG={LANG}) ;; *) flags+=(--env "$name=${{!name}}") ;; esac
done
exec /usr/bin/env -i PATH={PATH} HOME={world.base} {strace}{jettison} run --store {store(world)} "${{flags[@]}}" \\
    --network {network} {user} -v {world.work}:{world.work} -w "$PWD" {image.tag} "$@"
""",
    )


def _write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash -p\n{script}\n")
    path.chmod(0o755)


def used(world: World) -> set[str]:
    """The programs that a script called inside."""
    notes = world.base / "used"
    return set(notes.read_text().split("\n")) if notes.exists() else set()
