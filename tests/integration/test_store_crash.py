"""kill -9 at any point, a full disk, many writers at once: the store stays whole, and the same call succeeds afterwards."""

import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import programs
from jettison.errors import JettisonError
from jettison.image.check import check_store
from jettison.image.prune import named_parts
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.oci.reference import Reference
from jettison.verbs.load import load
from jettison.verbs.prune import prune
from jettison.verbs.save import save
from making import Item, dirs, image, tar
from peers import Jettison, Peer

WRITES = (
    "open,openat,creat,write,writev,pwrite64,sendfile,copy_file_range,rename,renameat,renameat2,fsync,fdatasync,syncfs,mkdir,mkdirat,"
    "unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,mknod,mknodat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,lchown,"
    "fchownat,setxattr,lsetxattr,fsetxattr,utimensat,flock"
)
APP = Reference.parse("app")
LAYERS = (
    tar(*dirs("d", "d/e"), Item("file", "d/a", "a" * 3000), Item("symlink", "l", "d"), Item("hardlink", "h", "d/a")),
    tar(Item("file", "d/.wh.a"), Item("file", "d/e/.wh..wh..opq"), Item("file", "b", bytes(5000), mode=0o4755)),
)

CALLS = {
    "put and tag": "local.tag(APP, local.put(local.read(local.resolve('other')[1]) + b' ' * 100_000))",
    "tag another": "local.tag(APP, local.resolve('other')[1])",
    "untag": "local.untag(APP)",
    "load": "load(local, sys.argv[2])",
    "prepare": "prepare(local, local.resolve('app')[1])",
    "rmi": "rmi(local, ['app']) if APP in dict(local.tags()) else None",
    "prune": "prune(local)",
}
CHILD = """
import sys
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.oci.reference import Reference
from jettison.verbs.load import load
from jettison.verbs.prune import prune
from jettison.verbs.rmi import rmi
APP = Reference.parse("app")
local = LocalStore(sys.argv[1])
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An image with two layers and two names, as `save` writes it."""
    store = LocalStore(str(tmp_path / "source"))
    made = image(store, *LAYERS)
    store.tag(APP, made.digest)
    save(store, ["app"], str(tmp_path / "app.tar"))
    return tmp_path / "app.tar"


def base(folder: Path) -> LocalStore:
    """A store with an image of the name `app`, unpacked, another one, and one that has lost its name."""
    store = LocalStore(str(folder))
    for name, layers in {
        "app": [tar(Item("file", "old"))],
        "other": list(LAYERS[:1]),
        "lost": [tar(Item("file", "lost"))],
    }.items():
        made = image(store, *layers)
        store.tag(Reference.parse(name), made.digest)
        if name == "lost":
            prepare(store, made.digest)
    store.untag(Reference.parse("lost"))
    Path(store.path, "tmp", "leftover").write_text("of a dead writer")
    return store


def kills(command: list[str], log: Path, reset: Callable[[], None], require: Callable[[str], str]) -> Iterator[str]:
    """Run the command again and again, each time killed as it enters another one of the system calls that write."""
    strace = [require("strace"), "-f", "-qq", "-o", str(log)]
    subprocess.run([*strace, "-e", f"trace={WRITES}", *command], check=True, capture_output=True)
    places = list(_places(log.read_text(errors="replace")))
    assert len(places) > 5
    for name, number in places:
        reset()
        inject = f"inject={name}:signal=KILL:when={number}"
        done = subprocess.run([*strace, "-e", f"trace={name}", "-e", inject, *command], capture_output=True)
        # Threads may share the calls out in another way: then the call gets to its end.
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL, 0)
        yield f"{name} {number}"


def _places(log: str) -> Iterator[tuple[str, int]]:
    """(system call, how many of its name came before in this thread): strace counts so."""
    counts: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[str, int]] = set()
    for thread, name, rest in re.findall(r"^(\d+) +(\w+)\((.*)", log, re.MULTILINE):
        counts[thread, name] += 1
        reads = name in ("open", "openat") and not re.search("O_WRONLY|O_RDWR|O_CREAT", rest)
        speaks = name == "write" and rest.startswith(("1,", "2,"))
        if not reads and not speaks and (name, counts[thread, name]) not in seen:
            seen.add((name, counts[thread, name]))
            yield name, counts[thread, name]


def assert_whole(store: LocalStore, place: str) -> None:
    """It opens, every name means a whole image or what it meant, and nothing that is there is half."""
    assert check_store(store).findings == (), f"killed at {place}"


@pytest.mark.parametrize("name", CALLS)
def test_killed_at_every_write(name: str, archive: Path, tmp_path: Path, require: Callable[[str], str]) -> None:
    """Whenever it is killed, the store is whole, the same call succeeds, and a clean-up leaves nothing over (S1)."""
    template, target = tmp_path / "template", tmp_path / "store"
    base(template)

    def reset() -> None:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(template), str(target)], check=True)

    reset()
    command = [sys.executable, "-c", CHILD + CALLS[name], str(target), str(archive)]
    for number, place in enumerate(kills(command, tmp_path / "log", reset, require)):
        store = LocalStore(str(target))
        assert_whole(store, place)
        subprocess.run(command, check=True, capture_output=True)
        assert_whole(store, place)
        if number % 10 == 0:
            prune(store)
            assert os.listdir(f"{target}/tmp") == []
            assert set(store.digests()) == {digest for digest in named_parts(store).blobs if store.has(digest)}


def test_killed_while_the_store_is_made(tmp_path: Path, require: Callable[[str], str]) -> None:
    """A store that is half made is made to its end by the next call (S1)."""
    target = tmp_path / "store"
    command = [sys.executable, "-c", CHILD + "local.put(b'x')", str(target)]

    for place in kills(command, tmp_path / "log", lambda: shutil.rmtree(target, ignore_errors=True), require):
        store = LocalStore(str(target))
        store.put(b"y")
        assert_whole(store, place)


def test_pack_killed_at_every_write(jettison: Jettison, tmp_path: Path, require: Callable[[str], str]) -> None:
    """The name means nothing or the whole image, never half of one; the next pack succeeds (S1)."""
    program = programs.static_hello(tmp_path)
    command = ["env", f"JETTISON_HOME={jettison.store}", *jettison.command, "pack", str(program), "-t", "app"]

    def reset() -> None:
        shutil.rmtree(jettison.store, ignore_errors=True)

    for number, place in enumerate(kills(command, tmp_path / "log", reset, require)):
        store = LocalStore(str(jettison.store))
        assert_whole(store, place)
        for _, digest in store.tags():
            store.image(digest)
        if number % 20 == 0:
            assert jettison("pack", "-q", str(program), "-t", "app") == "app:latest\n"
            assert_whole(store, place)


def test_a_full_disk(root: None, archive: Path, tmp_path: Path) -> None:
    """An error that says so; the store is whole, and works again when there is room (S2)."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        store = base(disk / "store")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        ballast = disk / "ballast"
        failures = 0
        for left in range(0, free, 4096):
            ballast.write_bytes(b"x" * (free - left))
            try:
                load(store, str(archive))
                break
            except OSError:
                failures += 1
                assert_whole(store, f"{left} bytes left")
                assert_no_leftovers(store)
            finally:
                ballast.unlink()
        else:
            pytest.fail("it never fitted")
        assert failures > 1
        ballast.write_bytes(b"x" * os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize)
        with pytest.raises(OSError):
            prepare(store, store.resolve("app")[1])
        ballast.unlink()
        prepare(store, store.resolve("app")[1])
        assert_whole(store, "the end")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def assert_no_leftovers(store: LocalStore) -> None:
    assert os.listdir(f"{store.path}/tmp") == ["leftover"]


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """What a user without root meets instead of a full disk: EFBIG in the middle of a blob (S2)."""
    store = LocalStore(str(tmp_path / "store"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError):
            store.put(b"x" * 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert_whole(store, "the end")
    assert os.listdir(f"{store.path}/tmp") == []
    store.put(b"x" * 200_000)


def test_many_writers_and_a_clean_up(jettison: Jettison, archive: Path) -> None:
    """Loads of one name, removals, preparations and clean-ups at once: at the end the store is whole and the index right (S3)."""
    store = LocalStore(str(jettison.store))
    errors: list[BaseException] = []

    def repeat(action: Callable[[], object]) -> None:
        for _ in range(8):
            try:
                action()
            except JettisonError as error:  # another one removed it meanwhile, and that is said
                if "no " not in error.message:
                    errors.append(error)
            except BaseException as error:
                errors.append(error)

    def run(*words: str) -> None:
        done = jettison.call(*words)
        if done.returncode != 0 and not done.stderr.startswith(("error: no ", "warning: waiting")):
            raise AssertionError(done.stderr)

    actions = [
        lambda: run("load", "-q", "-i", str(archive)),
        lambda: load(LocalStore(store.path), str(archive)),
        lambda: prepare(LocalStore(store.path), LocalStore(store.path).resolve("app")[1]),
        lambda: prune(LocalStore(store.path)),
        lambda: run("prune"),
        lambda: run("tag", "app", "app:other"),
        lambda: run("rmi", "app:other"),
    ]
    threads = [threading.Thread(target=repeat, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert_whole(store, "the end")
    entries = json.loads(Path(store.path, "index.json").read_text())["manifests"]
    assert len(entries) == len(store.tags())


def test_two_packs_of_one_name_at_once(jettison: Jettison, tmp_path: Path) -> None:
    """The name means one of them, whole (S3)."""
    programs_ = [
        programs.static_hello(tmp_path),
        programs.build(tmp_path, "other", programs.HELLO.replace("hello", "ciao"), "-static"),
    ]
    commands = [
        ["env", f"JETTISON_HOME={jettison.store}", *jettison.command, "pack", "-q", str(p), "-t", "app"] for p in programs_
    ]

    for _ in range(5):
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
        assert [(process.communicate(), process.returncode)[1] for process in running] == [0, 0]

        store = LocalStore(str(jettison.store))
        assert_whole(store, "the end")
        store.image(store.resolve("app")[1])


def test_a_container_keeps_what_it_uses(jettison: Jettison, archive: Path) -> None:
    """While something holds the image's run record, its layers stay; afterwards a clean-up takes them (S3)."""
    import fcntl

    store = LocalStore(str(jettison.store))
    [loaded] = load(store, str(archive))
    prepare(store, loaded.image.digest)
    with open(store.run_path(loaded.image.digest), "rb") as record:
        fcntl.flock(record, fcntl.LOCK_SH)
        jettison("rmi", "app")
        jettison("prune")
        assert len(os.listdir(f"{store.path}/layers")) == 2
    jettison("prune")

    assert os.listdir(f"{store.path}/layers") == os.listdir(f"{store.path}/run") == []
    assert store.digests() == []


def test_a_reader_that_goes_away(jettison: Jettison, archive: Path) -> None:
    """`jettison save -q app | head` leaves no error behind but the pipe's."""
    load(LocalStore(str(jettison.store)), io.BytesIO(archive.read_bytes()))
    shell = Peer(["sh", "-c"])

    done = shell.call(f"JETTISON_HOME={jettison.store} {' '.join(jettison.command)} save -q app | head -c 1 | wc -c")

    assert (done.stdout.strip(), done.stderr) == ("1", "")
