"""Strings as evidence: which paths a program names, and what its package brings below them."""

from collections.abc import Callable

from jettison.closure.resolve import resolve
from jettison.closure.strings import is_for_people, named_paths
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
    assert list(named_paths(ROOT, DATA)) == ["/etc/app.conf", "/usr/lib/app", "/usr/share/app"]


def test_documentation_is_for_people() -> None:
    """Nobody's program opens it."""
    assert is_for_people("/usr/share/man/man1/x.1.gz")
    assert is_for_people("/usr/lib/libx.a")
    assert not is_for_people("/usr/share/app/data")


def test_a_programs_own_package_brings_what_it_names(require: Callable[[str], str]) -> None:
    """Perl names its library folders, and its package brings the modules in them, with the reason."""
    root = DirectoryRoot()
    perl = require("perl")
    entry = [Need(perl, Reason("entry", "", "the program"))]

    closure = resolve(root, entry, setting(root))

    strict = next(path for path in closure.reasons if path.endswith("/strict.pm"))
    assert (closure.reasons[strict][0].kind, closure.reasons[strict][0].by) == ("string", perl)
    assert not any("/man/" in path for path in closure.reasons)
