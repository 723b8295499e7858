"""ELF facts: readelf says the same, of any machine's files; absurd files end in one error, soon."""

import io
import re
import struct
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from elves import BASE, make_elf, without_sections
from jettison.closure import elf
from jettison.closure.elf import DlopenNote, Elf
from jettison.errors import InvalidData
from programs import CALLER, build

Require = Callable[[str], str]

# The machines of a container registry's platforms, and one that is big-endian with 32 bits.
MACHINES = [(64, "little", 62), (32, "little", 3), (64, "little", 183), (32, "little", 40), (64, "big", 22), (32, "big", 8)]
FEATURES = [{"soname": ["libx.so.2", "libx.so.1"], "feature": "x", "description": "draws", "priority": "suggested"}]
LIBRARY_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/lib/x86_64-linux-musl")


def sample(bits: int = 64, byte_order: str = "little", machine: int = 62, hash_table: str = "sysv") -> bytes:
    return make_elf(
        bits,
        byte_order,
        machine,
        abi_flags=5,
        interpreter="/lib/ld.so.1",
        needed=["liba.so.1", "libb.so.2"],
        soname="libself.so.3",
        rpath="/one:$ORIGIN/../lib",
        runpath="/two::three",
        flags_1=0x800,
        versions_needed={"liba.so.1": [("A_1", False), ("A_2", True)], "libb.so.2": [("B_1", False)]},
        versions_defined=["libself.so.3", "SELF_1"],
        imports=["puts", "dlopen", "puts"],
        exports=["self"],
        dlopen=FEATURES,
        hash_table=hash_table,
    )


def read(data: bytes) -> Elf:
    return elf.read(io.BytesIO(data), "sample")


def imports(data: bytes) -> tuple[str, ...]:
    return elf.imported_symbols(io.BytesIO(data), "sample")


@pytest.mark.parametrize(("bits", "byte_order", "machine"), MACHINES)
def test_all_facts_of_any_machine(bits: int, byte_order: str, machine: int) -> None:
    """Both classes and both byte orders give the same facts."""
    facts = read(sample(bits, byte_order, machine))

    assert facts == Elf(
        bits=bits,
        byte_order="little" if byte_order == "little" else "big",
        machine=machine,
        abi_flags=5,
        type="dyn",
        is_dynamic=True,
        interpreter="/lib/ld.so.1",
        soname="libself.so.3",
        needed=("liba.so.1", "libb.so.2"),
        rpath=("/one", "$ORIGIN/../lib"),
        runpath=("/two", "", "three"),
        no_default_libs=True,
        versions_needed=(("liba.so.1", ("A_1", "A_2")), ("libb.so.2", ("B_1",))),
        weak_versions=(("liba.so.1", "A_2"),),
        versions_defined=("libself.so.3", "SELF_1"),
        dlopen=(DlopenNote("x", "draws", "suggested", ("libx.so.2", "libx.so.1")),),
    )


@pytest.mark.parametrize("hash_table", ["sysv", "none"])
@pytest.mark.parametrize(("bits", "byte_order", "machine"), MACHINES)
def test_imported_symbols_of_any_machine(bits: int, byte_order: str, machine: int, hash_table: str) -> None:
    """Undefined symbols, sorted and once; their number is told by the hash table or by the section's header."""
    assert imports(sample(bits, byte_order, machine, hash_table)) == ("dlopen", "puts")


def test_sections_are_not_needed() -> None:
    """A file whose section headers are stripped says the same."""
    data = sample()

    assert read(without_sections(data)) == read(data)
    assert imports(without_sections(data)) == ("dlopen", "puts")


def test_the_number_of_symbols_is_told_by_the_next_table_at_last() -> None:
    """Without a hash table and without sections there is still the order in memory."""
    assert imports(without_sections(sample(hash_table="none"))) == ("dlopen", "puts")


def test_a_file_without_anything() -> None:
    """A static program has a class and a machine, and needs nothing."""
    data = make_elf(kind=2)[:64] + bytes(4096)
    header = bytearray(data)
    header[56:58] = b"\0\0"  # no program headers

    assert read(bytes(header)) == Elf(64, "little", 62, 0, "exec")
    assert imports(bytes(header)) == ()


def test_an_object_file_has_no_linker_facts() -> None:
    """`.o` files and core dumps are ELF files too."""
    assert read(make_elf(kind=1)) == Elf(64, "little", 62, 0, "rel")
    assert read(make_elf(kind=4)) == Elf(64, "little", 62, 0, "core")


def test_an_empty_search_path_is_not_the_same_as_none() -> None:
    """An empty RUNPATH still makes ld.so ignore the RPATH, so that it has to be seen."""
    facts = read(make_elf(runpath=""))

    assert (facts.rpath, facts.runpath) == ((), ("",))


def test_names_that_are_not_text() -> None:
    """Bytes that are not UTF-8 are kept, as they are in paths."""
    assert read(make_elf(needed=["lib\udcff.so"])).needed == ("lib\udcff.so",)


@pytest.mark.parametrize(
    "features",
    [
        [{"feature": "no soname"}],
        [{"soname": "libx.so"}],
        [{"soname": [1]}],
        [{"soname": ["lib\ud800.so"]}],
        [{"soname": ["lib\nx.so"]}],
        {"soname": ["libx.so"]},
        ["libx.so"],
    ],
)
def test_a_dlopen_note_that_is_not_understood_is_advice_lost(features: object) -> None:
    """It never makes a file unreadable."""
    assert read(make_elf(dlopen=features)).dlopen == ()  # type: ignore[arg-type]


def test_a_dlopen_note_without_a_priority_recommends() -> None:
    """So the specification has it; it may also be a priority that is not known yet."""
    notes = read(make_elf(dlopen=[{"soname": ["liba.so"]}, {"soname": ["libb.so"], "priority": "new"}])).dlopen

    assert notes == (
        DlopenNote("", "", "recommended", ("liba.so",)),
        DlopenNote("", "", "recommended", ("libb.so",)),
    )


def cut(data: bytes) -> Iterator[bytes]:
    yield from (data[:length] for length in range(len(without_sections(data)) - 400))


def test_every_truncation_is_told() -> None:
    """Cut anywhere, a file is read or is InvalidData with its name; nothing else."""
    for data in cut(sample()):
        for reader in (read, imports):
            try:
                reader(data)
            except InvalidData as error:
                assert "`sample`" in error.message


def with_field(data: bytes, place: int, format: str, value: int) -> bytes:
    return data[:place] + struct.pack("<" + format, value) + data[place + struct.calcsize("<" + format) :]


def find_dynamic(data: bytes, tag: int) -> int:
    """Where the value of a dynamic tag of a 64-bit little-endian file lies."""
    for number in range(struct.unpack_from("<H", data, 56)[0]):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, 64 + 56 * number)
        if kind == 2:
            for place in range(offset, offset + size, 16):
                if struct.unpack_from("<Q", data, place)[0] == tag:
                    return place + 8
    raise AssertionError(f"no tag {tag}")


def field_of(tag: int, value: int) -> bytes:
    data = sample()
    return with_field(data, find_dynamic(data, tag), "Q", value)


def table_field(tag: int, distance: int, value: int) -> bytes:
    """The sample with a 32-bit field overwritten in the table that a dynamic tag names."""
    data = sample()
    table = struct.unpack_from("<Q", data, find_dynamic(data, tag))[0] - BASE
    return with_field(data, table + distance, "I", value)


BOMBS: dict[str, Callable[[], bytes]] = {
    "65535 program headers": lambda: with_field(sample(), 56, "H", 0xFFFF) + bytes(4 << 20),
    "program headers of no size": lambda: with_field(sample(), 54, "H", 0),
    "program headers of 64 KiB": lambda: with_field(sample(), 54, "H", 0xFFFF),
    "program headers beyond the end": lambda: with_field(sample(), 32, "Q", 1 << 63),
    "65535 section headers": lambda: with_field(sample(hash_table="none"), 60, "H", 0xFFFF),
    "a string table beyond the end": lambda: field_of(5, 1 << 40),
    "symbols beyond the end": lambda: field_of(6, (1 << 64) - 1),
    "four thousand million symbols": lambda: table_field(4, 4, 0xFFFFFFFF),
    "as many in a large file": lambda: with_field(table_field(4, 4, 0xFFFFFFFF), 96, "Q", 1 << 40) + bytes(96 << 20),
    "a version need that is its own last": lambda: table_field(0x6FFFFFFE, 12, 0),
    "version needs a byte apart": lambda: table_field(0x6FFFFFFE, 12, 1) + b"\1\0\0\0" * (1 << 20),
    "a text without an end": lambda: without_sections(field_of(5, BASE + 64)).rstrip(b"\0") + b"x" * (1 << 20),
    "three hundred names of 60 KB": lambda: make_elf(needed=["x" * 60000] * 300),
    "sixty thousand names of 60 KB": lambda: make_elf(needed=[""] * 60000, soname="y" * 60000).replace(
        struct.pack("<QQ", 1, 1), struct.pack("<QQ", 1, 60001)
    ),
}


@pytest.mark.parametrize("what", BOMBS)
def test_absurd_files_cost_little(what: str) -> None:
    """Files that ask for gigabytes or for ever: facts or InvalidData, in seconds and in little memory."""
    data = BOMBS[what]()
    tracemalloc.start()
    started = time.monotonic()
    for reader in (read, imports):
        try:
            reader(data)
        except InvalidData as error:
            assert "`sample`" in error.message
    taken_s = time.monotonic() - started
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken_s < 20  # tracemalloc makes it several times as slow
    assert peak_bytes < 192 << 20


def test_what_is_not_elf_is_told() -> None:
    """By its first bytes."""
    assert not elf.is_elf(b"#!/bin/sh\n")
    with pytest.raises(InvalidData, match="`sample` is not an ELF file: it starts with 23212f62696e"):
        read(b"#!/bin/sh\n" + bytes(100))


def test_a_file_that_shrinks_while_it_is_read() -> None:
    """Its end is an error of the file, not a traceback."""

    class Shrinking(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return super().seek(offset, whence) + (1 << 20 if whence == 2 else 0)

    with pytest.raises(InvalidData, match="became shorter"):
        elf.read(Shrinking(sample()[:200]), "sample")


# --- readelf is the judge --------------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """What readelf says of a file."""

    needed: tuple[str, ...]
    soname: str
    rpath: str
    runpath: str
    interpreter: str
    versions_needed: tuple[tuple[str, tuple[str, ...]], ...]
    weak: int
    versions_defined: tuple[str, ...]
    imports: tuple[str, ...]


def readelf(tool: str, paths: list[Path]) -> dict[Path, Judged]:
    found: dict[Path, Judged] = {}
    for start in range(0, len(paths), 50):
        some = paths[start : start + 50]
        command = [tool, "-ldVW", "--dyn-syms", *map(str, some), "/dev/null"]
        output = subprocess.run(command, capture_output=True, encoding="utf-8", errors="surrogateescape").stdout
        parts = re.split(r"^File: (.*)$", output, flags=re.MULTILINE)[1:]
        found |= {Path(name): judge(text) for name, text in zip(parts[::2], parts[1::2], strict=True) if Path(name) in some}
    return found


def judge(text: str) -> Judged:
    needs_text, _, _ = text.partition("Symbol table '.symtab'")
    needs = needs_text.partition("Version needs section")[2].partition("Version definition section")[0]
    definitions = text.partition("Version definition section")[2].partition("Version needs section")[0]
    files = re.split(r"Version: 1  File: (\S+)  Cnt: \d+", needs)[1:]
    symbols = re.findall(r"^ +\d+: [0-9a-f]+ +\S+ \S+ +\S+ +\S+ +(?:\[.*\] +)?UND (\S+)", text, re.MULTILINE)
    return Judged(
        tuple(re.findall(r"\(NEEDED\) +Shared library: \[(.*)\]", text)),
        "".join(re.findall(r"\(SONAME\) +Library soname: \[(.*)\]", text)),
        "".join(re.findall(r"\(RPATH\) +Library rpath: \[(.*)\]", text)),
        "".join(re.findall(r"\(RUNPATH\) +Library runpath: \[(.*)\]", text)),
        "".join(re.findall(r"Requesting program interpreter: (.*)\]", text)),
        tuple((file, tuple(re.findall(r"Name: (\S+)", rows))) for file, rows in zip(files[::2], files[1::2], strict=True)),
        len(re.findall(r"Flags: WEAK", needs)),
        tuple(re.findall(r"Rev: 1 .*Name: (\S+)", definitions)),
        tuple(sorted({symbol.partition("@")[0] for symbol in symbols})),
    )


def as_judged(data: io.BufferedIOBase, name: str) -> Judged:
    facts = elf.read(data, name)  # type: ignore[arg-type]
    return Judged(
        facts.needed,
        facts.soname,
        ":".join(facts.rpath),
        ":".join(facts.runpath),
        facts.interpreter,
        facts.versions_needed,
        len(facts.weak_versions),
        facts.versions_defined,
        elf.imported_symbols(data, name),  # type: ignore[arg-type]
    )


def ours(path: Path) -> Judged:
    with path.open("rb") as file:
        return as_judged(file, str(path))


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return elf.is_elf(file.read(4))


def real_files() -> list[Path]:
    """A few hundred ELF files of this machine, of programs and libraries a like share."""
    found: list[Path] = []
    for folder in map(Path, LIBRARY_FOLDERS):
        names = sorted(folder.iterdir()) if folder.is_dir() else []
        files = [path for path in names if path.is_file() and not path.is_symlink() and path.stat().st_size < 8 << 20]
        elves = [path for path in files if is_elf(path)]
        found += elves[:: len(elves) // 200 + 1]
    return found


def test_real_files_as_readelf_reads_them(require: Require) -> None:
    """Needs, names, search paths, versions and imported symbols of hundreds of files."""
    paths = real_files()
    judged = readelf(require("readelf"), paths)

    assert len(paths) > 100
    assert {path: ours(path) for path in paths} == {path: judged[path] for path in paths}


@pytest.mark.parametrize(("bits", "byte_order", "machine"), MACHINES)
def test_crafted_files_as_readelf_reads_them(bits: int, byte_order: str, machine: int, tmp_path: Path, require: Require) -> None:
    """readelf agrees on what our own test files say, so that they are fit to test with."""
    path = tmp_path / "sample"
    path.write_bytes(sample(bits, byte_order, machine))

    assert ours(path) == readelf(require("readelf"), [path])[path]


@pytest.mark.parametrize("style", ["sysv", "gnu", "both"])
def test_symbols_with_each_kind_of_hash_table(style: str, tmp_path: Path, require: Require) -> None:
    """Also without section headers the count is exact, for programs that export nothing too."""
    library = build(tmp_path, "libg.so", 'const char *greeting(void) { return ""; }', "-shared", "-fPIC", "-Wl,-soname,libg.so")
    paths = [build(tmp_path, "program", CALLER, str(library), f"-Wl,--hash-style={style}"), library]
    judged = readelf(require("readelf"), paths)

    for path in paths:
        stripped = io.BytesIO(without_sections(path.read_bytes()))
        assert elf.imported_symbols(stripped, "stripped") == judged[path].imports


def test_a_dlopen_note_that_a_compiler_has_written(tmp_path: Path, require: Require) -> None:
    """As systemd's libraries carry it: an allocated section `.note.dlopen`, which is a PT_NOTE segment in the file."""
    require("gcc")
    text = '[{"feature":"zip","description":"packs","priority":"required","soname":["libz.so.1"]}]'
    (tmp_path / "note").write_text(text)
    source = f"""
        __asm__(".pushsection .note.dlopen, \\"a\\", %note\\n.p2align 2\\n.long 1f-0f, 3f-2f, 0x407c0c0a\\n"
                "0: .asciz \\"FDO\\"\\n1: .p2align 2\\n"
                "2: .incbin \\"{tmp_path}/note\\"\\n.byte 0\\n3: .p2align 2\\n.popsection");
        int main(void) {{ return 0; }}"""
    path = build(tmp_path, "noted", source)

    with path.open("rb") as file:
        assert elf.read(file, "noted").dlopen == (DlopenNote("zip", "packs", "required", ("libz.so.1",)),)


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("width", ["-m64", "-m32"])
def test_machine_code_is_told_where_it_has_segments_of_its_own(
    tmp_path: Path, require: Require, separate: bool, width: str
) -> None:
    """As readelf has it; a linker that puts constants beside the code leaves nothing that could be passed over."""
    require("gcc")
    flag = f"-Wl,-z,{'' if separate else 'no'}separate-code"
    (tmp_path / "c.c").write_text('const char text[] = "/usr/share/app"; int twice(int x) { return 2 * x; }')
    path = tmp_path / "libc.so"
    subprocess.run(["gcc", width, "-nostdlib", "-shared", "-fPIC", flag, "-o", path, tmp_path / "c.c"], check=True)
    shown = subprocess.run([require("readelf"), "-lW", path], capture_output=True, text=True, check=True).stdout
    loads = [line.split() for line in shown.splitlines() if line.strip().startswith("LOAD")]
    code = tuple((int(row[1], 16), int(row[4], 16)) for row in loads if "E" in row[6:-1])

    with path.open("rb") as file:
        found = elf.read(file, "libc.so").code

    assert found == (code if separate else ())
    assert len(code) == 1
