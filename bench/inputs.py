"""What the bench packs and unpacks: a static hello, a tree of a gibibyte, an image of 30,000 files.

The same bytes on every machine with the same system.
"""

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from multiprocessing import Process
from pathlib import Path

from bench.engines import tool

HELLO_C = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
HELLO_GO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'
TREE_BYTES = 1 << 30
TREE_FILES = 10_000
FILES_A_FOLDER = 100
SYSTEM_FOLDERS = ("/usr/bin", "/usr/include", "/usr/lib", "/usr/share")
SYSTEM_FILES, SYSTEM_LINKS = 30_000, 3_000
SYSTEM_BYTES = 500 << 20
OCI = "application/vnd.oci.image"
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


def system_layout(folder: Path) -> Path:
    """An OCI layout with the image `system`: 30,000 files of this system, 500 MB, in five layers as people stack them."""
    layout = folder / "system"
    writer = Process(target=_write_layout, args=(layout,))
    writer.start()
    writer.join()
    if writer.exitcode != 0:
        raise RuntimeError(f"cannot write `{layout}`")
    return layout


def _write_layout(layout: Path) -> None:
    chosen, links = _chosen_files()
    groups: list[list[Path]] = [[], [], [], []]
    for path in sorted([*chosen, *links]):
        groups[0 if path.parts[2] == "bin" else 1 + zlib.crc32(str(path.parent).encode()) % 3].append(path)
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers, diff_ids = [], []
    for tar in [*map(_tar_of, groups), _tar_of_changes(chosen[::100])]:
        diff_ids.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
        layers.append(_put(blobs, gzip.compress(tar, 6, mtime=0), f"{OCI}.layer.v1.tar+gzip"))
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    config = {"architecture": machine, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": _put(blobs, json.dumps(config).encode(), f"{OCI}.config.v1+json"),
        "layers": layers,
    }
    entry = _put(blobs, json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": "system"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def _chosen_files() -> tuple[list[Path], list[Path]]:
    """Files and symbolic links of /usr, at random: so many and so large that they come out as wanted."""
    found = [path for top in SYSTEM_FOLDERS for path in sorted(Path(top).rglob("*"))]
    random.Random(1980).shuffle(found)
    links = [path for path in found if path.is_symlink()]
    chosen: list[Path] = []
    left = SYSTEM_BYTES
    for path in found:
        if len(chosen) == SYSTEM_FILES:
            break
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        if size <= max(4096, 120 * left // (SYSTEM_FILES - len(chosen))):
            chosen.append(path)
            left -= size
    return chosen, links[:SYSTEM_LINKS]


def _tar_of(paths: Sequence[Path]) -> bytes:
    """A layer with these paths and the folders above them."""
    buffer = io.BytesIO()
    known: set[Path] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in paths:
            for each in [*reversed(path.parents), path]:
                if each not in known:
                    known.add(each)
                    archive.inodes.clear()  # type: ignore[attr-defined]  # hard links are files of their own
                    archive.add(each, recursive=False, filter=_with_whole_seconds)
    return buffer.getvalue()


def _with_whole_seconds(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """As docker and BuildKit write times."""
    info.mtime = int(info.mtime)
    return info


def _tar_of_changes(paths: Sequence[Path]) -> bytes:
    """The topmost layer: every second of these files is removed, the others have other bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, path in enumerate(paths):
            info = tarfile.TarInfo(f"{str(path.parent)[1:]}/{path.name if number % 2 else f'.wh.{path.name}'}")
            data = b"changed\n" if number % 2 else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _put(blobs: Path, data: bytes, media_type: str) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
