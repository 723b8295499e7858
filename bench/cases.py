"""What is measured: each case does the same work with jettison and with its peers, and names the figures that have a target."""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import engines, inputs, programs
from bench.engines import INSTALLED
from bench.measure import Measured, Row, side_by_side

TESTS = Path(__file__).parent.parent / "tests"
KIB, MIB = 1 << 10, 1 << 20
SCRATCH = 'FROM scratch\nCOPY hello /hello\nENTRYPOINT ["/hello"]\n'


class Figure(NamedTuple):
    """A measured value and the most (or, with `is_least`, the least) that it should be."""

    name: str
    value: float
    target: float
    unit: str = ""
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.target if self.is_least else self.value <= self.target


class Result(NamedTuple):
    """A case's figures, the rows they come from, and what a reader should know."""

    title: str
    note: str
    figures: Sequence[Figure]
    rows: Mapping[str, Measured] = {}
    base: str = ""


class Bench(NamedTuple):
    """Where to work, and how often."""

    folder: Path
    runs: int
    env: Mapping[str, str]

    @property
    def heavy_runs(self) -> int:
        """For what takes a minute."""
        return max(1, min(3, self.runs // 5))

    @property
    def store(self) -> Path:
        return Path(self.env["JETTISON_HOME"])

    def forget(self) -> None:
        """Begin with an empty store."""
        shutil.rmtree(self.store, ignore_errors=True)


def run_hello(bench: Bench) -> Result:
    """`jettison run` of a packed static hello, the image cached, and the same hello in every peer."""
    hello = inputs.c_hello(bench.folder)
    context = _context(bench, hello)
    bundle = engines.runc_bundle(bench.folder, hello)
    podman = engines.podman(bench.folder)
    user_python, user_env = for_ordinary_user(bench, hello)
    engines.call([INSTALLED], "pack", str(hello), "-t", "hello", env=dict(bench.env))
    engines.call(podman, "build", "--isolation", "chroot", "--tag", "hello", str(context))
    runc = [engines.tool("runc"), "--root", str(bench.folder / "runc"), "run", "--bundle", str(bundle), "hello"]
    bwrap = [engines.tool("bwrap"), "--unshare-all", "--ro-bind", str(bundle / "rootfs"), "/", "--proc", "/proc", "--dev", "/dev"]
    without_network = ["--network", "none", "hello"]
    with engines.docker(bench.folder) as docker:
        engines.call(docker, "build", "--tag", "hello", str(context), env={**os.environ, "DOCKER_BUILDKIT": "0"})
        rows = [
            Row("jettison run --network none", [[INSTALLED, "run", *without_network]], bench.env, stdout="hello\n"),
            Row("runc run", [runc], stdout="hello\n"),
            Row("podman --runtime runc run --rm --network none", [[*podman, "run", "--rm", *without_network]], stdout="hello\n"),
            Row("docker run --rm --network none", [[*docker, "run", "--rm", *without_network]], stdout="hello\n"),
            Row("jettison run", [[INSTALLED, "run", "hello"]], bench.env, stdout="hello\n"),
            Row(
                "jettison run --network none, ordinary user",
                [[*user_python, "run", *without_network]],
                user_env,
                stdout="hello\n",
                user=engines.USER,
            ),
            Row("bwrap --unshare-all", [[*bwrap, "/hello"]], stdout="hello\n"),
            Row("python3 -I -S -c pass", [[sys.executable, "-I", "-S", "-c", "pass"]], bench.env),
            Row("hello itself", [[str(hello)]], stdout="hello\n"),
        ]
        found = side_by_side(rows, bench.runs, warm_ups=2)
    figures = [
        ratio(found, "jettison run --network none", "podman --runtime runc run --rm --network none", 0.20),
        ratio(found, "jettison run --network none", "docker run --rm --network none", 0.12),
        ratio(found, "jettison run --network none", "runc run", 1.3),
    ]
    note = "A static C hello; root but for the row that says otherwise. docker has no network either, which favours it."
    return Result("run a hello", note, figures, found, "jettison run --network none")


def pack_hello(bench: Bench) -> Result:
    """`jettison pack` of a static hello into an empty store, and the two-line Dockerfile in every peer."""
    hello = inputs.c_hello(bench.folder)
    context = _context(bench, hello)
    buildah = [*engines.buildah(bench.folder), "bud", "--isolation", "chroot", "--no-cache", "--tag", "hello", str(context)]
    pack = [[INSTALLED, "pack", str(hello), "-t", "hello"]]
    with engines.docker(bench.folder) as docker:
        build = [*docker, "build", "--no-cache", "--tag", "hello", str(context)]
        rows = [
            Row("jettison pack", pack, bench.env, bench.forget),
            Row("docker build --no-cache, BuildKit", [build], {**os.environ, "DOCKER_BUILDKIT": "1"}),
            Row("docker build --no-cache --quiet, BuildKit", [[*build, "--quiet"]], {**os.environ, "DOCKER_BUILDKIT": "1"}),
            Row("docker build --no-cache, legacy", [build], {**os.environ, "DOCKER_BUILDKIT": "0"}),
            Row("buildah bud --no-cache", [buildah]),
            Row("jettison pack, again", pack, bench.env),
            Row("jettison pack --bare", [[*pack[0], "--bare"]], bench.env, bench.forget),
        ]
        found = side_by_side(rows, bench.runs, warm_ups=2)
    figures = [ratio(found, "jettison pack", "docker build --no-cache, BuildKit", 0.5)]
    note = "jettison begins with an empty store each time, but for the row that says otherwise."
    return Result("pack a hello", note, figures, found, "jettison pack")


def pack_git(bench: Bench) -> Result:
    """`jettison pack git` into an empty store, again, and a Dockerfile that copies the same files, with buildah."""
    pack = [[INSTALLED, "pack", engines.tool("git"), "-t", "git"]]
    engines.call(pack[0], env=dict(bench.env))
    context = bench.folder / "context"
    files = _unpacked(bench.store, context / "rootfs")
    (context / "Dockerfile").write_text('FROM scratch\nCOPY rootfs /\nENTRYPOINT ["/usr/bin/git"]\n')
    buildah = engines.buildah(bench.folder)
    bud = [*buildah, "bud", "--isolation", "chroot", "--no-cache", "--tag", "git", str(context)]
    rows = [
        Row("jettison pack git", pack, bench.env, bench.forget),
        Row("jettison pack git, again", pack, bench.env),
        Row("buildah bud --no-cache", [bud]),
    ]
    found = side_by_side(rows, bench.runs, warm_ups=1)
    figures = [
        ratio(found, "jettison pack git", "buildah bud --no-cache", 1.5),
        ratio(found, "jettison pack git, again", "buildah bud --no-cache", 0.3),
    ]
    note = f"{files:,} files; the store is empty at first. buildah copies the same, uncompressed, into its own storage."
    return Result("pack git", note, figures, found, "jettison pack git")


def big_tree(bench: Bench) -> Result:
    """A program and 1 GiB in 10,000 files, half of it random, as one OCI image with gzip."""
    hello = inputs.c_hello(bench.folder)
    tree = inputs.big_tree(bench.folder)
    context = _context(bench, hello)
    (context / "Dockerfile").write_text(f"{SCRATCH}COPY tree /tree\n")
    tree = tree.rename(context / "tree")
    buildah, layout = engines.buildah(bench.folder), bench.folder / "layout"
    bud = [*buildah, "bud", "--isolation", "chroot", "--no-cache", "--tag", "tree", str(context)]
    push = [*buildah, "push", "localhost/tree", f"oci:{layout}:tree"]
    pack = [[INSTALLED, "pack", str(hello), "--include", str(tree), "-t", "tree"]]

    def without_peers_images() -> None:
        engines.call(buildah, "rmi", "--all", "--force")
        shutil.rmtree(layout, ignore_errors=True)

    rows = [
        Row("jettison pack", pack, bench.env, bench.forget),
        Row("jettison pack, one file changed", pack, bench.env, lambda: _change_one(tree)),
        Row("jettison pack, nothing changed", pack, bench.env),
        Row("buildah bud + push oci:", [bud, push], before=without_peers_images),
        Row("jettison pack --compression zstd", [[*pack[0], "--compression", "zstd"]], bench.env, bench.forget),
    ]
    found = side_by_side(rows, bench.heavy_runs, warm_ups=0)
    _want_gzip(layout)
    first = found["jettison pack"]
    figures = [
        ratio(found, "jettison pack", "buildah bud + push oci:", 0.25),
        ratio(found, "jettison pack, one file changed", "jettison pack", 0.25),
        Figure("jettison pack: most memory", first.peak_bytes / MIB, 200, " MiB"),
    ]
    note = f"{inputs.TREE_FILES:,} files, {inputs.TREE_BYTES / MIB:,.0f} MiB; read once before, so from the page cache."
    return Result("pack a gibibyte", note, figures, found, "jettison pack")


def sizes(bench: Bench) -> Result:
    """How much larger than the binary the layers of a static program are, uncompressed."""
    figures = []
    for program in (inputs.c_hello(bench.folder), inputs.go_hello(bench.folder)):
        for flags, most_kib in ((["--bare"], 4), ([], 16)):
            engines.call([INSTALLED], "pack", str(program), "-t", "size", *flags, env=dict(bench.env))
            more_kib = (_layers_bytes(bench.store) - program.stat().st_size) / KIB
            figures.append(
                Figure(f"{' '.join(['jettison pack', program.name, *flags])}: layer − binary", more_kib, most_kib, " KiB")
            )
            bench.forget()
    return Result("sizes", "The layers' uncompressed bytes minus the binary's; `hello` is C, `hello-go` is Go.", figures)


def sweep(bench: Bench) -> Result:
    """How many programs of this machine answer `--version` the same inside."""
    summary = programs.measure()
    figures = [
        Figure("programs that answer outside", summary.programs, programs.LEAST_PROGRAMS, is_least=True),
        Figure("of them the same inside", summary.percent, programs.TARGET_PERCENT, " %", is_least=True),
    ]
    return Result("programs of this machine", summary.markdown, figures)


def corpus(bench: Bench) -> Result:
    """How many entries of the tests' corpus work, and how large an image is beside debootstrap and apt-get install."""
    report = bench.folder / "corpus.json"
    words = [sys.executable, "-m", "corpus", "all", "--shares", "--json", str(report)]
    done = subprocess.run(words, env={**bench.env, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False)
    if not report.exists():
        raise RuntimeError(f"{words}: status {done.returncode}\n{done.stderr[-2000:]}")
    verdicts = json.loads(report.read_text())["verdicts"]
    shares = [image["share"] for verdict in verdicts for image in verdict["images"] if image["share"] is not None]
    works = sum(not verdict["problem"] for verdict in verdicts)
    figures = [
        Figure("entries of the corpus that work", 100 * works / len(verdicts), 97, " %", is_least=True),
        Figure("image beside minbase and apt-get install, median", statistics.median(shares), 0.2),
    ]
    return Result("the corpus of used programs", f"{works} of {len(verdicts)} entries, {len(shares)} programs.", figures)


CASES: Mapping[str, Callable[[Bench], Result]] = {
    "run": run_hello,
    "pack": pack_hello,
    "git": pack_git,
    "tree": big_tree,
    "sizes": sizes,
    "programs": sweep,
    "corpus": corpus,
}


def ratio(found: Mapping[str, Measured], ours: str, theirs: str, at_most: float) -> Figure:
    return Figure(f"{ours} / {theirs}", found[ours].median_s / found[theirs].median_s, at_most)


def _context(bench: Bench, hello: Path) -> Path:
    context = bench.folder / "context"
    context.mkdir(exist_ok=True)
    shutil.copy2(hello, context)
    (context / "Dockerfile").write_text(SCRATCH)
    return context


def for_ordinary_user(bench: Bench, hello: Path) -> tuple[list[str], dict[str, str]]:
    """The command installed for an ordinary user, and the user's environment, with hello packed."""
    command, env = engines.ordinary(bench.folder)
    engines.call([*engines.as_user(), command], "pack", str(hello), "-t", "hello", env=env)
    return [command], env


def _change_one(tree: Path) -> None:
    path = tree / "050" / "05000"
    path.write_bytes(os.urandom(path.stat().st_size))


def _want_gzip(layout: Path) -> None:
    for manifest in _manifests(layout):
        assert all(layer["mediaType"].endswith("tar+gzip") for layer in manifest["layers"]), manifest


def _unpacked(layout: Path, folder: Path) -> int:
    """The files of the image, in a folder; how many."""
    (manifest,) = _manifests(layout)
    folder.mkdir(parents=True)
    for layer in manifest["layers"]:
        blob = layout / "blobs" / layer["digest"].replace(":", "/")
        engines.call([engines.tool("tar")], "--extract", "--gzip", "--file", str(blob), "--directory", str(folder))
    return sum(len(names) for _, _, names in os.walk(folder))


def _layers_bytes(layout: Path) -> int:
    (manifest,) = _manifests(layout)
    blobs = [layout / "blobs" / layer["digest"].replace(":", "/") for layer in manifest["layers"]]
    return sum(len(gzip.decompress(blob.read_bytes())) for blob in blobs)


def _manifests(layout: Path) -> list[dict[str, list[dict[str, str]]]]:
    index = json.loads((layout / "index.json").read_text())
    return [json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text()) for entry in index["manifests"]]
