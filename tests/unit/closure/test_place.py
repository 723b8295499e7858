"""Where paths lie in the image."""

import pytest

from jettison.closure.place import Placement, is_system
from jettison.tree.node import made_dir, made_file, made_symlink

PLACEMENT = Placement("/home/me/app/bin", (("/home/me/app/bin/server-1.2", "/server"), ("/data/www", "/www")))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/app/bin/server-1.2", "/server"),
        ("/home/me/app/bin/libs/libx.so.1", "/libs/libx.so.1"),
        ("/home/me/app/lib/libx.so.1", "/lib/libx.so.1"),
        ("/home/me/other/far/liby.so", "/other/far/liby.so"),
        ("/data/www/a/b.html", "/www/a/b.html"),
        ("/usr/lib/libz.so.1", "/usr/lib/libz.so.1"),
        ("/etc/hosts", "/etc/hosts"),
    ],
)
def test_the_system_keeps_its_paths_and_the_rest_lies_beside_the_program(path: str, expected: str) -> None:
    """`..` above the program stops at `/`, as it does when ld.so expands $ORIGIN there."""
    assert PLACEMENT.image_path(path) == expected


def test_a_whole_root_keeps_its_paths() -> None:
    """With `--root` every path means what it says."""
    assert Placement().image_path("/home/me/x") == "/home/me/x"


def test_beside_a_program_of_the_system_private_paths_keep_their_names() -> None:
    """Only what is included is placed: links and search paths name the rest."""
    placement = Placement("", (("/data/www", "/www"),))

    assert placement.image_path("/home/me/app/hello") == "/home/me/app/hello"
    assert placement.image_path("/data/www/a") == "/www/a"


def test_a_path_that_is_asked_for_absolutely_keeps_its_name() -> None:
    """A library that an absolute RPATH names stays where that says."""
    assert PLACEMENT._replace(absolute=frozenset({"/home/me/lib/l.so"})).image_path("/home/me/lib/l.so") == "/home/me/lib/l.so"


@pytest.mark.parametrize("path", ["/tmp/x", "/home/me/x", "/root/x", "/var/tmp/x", "/usrlocal/x", "/data/bin/x"])
def test_private_folders_are_not_the_systems(path: str) -> None:
    """Names that only begin like a system folder are not in it."""
    assert not is_system(path)


def test_modes_of_private_files_do_not_depend_on_the_umask() -> None:
    """0700 and 0775 give the same image; a system file keeps its mode without the set-user-id bit."""
    program = "/home/me/app/bin/server-1.2"

    modes = {PLACEMENT.image_node(program, made_file(b"", mode)).mode for mode in (0o700, 0o755, 0o775, 0o4711)}

    assert modes == {0o755}
    assert PLACEMENT.image_node("/home/me/app/bin/conf", made_file(b"", 0o600)).mode == 0o644
    assert PLACEMENT.image_node("/home/me/app/bin/d", made_dir(0o2775)).mode == 0o755
    assert PLACEMENT.image_node("/usr/bin/su", made_file(b"", 0o4750)).mode == 0o750


def test_an_absolute_private_link_leads_to_where_its_target_was_placed() -> None:
    """A link into the folder of the build would lead nowhere in the image."""
    link = made_symlink("/home/me/app/lib/libx.so.1.0")

    assert PLACEMENT.image_node("/home/me/app/lib/libx.so.1", link).target == "/lib/libx.so.1.0"
