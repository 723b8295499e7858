"""Strings as evidence: which paths a program names, and what its package brings below them."""

from collections.abc import Callable

from jettison.closure.resolve import resolve
from jettison.closure.strings import is_for_people, named_paths, read
from jettison.closure.why import Need, Reason
from jettison.tree.node import made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Tree
from making import setting

DATA = b"\0".join(
    [
        b"",
        b"/usr/share/app:/usr/share/site",
        b"/etc/app.conf",
        b"/usr/share",
        b"/usr/share/app/%s.txt",
        b"see /etc/other",
        b"/lib/app",
        b"",
    ]
)
ROOT = Tree(
    {
        "/usr": made_dir(),
        "/usr/bin": made_dir(),
        "/usr/bin/app": made_file(DATA, 0o755),
        "/usr/lib": made_dir(),
        "/usr/lib/app": made_dir(),
        "/lib": made_symlink("usr/lib"),
        "/usr/share": made_dir(),
        "/usr/share/app": made_dir(),
        "/etc": made_dir(),
        "/etc/app.conf": made_file(b""),
        "/etc/other": made_file(b""),
    }
)


def test_whole_strings_that_are_paths_of_the_root_are_found() -> None:
    """Also in a list with colons, and by their real names; formats, prose and everybody's folders are not."""
    found = [real for _, real in named_paths(ROOT, read(DATA))]

    assert found == ["/etc/app.conf", "/usr/lib/app", "/usr/share/app"]


def test_names_of_libraries_have_a_version() -> None:
    """What dlopen(3) takes; a name without a version is for linkers."""
    data = b"\0libz.so.1\0libother.so\0libfoo-2.so.0.1\0see libbar.so.1\0"

    assert read(data).libraries == ("libfoo-2.so.0.1", "libz.so.1")


def test_documentation_is_for_people() -> None:
    """Nobody's program opens it."""
    assert is_for_people("/usr/share/man/man1/x.1.gz")
    assert is_for_people("/usr/lib/libx.a")
    assert is_for_people("/usr/share/app/examples/first.app")
    assert is_for_people("/usr/share/X11/locale/ja/Compose")
    assert not is_for_people("/usr/share/X11/locale/C/Compose")
    assert not is_for_people("/usr/share/app/data")


def test_a_programs_own_package_brings_what_it_names(require: Callable[[str], str]) -> None:
    """Perl names its library folders, and its package brings the modules in them, with the reason."""
    root = DirectoryRoot()
    perl = require("perl")
    entry = [Need(perl, Reason("entry", "", "the program"))]

    closure = resolve(root, entry, setting(root))

    strict = next(path for path in closure.reasons if path.endswith("/strict.pm"))
    assert {(reason.kind, reason.by) for reason in closure.reasons[strict]} & {("string", perl), ("import", perl)}
    assert not any("/man/" in path for path in closure.reasons)
