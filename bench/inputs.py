"""What the bench packs: a static hello, and a tree of a gibibyte; the same bytes on every machine with the same system."""

import os
import random
import subprocess
from collections.abc import Iterator
from multiprocessing import Process
from pathlib import Path

from bench.engines import tool

HELLO_C = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
HELLO_GO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'
TREE_BYTES = 1 << 30
TREE_FILES = 10_000
FILES_A_FOLDER = 100
LONGEST_PIECE_BYTES = 8 << 20
TEXT_FOLDERS = ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/share/doc")


def c_hello(folder: Path) -> Path:
    """A static C program that says hello."""
    source = folder / "hello.c"
    source.write_text(HELLO_C)
    subprocess.run([tool("gcc"), "-O2", "-s", "-static", "-o", str(folder / "hello"), str(source)], check=True)
    return folder / "hello"


def go_hello(folder: Path) -> Path:
    """A Go program that says hello; it is static as it needs no libc."""
    source = folder / "hello.go"
    source.write_text(HELLO_GO)
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "go-cache")}
    subprocess.run([tool("go"), "build", "-trimpath", "-o", str(folder / "hello-go"), str(source)], check=True, env=env)
    return folder / "hello-go"


def big_tree(folder: Path) -> Path:
    """10,000 files of very different sizes, 1 GiB in all: every other one random, the rest machine code and text."""
    tree = folder / "tree"
    writer = Process(target=_write_tree, args=(tree,))  # so that its memory is not ours, which every child inherits for a moment
    writer.start()
    writer.join()
    if writer.exitcode != 0:
        raise RuntimeError(f"cannot write `{tree}`")
    return tree


def _write_tree(tree: Path) -> None:
    numbers = random.Random(1980)
    weights = [numbers.lognormvariate(0, 1.2) for _ in range(TREE_FILES)]
    scale = TREE_BYTES / sum(weights)
    system = _SystemBytes()
    for number, weight in enumerate(weights):
        place = tree / f"{number // FILES_A_FOLDER:03}"
        place.mkdir(parents=True, exist_ok=True)
        size = max(1, round(weight * scale))
        content = numbers.randbytes(size) if number % 2 else system.take(size)
        (place / f"{number:05}").write_bytes(content)


class _SystemBytes:
    """Machine code and text: the system's own files as one stream, so that a piece of it is no program."""

    def __init__(self) -> None:
        self._files = _system_files()
        self._left = next(self._files).read_bytes()[1:]  # not from a file's beginning, where it says that it is a program

    def take(self, size: int) -> bytes:
        pieces = [self._left]
        while sum(map(len, pieces)) < size:
            pieces.append(next(self._files).read_bytes()[:LONGEST_PIECE_BYTES])
        taken = b"".join(pieces)
        self._left = taken[size:]
        return taken[:size]


def _system_files() -> Iterator[Path]:
    """Again and again."""
    while True:
        for folder in filter(os.path.isdir, TEXT_FOLDERS):
            yield from (path for path in sorted(Path(folder).rglob("*")) if path.is_file() and not path.is_symlink())
