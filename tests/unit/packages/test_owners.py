"""Who owns which file, judged by dpkg itself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.errors import HostError
from jettison.packages.dpkg import Dpkg
from jettison.packages.package import Package, Packages, owners
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Tree

STATUS = """\
Package: libz1
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1:1.2.13-1
Description: compression
 Status: not this line

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: app
Status: install ok installed
Architecture: all
Version: 3
Depends: libz1 (>= 1:1.2) | libz-ng, absent:any
Conffiles:
 /etc/app.conf 0123456789abcdef0123456789abcdef
 /etc/app.old 0123456789abcdef0123456789abcdef obsolete
Description: an application
"""
APK = """\
P:musl
V:1.2.5-r0
A:x86_64
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
F:usr/lib
R:libx.so

P:busybox
V:1.36.1-r0
A:x86_64
D:so:libc.musl-x86_64.so.1>=1.2 !other
F:bin
R:busybox
F:etc
R:securetty
"""


def test_a_dpkg_database_is_read_with_the_links_of_a_merged_root() -> None:
    """dpkg says /lib/libz.so.1, and in a merged root that is /usr/lib/libz.so.1; what is removed owns nothing."""
    info = "/var/lib/dpkg/info"
    root = Tree(
        {
            "/lib": made_symlink("usr/lib"),
            "/usr": made_dir(),
            "/usr/lib": made_dir(),
            "/var/lib/dpkg/status": made_file(STATUS.encode()),
            f"{info}/libz1:amd64.list": made_file(b"/.\n/lib\n/lib/libz.so.1\n"),
            f"{info}/app.list": made_file(b"/.\n/usr/bin/app\n"),
            f"{info}/gone.list": made_file(b"/etc/gone.conf\n"),
        }
    )

    found = owners(root)

    assert found["/usr/lib/libz.so.1"] == Package("dpkg", "libz1", "1:1.2.13-1", "amd64")
    assert str(found["/usr/bin/app"]) == "app 3"
    assert "/etc/gone.conf" not in found


def test_a_package_has_direct_dependencies_and_configuration_files() -> None:
    """Of dpkg those that are installed, of any alternative; of apk by what a package provides, and what lies in /etc."""
    folders = {"/lib": made_dir(), "/lib/apk": made_dir(), "/lib/apk/db": made_dir()}
    databases = {"/var/lib/dpkg/status": STATUS, "/lib/apk/db/installed": APK}
    packages = Packages(Tree({**folders, **{path: made_file(text.encode()) for path, text in databases.items()}}))
    app = Package("dpkg", "app", "3", "all")
    busybox = Package("apk", "busybox", "1.36.1-r0", "x86_64")

    assert [package.name for package in packages.dependencies(app)] == ["libz1"]
    assert packages.conffiles(app) == ("/etc/app.conf", "/etc/app.old")
    assert [package.name for package in packages.dependencies(busybox)] == ["musl"]
    assert packages.conffiles(busybox) == ("/etc/securetty",)


def test_many_questions_are_answered_like_few() -> None:
    """The first are searched for, the others looked up; nobody owns what lies where packages put nothing."""
    names = [f"/usr/share/z{number}" for number in range(12)]
    files = {"/var/lib/dpkg/status": STATUS, "/var/lib/dpkg/info/libz1:amd64.list": "\n".join(names)}
    packages = Packages(Tree({path: made_file(text.encode()) for path, text in files.items()}))

    found = [packages.owner(name) for name in (*names, "/usr/share/other", "/home/z")]

    assert [package.name if package else "" for package in found] == ["libz1"] * 12 + ["", ""]


def test_what_was_asked_before_is_answered_without_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as dpkg has not written its status anew."""
    monkeypatch.setattr("jettison.tree.notes.time.time_ns", lambda: 1 << 62)
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info.parent / "status").write_text(STATUS)
    (info / "app.list").write_text("/usr/bin/app\n")
    notes = Book()
    first = Packages(DirectoryRoot(str(tmp_path)), notes).owner("/usr/bin/app")

    (info / "app.list").unlink()

    assert first is not None
    assert Packages(DirectoryRoot(str(tmp_path)), notes).owner("/usr/bin/app") == first
    (info.parent / "status").write_text(STATUS)
    assert Packages(DirectoryRoot(str(tmp_path)), notes).owner("/usr/bin/app") is None


class Book:
    """Notes in memory, as the store keeps them."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def get(self, key: str) -> object:
        return json.loads(self.known.get(key, "null"))

    def put(self, key: str, value: object) -> None:
        self.known[key] = json.dumps(value)


class ShutTree(Tree):
    """A Tree with a folder that this user may not enter."""

    def lstat(self, path: str) -> Node | None:
        if path == "/shut":
            raise HostError("cannot read `/shut`")
        return super().lstat(path)


def test_a_folder_that_nobody_may_enter_does_no_harm() -> None:
    """Packages have folders for root alone; the other files' owners are told all the same."""
    files = {"/var/lib/dpkg/status": STATUS, "/var/lib/dpkg/info/libz1:amd64.list": "/shut/secret\n/usr/bin/z\n"}
    root = ShutTree({path: made_file(text.encode()) for path, text in files.items()})

    assert owners(root)["/usr/bin/z"].name == "libz1"


def test_an_apk_database_is_read() -> None:
    """`F:` names the folder of the `R:` lines after it."""
    folders = {"/lib": made_dir(), "/lib/apk": made_dir(), "/lib/apk/db": made_dir()}

    found = owners(Tree({**folders, "/lib/apk/db/installed": made_file(APK.encode())}))

    assert str(found["/lib/ld-musl-x86_64.so.1"]) == "musl 1.2.5-r0"
    assert str(found["/usr/lib/libx.so"]) == "musl 1.2.5-r0"
    assert str(found["/bin/busybox"]) == "busybox 1.36.1-r0"


def test_a_root_without_packages_has_no_owners() -> None:
    """No database is no error."""
    assert owners(Tree({})) == {}


def test_dpkg_query_says_the_same_of_this_machine(require: Callable[[str], str]) -> None:
    """Every installed package with its version, and the owner of a file."""
    command = [require("dpkg-query"), "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = sorted(tuple(line.split()[1:]) for line in said.splitlines() if line.startswith("installed "))

    root = DirectoryRoot()

    assert sorted(tuple(record.owner) for record in Dpkg(root).records()) == expected
    assert owners(root)["/usr/bin/dpkg"].name == "dpkg"
