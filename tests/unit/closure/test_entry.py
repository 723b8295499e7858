"""An image's command as entry points."""

import pytest

from jettison.closure.entry import entries
from jettison.closure.languages import WITH_SCRIPT
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree, parents

FILES = ["/bin/sh", "/bin/env", "/bin/a", "/bin/b", "/bin/python3.11", "/bin/gunicorn", "/app/main.py", "/app/wsgi.py"]
FILES += ["/lib/python3.11/os.py", "/lib/python3.11/site-packages/web/__main__.py"]


def root() -> Tree:
    nodes: dict[str, Node] = {}
    for path in FILES:
        nodes |= {folder: made_dir() for folder in parents(path)[1:]}
        nodes[path] = made_file(b"", 0o755 if path.startswith("/bin/") else 0o644)
    return Tree(nodes)


@pytest.mark.parametrize(
    ("argv", "paths"),
    [
        (["a", "x"], "/bin/a"),
        (["sh", "-c", "cd /x && a --flag; exec b $HOME"], "/bin/sh /bin/a /bin/b"),
        (["/bin/sh", "-ec", 'for i in 1 2; do a "$(b)"; done'], "/bin/sh /bin/b /bin/a"),
        (["env", "A=1", "a", "b"], "/bin/env /bin/a /bin/b"),
        (["python3.11", "main.py"], "/bin/python3.11 /app/main.py"),
        (["python3.11", "-m", "web"], "/bin/python3.11 /lib/python3.11/site-packages/web/__main__.py"),
        (["gunicorn", "-b", ":80", "wsgi:app"], "/bin/gunicorn /app/wsgi.py"),
        (["sh", "-c", "'"], "/bin/sh"),
        ([], ""),
    ],
)
def test_a_command_names_its_programs_and_files(argv: list[str], paths: str) -> None:
    """As the shell, env, Python and application servers read it."""
    found = {need.path for need in entries(root(), argv, ("/bin",), "/app")}

    assert found == set(paths.split())


def test_the_program_comes_first_and_an_interpreter_says_what_it_runs() -> None:
    """So that it brings no modules for code that nobody knows."""
    first, second = entries(root(), ["python3.11", "main.py"], ("/bin",), "/app")

    assert (first.path, first.reason.confidence) == ("/bin/python3.11", "certain")
    assert first.reason.detail.startswith(WITH_SCRIPT)
    assert (second.path, second.reason.confidence) == ("/app/main.py", "likely")
