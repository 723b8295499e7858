"""Readers: what rules find by reading on."""

from jettison.closure.facts import Subject
from jettison.closure.readers import login_shell, odbc
from jettison.closure.why import Account, Need, Reason
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree
from making import setting

REASON = Reason("rule", "/usr/bin/app", "a rule", "likely")


def subject(files: dict[str, Node]) -> Subject:
    nodes: dict[str, Node] = {}
    for path, node in files.items():
        parts = path.split("/")
        nodes |= {"/".join(parts[:end]): made_dir() for end in range(2, len(parts))}
        nodes[path] = node
    tree = Tree(nodes)
    return Subject(tree, "/usr/bin/app", b"\x7fELF", Reason("entry", "", "the program"), setting(tree))


def test_odbc_brings_the_drivers_that_are_named() -> None:
    """By path, or by a name in the libraries' folders; what is not there is not asked for."""
    names = b"[a]\nDriver = /opt/a.so\n[b]\nSetup=libb.so\nDriver=/opt/none.so\nDescription=/opt/c.so\n"
    files = ("/opt/a.so", "/opt/c.so", "/usr/lib/x86_64-linux-gnu/odbc/libb.so")
    found = odbc.needs(subject({"/etc/odbcinst.ini": made_file(names), **dict.fromkeys(files, made_file(b""))}), REASON)

    assert [item.path for item in found if isinstance(item, Need)] == ["/opt/a.so", "/usr/lib/x86_64-linux-gnu/odbc/libb.so"]


def test_a_login_brings_the_shell_and_its_user() -> None:
    """As the Root's passwd says."""
    passwd = made_file(b"root:x:0:0:root:/root:/usr/bin/zsh\n")
    found = list(login_shell.needs(subject({"/etc/passwd": passwd, "/usr/bin/zsh": made_file(b"")}), REASON))

    assert found == [Account("root", REASON), Need("/usr/bin/zsh", REASON)]


def test_a_shell_that_is_not_there_is_not_brought() -> None:
    """Nor is the user changed."""
    passwd = made_file(b"root:x:0:0:root:/root:/usr/sbin/nologin\n")

    assert list(login_shell.needs(subject({"/etc/passwd": passwd}), REASON)) == []


def test_another_images_users_bring_their_shells() -> None:
    """But for those who may not log in."""
    lines = ["root:x:0:0:root:/root:/bin/sh", "git:x:9:9::/srv:/usr/bin/git-shell", "www:x:3:3::/:/usr/sbin/nologin"]
    files = dict.fromkeys(("/bin/sh", "/usr/bin/git-shell", "/usr/sbin/nologin"), made_file(b""))
    found = login_shell.needs(subject({"/etc/passwd": made_file("\n".join(lines).encode()), **files}), REASON)

    assert [item.path for item in found if isinstance(item, Need)] == ["/bin/sh", "/usr/bin/git-shell"]
