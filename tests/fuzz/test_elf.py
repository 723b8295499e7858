"""Damaged ELF files, caches and configurations: whatever they say, the answer is a JettisonError or facts, and soon.

Short by default. JETTISON_FUZZ_SECONDS=600 makes the five tests go on for that long together; each prints how many cases it
has tried (pytest -s).
"""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elves import make_elf
from jettison.closure import cache, directories, elf, linker
from jettison.errors import JettisonError
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree

SECONDS = float(os.environ.get("JETTISON_FUZZ_SECONDS", "0")) / 5
CASE_LIMIT_S = 5.0
MEMORY_LIMIT_MIB = 1024

FEATURES = [{"soname": ["libx.so.1", "libx.so.0"], "feature": "x", "description": "y", "priority": "required"}]
CRAFTED = [
    make_elf(
        bits,
        byte_order,
        machine,
        interpreter="/lib/ld.so.1",
        needed=["liba.so.1", "libb.so", "/opt/libc.so"],
        soname="libself.so.1",
        rpath="/opt/lib:$ORIGIN/../lib",
        runpath=runpath,
        versions_needed={"liba.so.1": [("A_1", False), ("A_2", True)], "libb.so": [("B_1", False)]},
        versions_defined=["libself.so.1", "SELF_1"],
        imports=["dlopen", "puts"],
        exports=["self"],
        dlopen=FEATURES,
        hash_table=hash_table,
    )
    for bits, byte_order, machine in ((64, "little", 62), (32, "big", 8), (64, "big", 22), (32, "little", 40))
    for runpath, hash_table in ((None, "sysv"), ("${ORIGIN}:$LIB/x:", "none"))
]
REAL = [
    Path(path).read_bytes()
    for path in ("/bin/true", "/lib/x86_64-linux-gnu/libdl.so.2", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")
    if os.path.exists(path)
]
ENTRIES = [(f"lib{name}.so.{number}", f"/opt/lib/lib{name}.so.{number}", 0x303) for name in "abc" for number in range(3)]
NUMBERS = [
    0,
    1,
    2,
    4,
    16,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    1 << 63,
    (1 << 64) - 1,
]


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals with a few fields overwritten, and perhaps cut off or longer."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        width = draw(st.sampled_from((1, 2, 4, 8)))
        near = draw(st.sampled_from((64, 512, len(data))))
        place = draw(st.integers(0, max(min(near, len(data)) - width, 0)))
        number = draw(st.one_of(st.sampled_from(NUMBERS), st.integers(0, 2 * len(data)), st.integers(0, (1 << 64) - 1)))
        data[place : place + width] = (number % (1 << 8 * width)).to_bytes(width, draw(st.sampled_from(("little", "big"))))
    cut = draw(st.one_of(st.none(), st.integers(0, len(data))))
    return bytes(data[:cut])


def run(case: Callable[[], None]) -> None:
    """A case may end in an error of ours and no other, and in time."""
    started = time.monotonic()
    try:
        case()
    except JettisonError as error:
        assert error.message
    taken_s = time.monotonic() - started
    assert taken_s < CASE_LIMIT_S, f"took {taken_s:.1f} s"


def repeat(test: Callable[[], None], count: list[int]) -> None:
    """Run a hypothesis test once, or again with other cases until the time is over."""
    end = time.monotonic() + SECONDS
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): what other tests have taken before does not count
    test()
    while time.monotonic() < end:
        test()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mib = int(status["VmHWM"].split()[0]) >> 10
    print(f"\n{len(count)} cases, {peak_mib} MiB at most")

    assert peak_mib < MEMORY_LIMIT_MIB


SETTINGS = settings(max_examples=2000 if SECONDS else 300, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def read_all(data: bytes) -> None:
    run(lambda: _ignore(elf.read(io.BytesIO(data), "damaged")))
    run(lambda: _ignore(elf.imported_symbols(io.BytesIO(data), "damaged")))


def _ignore(_: object) -> None:
    pass


@pytest.mark.parametrize("originals", [CRAFTED, REAL], ids=["crafted", "real"])
def test_damaged_elf_files(originals: list[bytes]) -> None:
    """Facts and symbols of a damaged file: an answer or an InvalidData."""
    count: list[int] = []

    @SETTINGS
    @given(damaged(originals))
    def test(data: bytes) -> None:
        count.append(1)
        read_all(data)

    repeat(test, count)


def test_damaged_caches() -> None:
    """A cache in the new form, the old one, and one after the other."""
    count: list[int] = []
    new, old = cache.write(ENTRIES), old_cache()
    aligned = old + bytes(-len(old) % 8) + new

    @SETTINGS
    @given(damaged([new, old, aligned, cache.write(ENTRIES, "big"), with_extension(new)]))
    def test(data: bytes) -> None:
        count.append(1)
        run(lambda: _ignore(cache.parse(data, "damaged")))

    repeat(test, count)


CONF_LINES = """\
include /etc/ld.so.conf
include *.conf
include /etc/ld.so.conf.d/*.conf
include /etc/ld.so.conf.d/[a-z]*.conf /x
include ../*/*/../*
include [
include
/opt/lib
/opt/lib=libc6 # x
hwcap 0 x
=
#
  /lib
\udcff/\udcfe
/\0x""".split("\n")


def test_configurations() -> None:
    """Files of ld.so.conf that include each other and themselves."""
    count: list[int] = []
    text = st.lists(st.one_of(st.sampled_from(CONF_LINES), st.text(max_size=20)), max_size=8).map("\n".join)

    @SETTINGS
    @given(text, text, text)
    def test(first: str, second: str, third: str) -> None:
        count.append(1)
        folder = "/etc/ld.so.conf.d"
        files = {"/etc/ld.so.conf": first, f"{folder}/a.conf": second, f"{folder}/b.conf": third}
        nodes = {path: made_file(content.encode("utf-8", "surrogatepass")) for path, content in files.items()}
        root = Tree({"/etc": made_dir(), folder: made_dir(), f"{folder}/c.conf": made_symlink("a.conf"), **nodes})
        run(lambda: _ignore(directories.configured(root)))

    repeat(test, count)


def test_damaged_roots() -> None:
    """A program and its libraries, all damaged, under a damaged cache."""
    count: list[int] = []
    paths = ("/bin/app", "/opt/lib/liba.so.1", "/lib/libb.so", "/opt/libc.so", "/lib/ld.so.1")

    @SETTINGS
    @given(st.tuples(*[damaged(CRAFTED)] * len(paths)), damaged([cache.write(ENTRIES)]), st.booleans())
    def test(files: tuple[bytes, ...], cached: bytes, has_cache: bool) -> None:
        count.append(1)
        nodes: dict[str, Node] = {path: made_dir() for path in ("/bin", "/opt", "/opt/lib", "/lib", "/etc")}
        nodes |= {path: made_file(data) for path, data in zip(paths, files, strict=True)}
        nodes["/lib/liba.so.1"] = made_symlink("../lib/liba.so.1")
        nodes |= {"/etc/ld.so.cache": made_file(cached)} if has_cache else {"/etc/ld.so.conf": made_file(b"/opt/lib\n")}
        root = Tree(nodes)
        run(lambda: _ignore(linker.dlopen(root, linker.load(root, "/bin/app"), paths[1], "libb.so")))

    repeat(test, count)


def old_cache() -> bytes:
    """The form of before glibc 2.2."""
    strings = b"liba.so.1\0/opt/lib/liba.so.1\0"
    header = b"ld.so-1.7.0\0" + (1).to_bytes(4, "little")
    return header + b"".join(number.to_bytes(4, "little") for number in (0x303, 0, 10)) + strings


def with_extension(data: bytes) -> bytes:
    """A cache whose first entry is for x86-64-v3 only."""
    changed = bytearray(data + bytes(-len(data) % 4))
    start = len(changed)
    numbers = (0xEAA42174, 1, 1, 0, start + 24, 4, start + 28)
    changed += b"".join(number.to_bytes(4, "little") for number in numbers) + b"x86-64-v3\0"
    changed[32:36] = start.to_bytes(4, "little")
    changed[64:72] = (1 << 62).to_bytes(8, "little")
    return bytes(changed)
