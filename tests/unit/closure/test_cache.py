"""ld.so.cache: ldconfig reads what we write, we read what ldconfig writes, and ld.so finds libraries by it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elves import make_elf
from jettison.closure import cache, elf
from jettison.closure.cache import Cache, Entry
from jettison.errors import InvalidData
from jettison.tree.root import DirectoryRoot
from programs import CALLER, GREET, build

Require = Callable[[str], str]

X86_64 = 0x303
NAMES = st.text("abz.+-_0129", min_size=1, max_size=12).map(lambda text: f"lib{text}")
ENTRIES = st.lists(st.tuples(NAMES, NAMES.map(lambda name: f"/opt/{name}"), st.sampled_from([3, X86_64])), max_size=30)


@given(ENTRIES, st.sampled_from(["little", "big"]))
def test_what_is_written_is_read(entries: list[tuple[str, str, int]], byte_order: elf.ByteOrder) -> None:
    """Every entry once, in either byte order; of the same soname the first one stays the first."""
    read = cache.parse(cache.write(entries, byte_order), "cache")

    assert read.byte_order == byte_order
    assert {entry[:3] for entry in read.entries} == set(entries)
    for soname in {entry.soname for entry in read.entries}:
        assert [entry[:3] for entry in read.entries if entry.soname == soname] == [
            entry for entry in dict.fromkeys(entries) if entry[0] == soname
        ]


@given(ENTRIES)
def test_the_same_entries_give_the_same_bytes(entries: list[tuple[str, str, int]]) -> None:
    """Repeated ones do not change anything."""
    assert cache.write(entries) == cache.write([*entries, *entries])


def test_both_old_forms_are_read() -> None:
    """Alone, and before the new form, as older ldconfigs write it; then the new form counts."""
    strings = b"liba.so.1\0/opt/liba.so.1\0"
    words = (1, X86_64, 0, 10)
    byte_orders: tuple[elf.ByteOrder, ...] = ("little", "big")
    for byte_order in byte_orders:
        old = b"ld.so-1.7.0\0" + b"".join(word.to_bytes(4, byte_order) for word in words) + strings
        new = cache.write([("libb.so.1", "/opt/libb.so.1", 3)], byte_order)
        both = old[:28] + bytes(-28 % 8) + new

        assert cache.parse(old, "cache").entries == (Entry("liba.so.1", "/opt/liba.so.1", X86_64),)
        assert cache.parse(both, "cache").entries == (Entry("libb.so.1", "/opt/libb.so.1", 3),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"glibc-ld.so.cache1.1",
        b"glibc-ld.so.cache1.1" + b"\xff" * 28,
        b"ld.so-1.7.0\0\xff\xff\xff\x7f",
        cache.write([("liba.so", "/liba.so", 3)])[:-3],
        cache.write([("liba.so", "/liba.so", 3)]).replace(b"\2\0\0\0\0\0\0\0", b"\3\0\0\0\0\0\0\0", 1),
        b"glibc-ld.so.cache1.2" + bytes(28),
    ],
)
def test_what_is_no_cache_is_told(data: bytes) -> None:
    """By its name, with what to do about it."""
    with pytest.raises(InvalidData, match=r"`/etc/ld\.so\.cache` is not a cache of ldconfig") as caught:
        cache.parse(data, "/etc/ld.so.cache")
    assert "ldconfig" in caught.value.hint


def test_texts_that_overlap_cost_little() -> None:
    """A hundred thousand entries that share one long text are refused, not copied."""
    data = cache.write([("x" * 4000, "/" + "y" * 4000, 3)])
    row = data[48:72]
    count = 100_000
    shifted = row[:4] + (48 + 24 * count).to_bytes(4, "little") + (48 + 24 * count).to_bytes(4, "little") + row[12:]
    bomb = data[:20] + count.to_bytes(4, "little") + data[24:48] + shifted * count + data[72:]

    with pytest.raises(InvalidData, match="32 MiB"):
        cache.parse(bomb, "cache")


@pytest.mark.parametrize(
    ("bits", "byte_order", "machine", "abi_flags", "expected"),
    [
        (64, "little", 62, 0, 0x303),
        (32, "little", 62, 0, 0x803),
        (32, "little", 3, 0, 0x003),
        (64, "little", 183, 0, 0xA03),
        (32, "little", 40, 0x5000400, 0x903),
        (32, "little", 40, 0x5000200, 0xB03),
        (64, "little", 21, 2, 0x503),
        (64, "big", 22, 0, 0x403),
        (64, "little", 243, 5, 0x1003),
        (64, "little", 258, 0x43, 0x1203),
    ],
)
def test_flags_of_each_machine(bits: int, byte_order: str, machine: int, abi_flags: int, expected: int, tmp_path: Path) -> None:
    """What ldconfig writes for a library is what its ld.so wants to see."""
    path = tmp_path / "library"
    path.write_bytes(make_elf(bits, byte_order, machine, abi_flags=abi_flags))
    with path.open("rb") as file:
        assert cache.flags_of(elf.read(file, "library")) == expected


# --- ldconfig and ld.so are the judges ---------------------------------------------------------------------------------


def printed(ldconfig: str, path: Path) -> list[tuple[str, str]]:
    output = subprocess.run([ldconfig, "-p", "-C", str(path)], capture_output=True, encoding="utf-8", check=True).stdout
    return re.findall(r"^\t(\S+) \(libc6.*\) => (\S+)$", output, re.MULTILINE)


def test_this_machines_cache(tmp_path: Path, require: Require) -> None:
    """We read what ldconfig prints, in its order; written again by us it prints the same."""
    ldconfig = require("ldconfig")
    path = tmp_path / "cache"
    entries = cache.parse(Path(cache.PATH).read_bytes(), cache.PATH).entries
    path.write_bytes(cache.write(entry[:3] for entry in entries if not entry.hwcaps))

    assert printed(ldconfig, Path(cache.PATH)) == [(entry.soname, entry.path) for entry in entries]
    assert printed(ldconfig, path) == [(entry.soname, entry.path) for entry in entries if not entry.hwcaps]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("form", ["old", "new", "compat"])
def test_every_form_that_ldconfig_writes(form: str, tmp_path: Path, require: Require) -> None:
    """With a folder of glibc-hwcaps, which the old form takes for one like others."""
    ldconfig = require("ldconfig")
    folders = [tmp_path / "opt/lib", tmp_path / "opt/lib/glibc-hwcaps/x86-64-v3"]
    for folder in folders:
        build(folder, "libgreeting.so.1", GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.conf").write_text("/opt/lib\n")
    subprocess.run([ldconfig, "-r", str(tmp_path), "-c", form], check=True)

    read = cache.parse((tmp_path / "etc/ld.so.cache").read_bytes(), "cache")
    hwcaps = "" if form == "old" else "x86-64-v3"
    special = Entry("libgreeting.so.1", "/opt/lib/glibc-hwcaps/x86-64-v3/libgreeting.so.1", X86_64, hwcaps)
    assert read == Cache("little", (special, Entry("libgreeting.so.1", "/opt/lib/libgreeting.so.1", X86_64)))


@pytest.fixture
def own_cache() -> Iterator[Path]:
    """A path that is as long as /etc/ld.so.cache."""
    path = Path(f"/tmp/jt{os.urandom(4).hex()}.")
    path = path.with_name(path.name[:11])
    yield path
    path.unlink(missing_ok=True)


def test_ld_so_finds_a_library_by_our_cache(tmp_path: Path, own_cache: Path, require: Require) -> None:
    """A copy of ld.so that looks into our cache instead of the machine's, between names that sort in every way."""
    require("gcc")
    library = build(tmp_path / "hidden", "libgreeting.so.10", GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.10")
    app = build(tmp_path, "app", CALLER, str(library))
    with app.open("rb") as file:
        loader = Path(elf.read(file, "app").interpreter)
    own_loader = tmp_path / "ld.so"
    assert len(str(own_cache)) == len(cache.PATH)
    own_loader.write_bytes(loader.read_bytes().replace(cache.PATH.encode() + b"\0", str(own_cache).encode() + b"\0"))
    shutil.copymode(loader, own_loader)
    around = "libgreeting.so.9 libgreeting.so.1 libgreeting.so libz.so liba.so libgreeting.so.100 lib1.so libgreetinh.so".split()
    decoys = [(name, f"/nowhere/{name}", X86_64) for name in around]
    other = ("libgreeting.so.10", "/nowhere/libgreeting.so.10", 3)
    own_cache.write_bytes(cache.write([*decoys, other, ("libgreeting.so.10", str(library), X86_64)]))

    listed = subprocess.run([str(own_loader), "--list", str(app)], capture_output=True, encoding="utf-8").stdout
    assert f"libgreeting.so.10 => {library} (" in listed


def test_a_root_is_asked_for_its_own_cache(tmp_path: Path) -> None:
    """Not for that of this machine."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(cache.write([("liba.so", "/liba.so", 3)]))

    with DirectoryRoot(str(tmp_path)).open(cache.PATH) as file:
        assert cache.parse(file.read(), cache.PATH).entries == (Entry("liba.so", "/liba.so", 3),)
