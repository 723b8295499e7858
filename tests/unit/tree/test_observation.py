"""An observation is a value that can be merged, and a document that is always the same."""

import pytest

from jettison.errors import InvalidData
from jettison.tree.observation import Observation, merge, read, settled, write


def test_what_one_command_created_is_no_find_of_the_next() -> None:
    """Merged, it counts as made by the program."""
    first = Observation(("one",), executed={"/bin/a": ""}, created={"/var/lib/a/x": "/bin/a"})
    second = Observation(("two",), executed={"/bin/a": ""}, read={"/var/lib/a/x": "/bin/a", "/etc/a": "/bin/a"})

    merged = settled(merge([first, second]))

    assert merged.commands == ("one", "two")
    assert set(merged.read) == {"/etc/a"}
    assert set(merged.changed) == {"/var/lib/a"}


def test_a_creation_in_a_folder_of_everybodys_is_named_itself() -> None:
    """/var/lib/app is the program's, /var/lib is not; the names of what is made in its own folder do not matter."""
    seen = Observation(created=dict.fromkeys(("/var/lib/app", "/var/lib/app/db", "/var/log/app/1f3a"), "/bin/a"))

    assert set(settled(seen).changed) == {"/var/lib/app", "/var/log/app"}


def test_a_path_is_in_the_strongest_of_its_kinds() -> None:
    """After a merge, too."""
    seen = settled(merge([Observation(looked={"/etc/a": ""}), Observation(read={"/etc/a": ""})]))

    assert (set(seen.read), set(seen.looked)) == ({"/etc/a"}, set())


def test_a_document_is_read_as_it_was_written() -> None:
    """Its paths are sorted, what lies beside the program is relative to it, and what is not kept is left out."""
    seen = Observation(("c",), {"/p/a": ""}, {"/p/data\udcff": "/p/a", "/etc/b": "/p/a", "/home/me/x": "/p/a"})

    data = write(seen, "/p", lambda path: path.startswith("/etc"))
    again = read(data, "it", "/q")

    assert data == write(seen._replace(read=dict(reversed(list(seen.read.items())))), "/p", lambda path: path.startswith("/etc"))
    assert dict(again.read) == {"/q/data\udcff": "/q/a", "/etc/b": "/q/a"}
    assert write(again, "/q", lambda path: True) == data


@pytest.mark.parametrize("text", ['{"version": 1}', '{"version": 9}', "[]", '{"version": 1, "commands": [], "executed": []}'])
def test_other_documents_are_refused(text: str) -> None:
    """By name."""
    with pytest.raises(InvalidData, match="it"):
        read(text.encode(), "it")
