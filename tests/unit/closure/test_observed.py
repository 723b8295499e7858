"""What of an observation belongs into an image."""

from jettison.closure.observed import observed
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.observation import Observation
from jettison.tree.root import Tree, parents

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"


def tree(**files: Node) -> Tree:
    """A Root of these files and their folders."""
    nodes = dict(files)
    for path in files:
        nodes |= {folder: made_dir() for folder in parents(path) if folder not in nodes}
    return Tree(nodes)


def wanted(observation: Observation, root: Tree, folder: str = "", is_machine: bool = True) -> set[str]:
    """The paths of its needs."""
    return {need.path for need in observed(root, observation, "/usr/bin/a", folder, "/home/me", is_machine).needs}


FILES = {
    "/usr/bin/a": made_file(b"", 0o755), "/usr/share/a/x": made_file(b"x"), "/etc/shadow": made_file(b"x"),
    "/etc/passwd": made_file(b"x"), "/home/me/x": made_file(b"x"), "/etc/a.pem": made_file(b"# mine\n" + KEY),
    "/tmp/x": made_file(b"x"), "/data/x": made_file(b"x"), "/etc/ld.so.cache": made_file(b"x"), "/run/x": made_file(b"x"),
    "/var/lib/a/db": made_file(b"x"), "/etc/a.fifo": Node("fifo", 0o600),
}  # fmt: skip
EVERYTHING = Observation(read=dict.fromkeys(FILES, "/usr/bin/a"))


def test_only_the_systems_files_are_taken_of_a_machine() -> None:
    """No home, no secret, no private key, nothing of the moment."""
    assert wanted(EVERYTHING, tree(**FILES)) == {"/usr/share/a/x", "/var/lib/a/db"}


def test_what_lies_beside_a_private_program_is_taken() -> None:
    """But not all of a home, where the program lies in the home itself."""
    assert "/data/x" in wanted(EVERYTHING, tree(**FILES), "/data")
    assert "/home/me/x" not in wanted(EVERYTHING, tree(**FILES), "/home/me")


def test_an_image_is_taken_as_it_is() -> None:
    """What is in it was put there for the program."""
    assert {"/home/me/x", "/etc/shadow", "/etc/passwd", "/data/x"} <= wanted(EVERYTHING, tree(**FILES), is_machine=False)


def test_what_was_left_out_is_told_with_its_cause() -> None:
    """Once each, and only what the program read or started."""
    seen = observed(tree(**FILES), EVERYTHING._replace(looked={"/home/me": ""}), "/usr/bin/a", "", "/home/me")

    causes = dict(seen.left_out)
    assert causes["/etc/a.pem"] == "a private key"
    assert causes["/etc/shadow"] == "a secret"
    assert causes["/home/me/x"] == "in a user's home"
    assert "/home/me" not in causes


def test_data_that_was_written_to_stays_and_its_folder_comes() -> None:
    """The folder is a need, its content is the machine's."""
    seen = EVERYTHING._replace(changed={"/var/lib/a/db": "/usr/bin/a"})

    found = observed(tree(**FILES), seen, "/usr/bin/a")

    assert found.writes == ("/var/lib/a",)
    assert "/var/lib/a" in {need.path for need in found.needs}
    assert "/var/lib/a/db" not in {need.path for need in found.needs}


def test_what_a_list_shows_comes_along() -> None:
    """Of a small folder of the program's kind; not of everybody's, not of one that modules are looked for in, no secret."""
    files = {
        "/usr/bin/a": made_file(b"", 0o755), "/usr/bin/python3.11": made_file(b"", 0o755), "/usr/share/a/x": made_file(b"x"),
        "/usr/share/a/deep/y": made_file(b"y"), "/usr/share/a/key": made_file(KEY),
        "/usr/share/large/x": made_file(b"x" * (2 << 20)), "/usr/lib/python3/m.py": made_file(b""), "/etc/other": made_file(b""),
    }  # fmt: skip
    folders = ("/usr/share/a", "/usr/share/large", "/etc", "/usr/bin", "/")
    listed = dict.fromkeys(folders, "/usr/bin/a") | {"/usr/lib/python3": "/usr/bin/python3.11"}
    seen = Observation(listed=listed, executed={"/usr/bin/python3.11": "/usr/bin/a"})

    assert wanted(seen, tree(**files)) - {*listed} == {"/usr/share/a/x", "/usr/bin/python3.11"}
