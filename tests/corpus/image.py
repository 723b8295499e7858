"""A program's image: packed by the command as a user would, and looked at through the library."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from corpus.world import LANG, PATH, World

PACK_TIMEOUT_S = 120.0


class Image(NamedTuple):
    """`program` is its name, `path` where it lies on the machine; `files` is paths but folders, `size` their bytes together."""

    program: str
    path: str
    tag: str
    files: int
    size: int
    seconds: float = 0.0


class NotPacked(Exception):
    """`jettison pack` failed, with what it said."""


def command() -> str:
    """The installed command, or the one that $JETTISON_COMMAND names."""
    return os.environ.get("JETTISON_COMMAND", str(Path(sys.executable).parent / "jettison"))


def pack(program: str, world: World, *flags: str) -> Image:
    """Pack with nothing but the program's path and a level, into the world's own store. Errors: NotPacked."""
    path = shutil.which(program, path=PATH)
    if path is None:
        raise NotPacked(f"no {program} on PATH")
    name = os.path.basename(program)
    tag = f"corpus-{name.lower().replace('+', 'p')}"
    done = call(world, "pack", path, "-t", tag, "--json", "--compression", "none", *flags)
    if done.returncode != 0:
        raise NotPacked(f"pack {path}: {done.stderr.strip()}")
    value = json.loads(done.stdout)
    return Image(name, path, tag, value["files"], value["size"])


def call(world: World, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command on the world's store, as the entry's user."""
    environment = {"PATH": PATH, "HOME": str(world.base), "JETTISON_HOME": str(store(world))}
    words = [*world.become, command(), *arguments]
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
    _write(world.outside / os.path.basename(program), f'exec {path} "$@"')


def stand_in(image: Image, world: World, trace: Path | None = None) -> None:
    """Put a script in the program's place that runs the image: with what the caller exported, on the scratch folder.

    Variables are passed by value: jettison itself gets none of them. LANG is the image's own, unless the caller has another
    one than everybody's. `trace` is a folder for strace's notes.
    """
    network = "none" if world.entry.network == "none" else "host"
    user = f"--user {world.user.pw_uid}:{world.user.pw_gid}" if world.user else ""
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
exec /usr/bin/env -i PATH={PATH} HOME={world.base} {strace}{shlex.quote(command())} run --store {store(world)} "${{flags[@]}}" \\
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
