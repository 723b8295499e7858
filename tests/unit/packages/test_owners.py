"""Who owns which file, judged by dpkg itself."""

import subprocess
from collections.abc import Callable

from jettison.errors import HostError
from jettison.packages.dpkg import installed
from jettison.packages.package import Package, owners
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
"""
APK = """\
P:musl
V:1.2.5-r0
A:x86_64
F:lib
R:ld-musl-x86_64.so.1
F:usr/lib
R:libx.so

P:busybox
V:1.36.1-r0
A:x86_64
F:bin
R:busybox
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

    assert sorted(map(tuple, installed(root))) == expected
    assert owners(root)["/usr/bin/dpkg"].name == "dpkg"
