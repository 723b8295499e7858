"""ld.so.conf and what is compiled into the linkers: ldconfig reads the same directories in the same order."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from elves import make_elf
from jettison.closure import cache, directories, elf
from jettison.closure.directories import Configured, configured, glibc, musl
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Tree

Require = Callable[[str], str]


def facts_of(data: bytes, tmp_path: Path) -> elf.Elf:
    path = tmp_path / "facts"
    path.write_bytes(data)
    with path.open("rb") as file:
        return elf.read(file, "facts")


def conf_root(files: dict[str, str]) -> Tree:
    nodes: dict[str, Node] = {"/etc": made_dir(), "/etc/ld.so.conf.d": made_dir()}
    return Tree(nodes | {path: made_file(text.encode()) for path, text in files.items()})


CONF = {
    "/etc/ld.so.conf": "# first\n  /opt/one/ \t\ninclude ld.so.conf.d/*.conf\n/opt/two # why\n/opt/one\nhwcap 0 nosegneg\n",
    "/etc/ld.so.conf.d/b.conf": "/opt/b=libc6\n\n/opt/with blank\n",
    "/etc/ld.so.conf.d/a.conf": "/opt/a\ninclude\t/etc/ld.so.conf.d/*.more /etc/none*.conf\n",
    "/etc/ld.so.conf.d/x.more": "/opt/more\r\n",
    "/etc/ld.so.conf.d/.hidden.conf": "/opt/hidden\n",
    "/etc/ld.so.conf.d/c.conf.disabled": "/opt/disabled\n",
}
EXPECTED = ["/opt/one", "/opt/a", "/opt/more", "/opt/b", "/opt/with blank", "/opt/two"]


def test_directories_with_the_file_that_names_them() -> None:
    """Includes are read where they stand, patterns sorted; each directory counts once."""
    assert [item.directory for item in configured(conf_root(CONF))] == EXPECTED
    assert configured(conf_root(CONF))[2] == Configured("/opt/more", "/etc/ld.so.conf.d/x.more")


def test_files_that_include_each_other_are_read_once() -> None:
    """Rings, chains without end and links to themselves end."""
    files = {"/etc/ld.so.conf": "include /etc/ld.so.conf.d/*\n/opt/x\n", "/etc/ld.so.conf.d/a": "include ../ld.so.conf\n/opt/a\n"}
    root = conf_root(files)
    ring = Tree({**root.nodes, "/etc/ld.so.conf.d/loop": made_symlink("loop")})
    chain = {f"/etc/{number}": f"include /etc/{number + 1}\n/opt/{number}\n" for number in range(3000)}

    assert [item.directory for item in configured(root)] == ["/opt/a", "/opt/x"]
    assert [item.directory for item in configured(ring)] == ["/opt/a", "/opt/x"]
    assert len(configured(conf_root(chain), "/etc/0")) < 3000


def test_without_a_configuration_there_are_none() -> None:
    """No file, no directories."""
    assert configured(Tree({"/": made_dir()})) == ()


def test_default_directories_are_read_out_of_ld_so(tmp_path: Path) -> None:
    """The longest run of folders in it; what only looks like one is not taken. The place of its cache too."""
    facts = facts_of(make_elf(interpreter="/lib/ld.so.1"), tmp_path)
    code = b"\0/proc/self/\0/lib/\0.\0/nix/x-glibc/lib/\0/nix/x-glibc/lib64/\0rest\0/nix/x-glibc/etc/ld.so.cache\0"

    cached = made_file(cache.write([("liba.so", "/liba.so", cache.flags_of(facts))]))
    folders = {path: made_dir() for path in ("/lib", "/nix", "/nix/x-glibc", "/nix/x-glibc/etc")}
    root = Tree({**folders, "/lib/ld.so.1": made_file(code), "/nix/x-glibc/etc/ld.so.cache": cached})

    assert glibc(root, "/lib/ld.so.1", facts).default == ("/nix/x-glibc/lib", "/nix/x-glibc/lib64")
    assert list(glibc(root, "/lib/ld.so.1", facts).cache) == ["liba.so"]


def test_without_an_ld_so_the_machines_usual_directories_are_taken(tmp_path: Path) -> None:
    """Debian's by the machine's name, then everybody's."""
    facts = facts_of(make_elf(32, "little", 40), tmp_path)
    folders = ("/lib/arm-linux-gnueabihf", "/usr/lib/arm-linux-gnueabihf", "/lib", "/usr/lib")

    assert glibc(Tree({}), "", facts).default == folders


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_an_absurd_ld_so_costs_little(size: int, tmp_path: Path) -> None:
    """Texts without an end, that nearly match everywhere."""
    facts = facts_of(make_elf(), tmp_path)
    root = Tree({"/ld.so": made_file(b"\0/lib" * (size // 10) + b"/lib" * (size // 8))})

    assert glibc(root, "/ld.so", facts).default[0] == "/lib/x86_64-linux-gnu"


def test_musl_has_one_list_of_folders() -> None:
    """Its default, or the file by the name of its machine, below the prefix it is installed for."""
    path = made_file(b"/a:/b\n\n/c\n")

    assert musl(Tree({}), "/lib/ld-musl-armhf.so.1") == (("/lib", "/usr/local/lib", "/usr/lib"), "")
    own = Tree({"/etc": made_dir(), "/etc/ld-musl-armhf.path": path})
    assert musl(own, "/lib/ld-musl-armhf.so.1") == (("/a", "/b", "/c"), "/etc/ld-musl-armhf.path")
    prefix = Tree({"/opt": made_dir(), "/opt/etc": made_dir(), "/opt/etc/ld-musl-armhf.path": path})
    assert musl(prefix, "/opt/lib/ld-musl-armhf.so.1") == (("/a", "/b", "/c"), "/opt/etc/ld-musl-armhf.path")


# --- ldconfig and ld.so are the judges ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("root")
def test_ldconfig_reads_the_same_directories(tmp_path: Path, require: Require) -> None:
    """What it says with -v that it scans, in its order."""
    ldconfig = require("ldconfig")
    for name, text in CONF.items():
        path = tmp_path / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in (*EXPECTED, "/opt/hidden", "/opt/disabled"):
        (tmp_path / folder[1:]).mkdir(parents=True)
    output = subprocess.run([ldconfig, "-r", str(tmp_path), "-vNX"], capture_output=True, encoding="utf-8", check=False).stdout
    scanned = re.findall(r"^(/.*): \(from (\S+):\d+\)$", output, re.MULTILINE)

    ours = configured(DirectoryRoot(str(tmp_path)))
    assert [(item.directory, item.file) for item in ours] == [line for line in scanned if line[1] != "<builtin>"]


def test_ld_so_says_the_same_of_its_default_directories(require: Require) -> None:
    """Read out of its data, and said by itself."""
    require("gcc")
    root = DirectoryRoot("/")
    with open("/bin/sh", "rb") as file:
        facts = elf.read(file, "/bin/sh")
    output = subprocess.run([facts.interpreter, "--list-diagnostics"], capture_output=True, encoding="utf-8", check=True).stdout

    said = re.findall(r'^path\.system_dirs\[.*\]="(.*)/"$', output, re.MULTILINE)
    assert list(directories.glibc(root, facts.interpreter, facts).default) == said
