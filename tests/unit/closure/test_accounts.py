"""The image's passwd and group: everybody's users, and those that a program asks for."""

from jettison.closure.accounts import databases, system_users, users
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree

PASSWD = b"""\
root:x:0:0:root:/root:/bin/bash
games:x:5:60:games:/usr/games:/usr/sbin/nologin
www-data:secret:33:33:www-data:/var/www:/usr/sbin/nologin
postgres:x:105:110::/var/lib/postgresql:/bin/bash
alice:x:1000:1000::/home/alice:/bin/bash
broken:x:200
"""
GROUP = b"root:x:0:\nwww-data:x:33:alice\nssl:x:110:postgres\nadm:x:4:alice\n"


def root(passwd: Node) -> Tree:
    return Tree({"/etc": made_dir(), "/etc/passwd": passwd, "/etc/group": made_file(GROUP)})


def lines(tree: Tree, names: list[str], path: str) -> list[str]:
    content = databases(tree, names)[path].content
    assert content is not None
    return content.open().read().decode().splitlines()


def test_a_user_keeps_its_numbers_and_loses_its_password() -> None:
    """Beside those that every image has."""
    found = lines(root(made_file(PASSWD)), ["www-data"], "/etc/passwd")

    assert "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin" in found
    assert any(line.startswith("nonroot:") for line in found)
    assert not any(line.startswith(("alice:", "games:")) for line in found)


def test_its_group_comes_without_its_members() -> None:
    """Also where only the number says which."""
    found = lines(root(made_file(PASSWD)), ["www-data", "postgres"], "/etc/group")

    assert {"www-data:x:33:", "ssl:x:110:"} <= set(found)
    assert not any(line.startswith("adm:") for line in found)


def test_a_user_of_every_image_can_be_the_roots_own() -> None:
    """Root with a shell, for what logs in; once."""
    found = lines(root(made_file(PASSWD)), ["root"], "/etc/passwd")

    assert [line for line in found if line.startswith("root:")] == ["root:x:0:0:root:/root:/bin/bash"]


def test_packages_make_their_users_between_a_hundred_and_a_thousand() -> None:
    """Whoever else is there is a person, or everybody's; a broken line is nobody."""
    assert system_users(root(made_file(PASSWD))) == ["postgres"]


def test_a_fifo_for_a_database_names_nobody() -> None:
    """It is not opened."""
    assert users(root(Node("fifo", 0o644)), ["root"]) == []
