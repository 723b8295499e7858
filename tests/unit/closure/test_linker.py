"""The dynamic linker's search: ld.so and musl's loader of this machine find the same, in the same order."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from elves import make_elf
from jettison.closure import cache, elf, linker
from jettison.closure.linker import Environment, Loading, dlopen, load
from jettison.errors import InvalidData, NotFound
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Root, Tree
from programs import build

Require = Callable[[str], str]
Found = list[tuple[str, str]]

HOST = DirectoryRoot("/")
LIBRARY = "int {name}(void) {{ return 0; }}\n"
MISSING = "not found"


# --- roots made by hand: any machine, nothing compiled -----------------------------------------------------------------

LOADER = b"\x7fELF...\0/lib/\0/etc/ld.so.preload\0/lib/any-linux/\0/usr/lib/any-linux/\0/lib/\0/usr/lib/\0.."


class Machine:
    """Makes ELF files of one machine, and roots of them."""

    def __init__(self, bits: int = 64, byte_order: str = "little", machine: int = 62, interpreter: str = "/lib/ld.so.1") -> None:
        self.kind = (bits, byte_order, machine)
        self.interpreter = interpreter

    def elf(self, *needed: str, **options: object) -> bytes:
        return make_elf(*self.kind, needed=needed, **options)  # type: ignore[arg-type]

    def program(self, *needed: str, **options: object) -> bytes:
        return self.elf(*needed, interpreter=self.interpreter, **options)

    def root(self, files: Mapping[str, bytes | Node]) -> Tree:
        loader = self.elf(soname="ld.so.1") + LOADER
        return tree({self.interpreter: loader, **files})


def tree(files: Mapping[str, bytes | Node]) -> Tree:
    nodes: dict[str, Node] = {}
    for path, content in files.items():
        parts = path.split("/")[1:-1]
        for count in range(len(parts)):
            nodes.setdefault("/" + "/".join(parts[: count + 1]), made_dir())
        nodes[path] = made_file(content, 0o755) if isinstance(content, bytes) else content
    return Tree(nodes)


X86 = Machine()
MACHINES = [X86, Machine(32, "big", 8), Machine(64, "big", 22), Machine(32, "little", 3), Machine(64, "little", 183)]


def found(loading: Loading) -> Found:
    return [(item.wanted_name, item.path) for item in loading.objects] + [(item.name, MISSING) for item in loading.missing]


def rules(loading: Loading) -> dict[str, str]:
    return {item.wanted_name: item.rule for item in loading.objects}


@pytest.mark.parametrize("machine", MACHINES, ids=[str(machine.kind) for machine in MACHINES])
def test_a_program_of_any_machine(machine: Machine) -> None:
    """Breadth first, each with its rule; the default directories are those that its own ld.so has compiled in."""
    root = machine.root(
        {
            "/bin/app": machine.program("liba.so.1", "libb.so.1", runpath="$ORIGIN/../opt"),
            "/opt/liba.so.1": machine.elf("libc.so.1", "libb.so.1"),
            "/usr/lib/any-linux/libb.so.1": machine.elf("libc.so.1"),
            "/lib/libc.so.1": machine.elf("ld.so.1"),
        }
    )

    loading = load(root, "/bin/app")

    assert found(loading) == [
        ("liba.so.1", "/bin/../opt/liba.so.1"),
        ("libb.so.1", "/usr/lib/any-linux/libb.so.1"),
        ("libc.so.1", "/lib/libc.so.1"),
    ]
    assert rules(loading) == {
        "liba.so.1": "RUNPATH $ORIGIN/../opt of /bin/app",
        "libb.so.1": "default directory /usr/lib/any-linux",
        "libc.so.1": "default directory /lib",
    }
    assert [item.by for item in loading.objects] == ["/bin/app", "/bin/app", "/opt/liba.so.1"]
    assert [(item.by, item.wanted_name) for item in loading.again] == [
        ("/opt/liba.so.1", "libb.so.1"),
        ("/usr/lib/any-linux/libb.so.1", "libc.so.1"),
        ("/lib/libc.so.1", "ld.so.1"),
    ]
    assert loading.interpreter and loading.interpreter.path == "/lib/ld.so.1"


def test_what_is_missing_says_who_wants_it_and_where_it_was_looked_for() -> None:
    """In the order of the search."""
    app = X86.program("libgone.so", runpath="/opt/a:$ORIGIN")
    loading = load(X86.root({"/bin/app": app}), "/bin/app", Environment(library_path=("/env",)))

    (missing,) = loading.missing
    assert (missing.name, missing.reason.by, missing.reason.detail) == ("libgone.so", "/bin/app", "NEEDED libgone.so")
    assert missing.looked_in == (
        "/env",
        "/opt/a",
        "/bin",
        "ld.so.cache",
        "/lib/any-linux",
        "/usr/lib/any-linux",
        "/lib",
        "/usr/lib",
    )


def test_a_missing_interpreter_is_missing() -> None:
    """Also one for another machine."""
    for files in ({}, {"/lib/ld.so.1": MACHINES[1].elf()}):
        loading = load(tree({"/bin/app": X86.program(), **files}), "/bin/app")

        assert [(item.name, item.reason.kind) for item in loading.missing] == [("/lib/ld.so.1", "interpreter")]
        assert loading.interpreter is None


def test_candidates_for_another_machine_are_passed_over() -> None:
    """Another class or machine is no error to ld.so: it searches on."""
    others = {f"/opt/{number}/liba.so": MACHINES[number].elf() for number in range(1, 5)}
    root = X86.root(
        {"/bin/app": X86.program("liba.so", rpath="/opt/1:/opt/2:/opt/3:/opt/4"), "/lib/liba.so": X86.elf(), **others}
    )

    assert found(load(root, "/bin/app")) == [("liba.so", "/lib/liba.so")]


def test_soft_and_hard_float_do_not_mix() -> None:
    """On Arm the class and the machine are the same, and e_flags are not."""
    arm = Machine(32, "little", 40)
    root = arm.root(
        {
            "/bin/app": arm.program("liba.so", abi_flags=0x5000400, runpath="/soft:/hard"),
            "/lib/ld.so.1": arm.elf(abi_flags=0x5000400) + LOADER,
            "/soft/liba.so": arm.elf(abi_flags=0x5000200),
            "/hard/liba.so": arm.elf(abi_flags=0x5000400),
        }
    )

    assert found(load(root, "/bin/app")) == [("liba.so", "/hard/liba.so")]


@pytest.mark.parametrize(("content", "why"), [(b"INPUT(libx.so)", "not an ELF file"), (b"\x7fELF", "`/opt/liba.so` has 4 bytes")])
def test_a_damaged_candidate_ends_the_search(content: bytes, why: str) -> None:
    """As ld.so, which says "invalid ELF header" and does not search on."""
    root = X86.root({"/bin/app": X86.program("liba.so", runpath="/opt"), "/opt/liba.so": content, "/lib/liba.so": X86.elf()})

    (missing,) = load(root, "/bin/app").missing
    assert missing.looked_in[0] == "/opt"
    assert missing.looked_in[1].startswith(f"/opt/liba.so ({why}")


def test_two_names_of_one_file_are_both_kept() -> None:
    """Without the second link the program would not start, though the file is there."""
    links = {"/lib/libtinfo.so.6": made_symlink("libncurses.so.6.4"), "/lib/libncurses.so.6": made_symlink("libncurses.so.6.4")}
    library = X86.elf(soname="libncurses.so.6")
    root = X86.root({"/bin/app": X86.program("libtinfo.so.6", "libncurses.so.6"), "/lib/libncurses.so.6.4": library, **links})

    loading = load(root, "/bin/app")
    assert found(loading)[0] == ("libtinfo.so.6", "/lib/libtinfo.so.6")
    assert [item.wanted_name for item in loading.again] == ["libncurses.so.6"]

    other_order = {**root.nodes, "/bin/app": made_file(X86.program("libncurses.so.6", "libtinfo.so.6"))}
    loading = load(Tree(other_order), "/bin/app")
    assert found(loading) == [("libncurses.so.6", "/lib/libncurses.so.6"), ("libtinfo.so.6", "/lib/libtinfo.so.6")]
    assert {item.real for item in loading.objects} == {"/lib/libncurses.so.6.4"}


@pytest.mark.parametrize("interpreter", ["/lib/ld.so.1", "/lib/ld-musl-x86_64.so.1"])
def test_a_program_at_the_root(interpreter: str) -> None:
    """Its $ORIGIN is `/`, with one slash before what follows."""
    machine = Machine(interpreter=interpreter)
    files = {"/app": machine.program("liba.so", "libb.so", runpath="$ORIGIN/opt:${ORIGIN}"), "/libb.so": machine.elf()}

    assert found(load(machine.root({**files, "/opt/liba.so": machine.elf()}), "/app")) == [
        ("liba.so", "/opt/liba.so"),
        ("libb.so", "/libb.so"),
    ]


@pytest.mark.parametrize("machine", [X86, Machine(32, "big", 8)], ids=["x86-64", "MIPS, which has no platform"])
def test_tokens_of_search_paths_and_needs(machine: Machine) -> None:
    """Each in both spellings; what cannot be replaced leaves its element out, what is no token stays."""
    runpath = "$PLATFORM:/p/${PLATFORM}:/l/$LIB:/o$ORIGIN/${ORIGINS}"
    libraries = {path: machine.elf() for path in ("/p/x86_64/liba.so", "/l/lib/any-linux/libb.so", "/o/bin/${ORIGINS}/libc.so")}
    app = machine.program("liba.so", "libb.so", "libc.so", "$ORIGIN/libd.so", runpath=runpath)
    loading = load(machine.root({"/bin/app": app, "/bin/libd.so": machine.elf(), **libraries}), "/bin/app")

    has_platform = machine is X86
    assert [item.path for item in loading.objects] == [*libraries][1 - has_platform :] + ["/bin/libd.so"]
    assert bool(loading.missing) is not has_platform
    assert loading.notes == (
        ("RUNPATH `$PLATFORM` of /bin/app depends on the working directory: left out",) if has_platform else ()
    )


def test_search_paths_that_depend_on_the_working_directory_are_left_out_with_a_note() -> None:
    """Relative and empty elements; an element that is known is still searched."""
    root = X86.root({"/bin/app": X86.program("liba.so", "sub/libb.so", runpath="lib::/opt"), "/opt/liba.so": X86.elf()})

    loading = load(root, "/bin/app")
    assert found(loading) == [("liba.so", "/opt/liba.so"), ("sub/libb.so", MISSING)]
    assert loading.notes == (
        "RUNPATH `lib` of /bin/app depends on the working directory: left out",
        "RUNPATH `` of /bin/app depends on the working directory: left out",
        "NEEDED `sub/libb.so` of /bin/app depends on the working directory: left out",
    )


def test_the_cache_comes_before_the_default_directories() -> None:
    """Its entry for another machine's libraries does not count; a stale entry is passed over."""
    flags = cache.flags_of(elf_of(X86.elf()))
    entries = [("liba.so", "/opt/wrong/liba.so", 3), ("liba.so", "/opt/liba.so", flags), ("libb.so", "/opt/gone/libb.so", flags)]
    files = {
        "/etc/ld.so.cache": cache.write(entries),
        "/bin/app": X86.program("liba.so", "libb.so"),
        **{f"{folder}/lib{name}.so": X86.elf() for folder in ("/lib", "/opt", "/opt/wrong") for name in "ab"},
    }

    assert rules(load(X86.root(files), "/bin/app")) == {"liba.so": "ld.so.cache", "libb.so": "default directory /lib"}


@pytest.mark.parametrize("damaged", [b"", b"glibc-ld.so.cache1.1 and nothing", cache.write([], "big")])
def test_a_cache_that_ld_so_would_ignore_is_ignored_with_a_note(damaged: bytes) -> None:
    """Then the directories of ld.so.conf stand in, as if ldconfig had run."""
    files = {
        "/etc/ld.so.cache": damaged,
        "/etc/ld.so.conf": b"include ld.so.conf.d/*.conf\n",
        "/etc/ld.so.conf.d/x.conf": b"/opt/x\n",
        "/opt/x/liba.so": X86.elf(),
        "/bin/app": X86.program("liba.so"),
    }

    loading = load(X86.root(files), "/bin/app")
    assert rules(loading) == {"liba.so": "ld.so.conf /etc/ld.so.conf.d/x.conf"}
    assert all("ignored, as ld.so does" in note for note in loading.notes)
    assert len(loading.notes) == 1


def test_processors_that_are_not_all_get_the_library_of_all() -> None:
    """The cache's entry without hwcaps is taken; where there is none, the least, and the rule says so."""
    flags = cache.flags_of(elf_of(X86.elf()))
    data = cache_with_hwcaps(
        [("liba.so", "/v3/liba.so", 1), ("liba.so", "/v2/liba.so", 0), ("liba.so", "/all/liba.so", None)], flags
    )
    only = cache_with_hwcaps([("liba.so", "/v3/liba.so", 1), ("liba.so", "/v2/liba.so", 0)], flags)
    libraries = {f"/{folder}/liba.so": X86.elf() for folder in ("v2", "v3", "all")}
    for content, rule in ((data, "ld.so.cache"), (only, "ld.so.cache, for x86-64-v2 only")):
        root = X86.root({"/etc/ld.so.cache": content, "/bin/app": X86.program("liba.so"), **libraries})

        assert rules(load(root, "/bin/app")) == {"liba.so": rule}


def cache_with_hwcaps(entries: list[tuple[str, str, int | None]], flags: int) -> bytes:
    """A cache as ldconfig makes it of folders of glibc-hwcaps: with an extension that names them."""
    data = bytearray(cache.write([(soname, path, flags) for soname, path, _ in entries]))
    data += bytes(-len(data) % 4)
    start, names = len(data), b"x86-64-v2\0x86-64-v3\0"
    for number, (_, _, hwcaps) in enumerate(entries):
        place = 48 + 24 * number + 16
        data[place : place + 8] = (0 if hwcaps is None else (1 << 62) + hwcaps).to_bytes(8, "little")
    words = (0xEAA42174, 1, 1, 0, start + 24, 8, start + 32, start + 42)
    data[32:36] = start.to_bytes(4, "little")
    return bytes(data) + b"".join(word.to_bytes(4, "little") for word in words) + names


def test_a_symbol_version_that_the_library_does_not_define() -> None:
    """Told with who needs it and from which file; a weak need is none, and a library without versions is taken."""
    needs = {"liba.so": [("A_1", False), ("A_2", False), ("A_3", True)], "libplain.so": [("P_1", False)]}
    files = {
        "/bin/app": X86.program("liba.so", "libplain.so", versions_needed=needs),
        "/lib/liba.so": X86.elf(versions_defined=["liba.so", "A_1"]),
        "/lib/libplain.so": X86.elf(),
    }

    loading = load(X86.root(files), "/bin/app")
    assert [(item.name, item.reason.by, item.looked_in) for item in loading.problems] == [
        ("A_2 in liba.so", "/bin/app", ("/lib/liba.so",))
    ]


def test_preloaded_objects_come_first() -> None:
    """Of LD_PRELOAD, then those of /etc/ld.so.preload; one that is not there is told."""
    files = {
        "/bin/app": X86.program("liba.so"),
        "/etc/ld.so.preload": b"# comment\n/opt/libp.so:libgone.so\n",
        "/opt/libp.so": X86.elf(),
        "/lib/libe.so": X86.elf(),
        "/lib/liba.so": X86.elf(),
    }

    loading = load(X86.root(files), "/bin/app", Environment(preload=("libe.so",)))
    assert found(loading) == [
        ("libe.so", "/lib/libe.so"),
        ("/opt/libp.so", "/opt/libp.so"),
        ("liba.so", "/lib/liba.so"),
        ("libgone.so", MISSING),
    ]


def test_a_library_that_a_plugin_opens_is_searched_by_the_plugins_own_paths() -> None:
    """dlopen searches with the RUNPATH of the caller; what is in memory already is not searched again."""
    root = X86.root(
        {
            "/bin/app": X86.program("liba.so"),
            "/lib/liba.so": X86.elf(),
            "/opt/plugin.so": X86.elf("liba.so", runpath="$ORIGIN/deps"),
            "/opt/deps/libdep.so": X86.elf("libdeep.so"),
            "/opt/deps/libdeep.so": X86.elf(),
        }
    )
    before = load(root, "/bin/app")

    plugged = dlopen(root, before, "/bin/app", "/opt/plugin.so")
    loading = dlopen(root, plugged, "/opt/plugin.so", "libdep.so")

    assert found(plugged) == [("liba.so", "/lib/liba.so"), ("/opt/plugin.so", "/opt/plugin.so")]
    assert loading.objects[: len(plugged.objects)] == plugged.objects
    assert found(loading)[2:] == [("libdep.so", "/opt/deps/libdep.so"), ("libdeep.so", MISSING)]
    assert [item.reason.kind for item in dlopen(root, before, "/bin/app", "libdep.so").missing] == ["dlopen"]


def test_needs_in_a_ring_end() -> None:
    """Libraries that need each other, and a link that leads to itself."""
    files = {"/lib/liba.so": X86.elf("libb.so"), "/lib/libb.so": X86.elf("liba.so", "libloop.so")}
    root = X86.root({"/bin/app": X86.program("liba.so"), "/lib/libloop.so": made_symlink("libloop.so"), **files})

    assert found(load(root, "/bin/app")) == [("liba.so", "/lib/liba.so"), ("libb.so", "/lib/libb.so"), ("libloop.so", MISSING)]


def test_searches_without_end_are_refused() -> None:
    """A thousand needs times a thousand folders are no program's."""
    app = X86.program(*(f"lib{number}.so" for number in range(1000)), runpath=":".join(f"/{number}" for number in range(1000)))

    with pytest.raises(InvalidData, match="`/bin/app`: its libraries name more than"):
        load(X86.root({"/bin/app": app}), "/bin/app")


def test_a_static_program_loads_nothing() -> None:
    """Not even what is preloaded: no linker runs."""
    loading = load(tree({"/bin/app": X86.elf(), "/etc/ld.so.preload": b"libx.so"}), "/bin/app")

    assert (loading.objects, loading.missing, loading.interpreter) == ((), (), None)


def test_what_is_no_program_is_told() -> None:
    """Nothing there, or no ELF file."""
    root = tree({"/bin/script": b"#!/bin/sh\n"})

    with pytest.raises(NotFound, match="no program at `/bin/app`"):
        load(root, "/bin/app")
    with pytest.raises(InvalidData, match="`/bin/script` is not an ELF program"):
        load(root, "/bin/script")


MUSL = Machine(interpreter="/lib/ld-musl-x86_64.so.1")


def test_musl_is_its_own_libc() -> None:
    """The names of the C library's parts are the loader itself, by whatever version; nothing is searched for them."""
    names = ("libc.musl-x86_64.so.1", "libc.so", "libpthread.so.0", "libm.so.6", "libdl.so.2", "/lib/ld-musl-x86_64.so.1")
    loading = load(MUSL.root({"/bin/app": MUSL.program(*names)}), "/bin/app")

    assert (loading.objects, loading.missing) == ((), ())
    assert [(item.wanted_name, item.real) for item in loading.again] == [(name, "/lib/ld-musl-x86_64.so.1") for name in names]


def test_musl_reads_its_own_path_file_and_no_cache() -> None:
    """/etc/ld-musl-ARCH.path replaces its default of /lib, /usr/local/lib and /usr/lib."""
    files = {"/bin/app": MUSL.program("libx.so"), "/usr/local/lib/libx.so": MUSL.elf(), "/opt/x/libx.so": MUSL.elf()}
    own = {"/etc/ld-musl-x86_64.path": b"/opt/y\n/opt/x:/opt/z\n"}

    assert rules(load(MUSL.root(files), "/bin/app")) == {"libx.so": "default directory /usr/local/lib"}
    assert rules(load(MUSL.root(files | own), "/bin/app")) == {"libx.so": "/etc/ld-musl-x86_64.path /opt/x"}


def elf_of(data: bytes) -> elf.Elf:
    read = linker.reader(tree({"/x": data}))("/x")
    assert read is not None
    return read


# --- ld.so is the judge ------------------------------------------------------------------------------------------------


def ld_so(program: Path | str, **environment: str) -> Found:
    """What ld.so says that it maps for a program, started as the kernel does it; the program itself does not run."""
    env = {"LD_TRACE_LOADED_OBJECTS": "1", **environment}
    output = subprocess.run([str(program)], env=env, capture_output=True, encoding="utf-8").stdout
    lines = re.findall(r"^\t(\S+) => (not found|\S+)", output, re.MULTILINE)
    by_path = re.findall(r"^\t(/\S+) \(0x", output, re.MULTILINE)
    return [line for line in lines if "/ld-linux" not in line[1]] + [(path, path) for path in by_path if "/ld-linux" not in path]


def compile_library(folder: Path, name: str, *options: str, calls: str = "") -> Path:
    """`folder/lib{name}.so` with a function `name`, that calls another one."""
    source = f"int {calls}(void);\nint {name}(void) {{ return {calls}(); }}\n" if calls else LIBRARY.format(name=name)
    return build(folder, f"lib{name}.so", source, "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so", "-Wl,--no-as-needed", *options)


def compile_program(folder: Path, calls: str, *options: str) -> Path:
    return build(folder, "app", f"int {calls}(void);\nint main(void) {{ return {calls}(); }}\n", "-Wl,--no-as-needed", *options)


OLD_TAGS, NEW_TAGS, LATER = "-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags", "-Wl,--allow-shlib-undefined"


@pytest.fixture
def compiler(require: Require) -> None:
    """These tests compile programs, and this machine's ld.so says what it would map."""
    require("gcc")


def agree(program: Path | str, environment: Environment | None = None, **variables: str) -> Loading:
    loading = load(HOST, str(program), environment or Environment())

    assert sorted(ld_so(program, **variables)) == sorted(found(loading))
    return loading


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("tags", "is_found"),
    [(OLD_TAGS, True), (NEW_TAGS, False)],
    ids=["RPATH is inherited", "RUNPATH is for direct needs"],
)
def test_search_paths_of_the_program_for_the_library_of_a_library(tags: str, is_found: bool, tmp_path: Path) -> None:
    """RPATH serves the whole chain of loaders, RUNPATH the object alone that has it."""
    deep = compile_library(tmp_path / "lib", "deep")
    near = compile_library(tmp_path / "lib", "near", str(deep), calls="deep")
    app = compile_program(tmp_path, "near", str(near), LATER, tags, f"-Wl,-rpath,{tmp_path}/lib")

    loading = agree(app)
    assert (("libdeep.so", MISSING) in found(loading)) is not is_found


@pytest.mark.usefixtures("compiler")
def test_a_runpath_of_the_requester_ends_the_inheritance(tmp_path: Path) -> None:
    """A library with a RUNPATH of its own does not see the program's RPATH."""
    deep = compile_library(tmp_path / "lib", "deep")
    near = compile_library(tmp_path / "lib", "near", str(deep), "-Wl,-rpath,/nowhere", NEW_TAGS, calls="deep")
    app = compile_program(tmp_path, "near", str(near), LATER, OLD_TAGS, f"-Wl,-rpath,{tmp_path}/lib")

    assert ("libdeep.so", MISSING) in found(agree(app))


@pytest.mark.usefixtures("compiler")
def test_an_rpath_in_the_middle_of_the_chain(tmp_path: Path) -> None:
    """The chain goes over the object that has a RUNPATH to the one above it that has an RPATH."""
    last = compile_library(tmp_path / "far", "last")
    deep = compile_library(tmp_path / "lib", "deep", str(last), calls="last")
    near = compile_library(tmp_path / "lib", "near", str(deep), f"-Wl,-rpath,{tmp_path}/lib", NEW_TAGS, LATER, calls="deep")
    app = compile_program(tmp_path, "near", str(near), LATER, OLD_TAGS, f"-Wl,-rpath,{tmp_path}/lib:{tmp_path}/far")

    assert rules(agree(app))["liblast.so"].startswith("RPATH ")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("token", ["$ORIGIN", "${ORIGIN}"])
def test_origin_is_where_the_program_really_is(token: str, tmp_path: Path) -> None:
    """Started through a link, $ORIGIN is the folder of the file; of a library it is the folder in which it was opened."""
    deep = compile_library(tmp_path / "deps", "deep")
    near = compile_library(tmp_path / "real/lib", "near", str(deep), f"-Wl,-rpath,{token}/../../deps", calls="deep")
    compile_program(tmp_path / "real/bin", "near", str(near), LATER, f"-Wl,-rpath,{token}/../lib")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/app").symlink_to("../real/bin/app")

    assert MISSING not in dict(found(agree(tmp_path / "links/app"))).values()


@pytest.mark.usefixtures("compiler")
def test_the_token_lib_is_the_systems_name_of_its_library_folder(tmp_path: Path) -> None:
    """$LIB is told by the first default directory of ld.so: `lib/x86_64-linux-gnu` on Debian, `lib64` elsewhere."""
    folders = [tmp_path / name for name in ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")]
    near, *_ = [compile_library(folder, "near") for folder in folders]
    app = compile_program(tmp_path, "near", str(near), f"-Wl,-rpath,{tmp_path}/$LIB")

    assert MISSING not in dict(found(agree(app))).values()


@pytest.mark.usefixtures("compiler")
def test_no_default_libraries(tmp_path: Path) -> None:
    """-z nodefaultlib keeps the default directories out, of the cache's entries too."""
    near = compile_library(tmp_path, "near")
    app = compile_program(tmp_path, "near", str(near), "-Wl,-z,nodefaultlib", f"-Wl,-rpath,{tmp_path}")

    assert ("libc.so.6", MISSING) in found(agree(app))


@pytest.mark.usefixtures("compiler")
def test_a_decoy_of_another_machine_is_passed_over(tmp_path: Path) -> None:
    """ld.so takes the next one that suits."""
    near = compile_library(tmp_path / "good", "near")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/libnear.so").write_bytes(make_elf(32, "little", 3))
    (tmp_path / "worse").mkdir()
    (tmp_path / "worse/libnear.so").write_bytes(make_elf(64, "little", 183))
    app = compile_program(tmp_path, "near", str(near), f"-Wl,-rpath,{tmp_path}/bad:{tmp_path}/worse:{tmp_path}/good")

    assert dict(found(agree(app)))["libnear.so"] == f"{tmp_path}/good/libnear.so"


@pytest.mark.usefixtures("compiler")
def test_library_path_stands_between_rpath_and_runpath(tmp_path: Path) -> None:
    """LD_LIBRARY_PATH loses against RPATH and wins against RUNPATH."""
    own, other = compile_library(tmp_path / "own", "near"), compile_library(tmp_path / "other", "near")
    for tags, winner in ((OLD_TAGS, own), (NEW_TAGS, other)):
        app = compile_program(tmp_path, "near", str(own), tags, f"-Wl,-rpath,{tmp_path}/own")
        loading = agree(app, Environment(library_path=(str(other.parent),)), LD_LIBRARY_PATH=str(other.parent))

        assert dict(found(loading))["libnear.so"] == str(winner)


@pytest.mark.usefixtures("compiler")
def test_a_preloaded_library_and_its_needs(tmp_path: Path) -> None:
    """LD_PRELOAD comes before the program's own needs; its needs come after them."""
    deep = compile_library(tmp_path, "deep")
    extra = compile_library(tmp_path, "extra", str(deep), f"-Wl,-rpath,{tmp_path}", calls="deep")
    near = compile_library(tmp_path, "near")
    app = compile_program(tmp_path, "near", str(near), f"-Wl,-rpath,{tmp_path}")

    loading = agree(app, Environment(preload=(str(extra),)), LD_PRELOAD=str(extra))
    assert [item.wanted_name for item in loading.objects] == [str(extra), "libnear.so", "libc.so.6", "libdeep.so"]


@pytest.mark.usefixtures("compiler")
def test_a_name_is_known_by_its_soname_from_then_on(tmp_path: Path) -> None:
    """A library opened by its path answers to its SONAME, so that no file of that name is looked for."""
    near = compile_library(tmp_path, "near")
    near.rename(tmp_path / "renamed.so")
    user = build(
        tmp_path,
        "libuser.so",
        "int near(void);\nint user(void) { return near(); }",
        "-shared",
        "-fPIC",
        str(tmp_path / "renamed.so"),
    )
    app = compile_program(tmp_path, "user", str(user), LATER)
    subprocess.run(["patchelf", "--replace-needed", "libuser.so", str(user), str(app)], check=False)
    subprocess.run(["patchelf", "--add-needed", str(tmp_path / "renamed.so"), str(app)], check=False)

    loading = agree(app)
    assert "libnear.so" in [item.wanted_name for item in loading.again]


@pytest.mark.usefixtures("compiler")
def test_one_file_under_two_names(tmp_path: Path) -> None:
    """ld.so maps it once and opens it twice: both paths are needed."""
    one, two = compile_library(tmp_path, "one"), compile_library(tmp_path, "two")
    app = build(
        tmp_path,
        "app",
        "int one(void), two(void);\nint main(void) { return one() + two(); }",
        str(one),
        str(two),
        f"-Wl,-rpath,{tmp_path}",
    )
    build(
        tmp_path,
        "libone.so",
        "int one(void) { return 0; } int two(void) { return 0; }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libone.so",
    )
    two.unlink()
    two.symlink_to("libone.so")

    loading = load(HOST, str(app))

    assert subprocess.run([str(app)], check=False).returncode == 0
    assert [item.path for item in loading.objects][:2] == [str(one), str(two)]
    two.unlink()
    assert subprocess.run([str(app)], check=False, capture_output=True).returncode == 127


@pytest.mark.usefixtures("compiler")
def test_versions_that_ld_so_misses(tmp_path: Path) -> None:
    """What it complains about is what is told."""
    for version in ("V_2", "V_1"):
        script = tmp_path / "versions"
        script.write_text(f"{version} {{ global: near; local: *; }};\n")
        near = compile_library(tmp_path, "near", f"-Wl,--version-script={script}")
        if version == "V_2":
            app = compile_program(tmp_path, "near", str(near), f"-Wl,-rpath,{tmp_path}")

    complaint = subprocess.run([str(app)], capture_output=True, encoding="utf-8", check=False).stderr
    assert f"{near}: version `V_2' not found (required by {app})" in complaint
    (problem,) = load(HOST, str(app)).problems
    assert (problem.name, problem.reason.by, problem.looked_in) == ("V_2 in libnear.so", str(app), (str(near),))


@pytest.mark.usefixtures("compiler")
def test_hwcaps_are_left_to_those_who_ask_for_them(tmp_path: Path) -> None:
    """A folder of glibc-hwcaps is not looked into: with that masked, ld.so finds the same."""
    compile_library(tmp_path / "glibc-hwcaps/x86-64-v2", "near")
    near = compile_library(tmp_path, "near")
    app = compile_program(tmp_path, "near", str(near), f"-Wl,-rpath,{tmp_path}")
    interpreter = load(HOST, str(app)).program.elf.interpreter

    command = [interpreter, "--glibc-hwcaps-mask", "none", "--list", str(app)]
    listed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert f"libnear.so => {near} (" in listed
    assert dict(found(load(HOST, str(app))))["libnear.so"] == str(near)


@pytest.mark.usefixtures("compiler")
def test_what_a_plugin_opens_at_run_time(tmp_path: Path) -> None:
    """The plugin's own RUNPATH finds it, and the program's does not count for it."""
    compile_library(tmp_path / "deps", "dep")
    opens = '#include <dlfcn.h>\nint main(void) {{ return !dlopen("{name}", RTLD_NOW); }}'
    code = opens.replace("main", "plug").format(name="libdep.so")
    plugin = build(tmp_path, "plugin.so", code, "-shared", "-fPIC", f"-Wl,-rpath,{tmp_path}/deps")
    source = f'#include <dlfcn.h>\nint main(void) {{ int (*f)(void) = dlsym(dlopen("{plugin}", RTLD_NOW), "plug"); return f(); }}'
    app = build(tmp_path, "app", source)

    assert subprocess.run([str(app)], check=False).returncode == 0
    plugged = dlopen(HOST, load(HOST, str(app)), str(app), str(plugin))
    assert dict(found(dlopen(HOST, plugged, str(plugin), "libdep.so")))["libdep.so"] == f"{tmp_path}/deps/libdep.so"
    assert ("libdep.so", MISSING) in found(dlopen(HOST, plugged, str(app), "libdep.so"))


@pytest.mark.usefixtures("compiler")
def test_the_programs_of_this_machine() -> None:
    """Hundreds of them: the same libraries at the same paths in the same order."""
    read = linker.reader(HOST)
    programs = [path for folder in ("/usr/bin", "/usr/sbin") for path in sorted(Path(folder).iterdir()) if is_ours(path, read)]
    differing = {}
    for program in programs:
        ours = found(load(HOST, str(program), read=read))
        if ours != (theirs := ld_so(program)):
            differing[program] = (ours, theirs)

    assert len(programs) > 50
    assert differing == {}


def is_ours(path: Path, read: linker.Read) -> bool:
    """A dynamic program that ld.so tells of: with more rights than the caller's it ignores LD_TRACE_LOADED_OBJECTS."""
    facts = path.stat() if path.exists() else None
    if facts is None or not path.is_file() or facts.st_mode & 0o6000:
        return False
    elf_facts = read(os.path.realpath(path))
    return elf_facts is not None and "ld-linux" in elf_facts.interpreter


# --- musl's loader is the judge -----------------------------------------------------------------------------------------


def musl_ldd(program: Path) -> Found:
    """What musl's loader says when it is called by the name `ldd`."""
    loader = "/lib/ld-musl-x86_64.so.1"
    output = subprocess.run([loader, "--list", str(program)], capture_output=True, encoding="utf-8", check=False)
    lines = re.findall(r"^\t(\S+) => (\S+)", output.stdout, re.MULTILINE)
    gone = re.findall(r"Error loading shared library (\S+): No such file", output.stderr)
    return [line for line in lines if line[1] != loader] + [(name, MISSING) for name in gone]


@pytest.mark.parametrize("tags", [OLD_TAGS, NEW_TAGS], ids=["RPATH", "RUNPATH"])
def test_musl_inherits_either_search_path(tags: str, tmp_path: Path, require: Require) -> None:
    """To musl RUNPATH is what RPATH is, and both serve the whole chain of loaders."""
    compiler = require("musl-gcc")
    options = ["-shared", "-fPIC"]
    for name, calls, more in (("deep", "", []), ("near", "deep", ["-Wl,--no-as-needed", str(tmp_path / "lib/libdeep.so")])):
        folder = tmp_path / "lib"
        folder.mkdir(exist_ok=True)
        source = folder / f"{name}.c"
        source.write_text(
            f"int {calls}(void);\nint {name}(void) {{ return {calls}(); }}\n" if calls else LIBRARY.format(name=name)
        )
        target = str(folder / f"lib{name}.so")
        subprocess.run([compiler, "-o", target, str(source), *options, f"-Wl,-soname,lib{name}.so", *more], check=True)
    main = tmp_path / "main.c"
    main.write_text("int near(void);\nint main(void) { return near(); }\n")
    app = tmp_path / "app"
    libraries = [f"{tmp_path}/lib/libnear.so", LATER, tags, "-Wl,-rpath,$ORIGIN/lib", f"-Wl,-rpath-link,{tmp_path}/lib"]
    subprocess.run([compiler, "-o", str(app), str(main), *libraries], check=True)

    loading = load(HOST, str(app))
    assert sorted(musl_ldd(app)) == sorted(found(loading))
    assert subprocess.run([str(app)], check=False).returncode == 0
    assert rules(loading)["libdeep.so"].startswith(("RPATH", "RUNPATH"))


def test_a_root_of_another_shape_is_a_root_too() -> None:
    """Anything with the three functions of a Root will do."""

    class Fake:
        def __init__(self, inner: Root) -> None:
            self.inner = inner

        def lstat(self, path: str) -> Node | None:
            return self.inner.lstat(path)

        def listdir(self, path: str) -> list[str]:
            return self.inner.listdir(path)

        def open(self, path: str):  # type: ignore[no-untyped-def]
            return self.inner.open(path)

    root = Fake(X86.root({"/bin/app": X86.program("liba.so"), "/lib/liba.so": X86.elf()}))

    assert rules(load(root, "/bin/app")) == {"liba.so": "default directory /lib"}
