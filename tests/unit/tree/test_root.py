"""Roots: links are resolved inside, and nothing leads out."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.errors import HostError, InvalidData, NotFound
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Root, Tree, normalise, parents, resolve


def make(folder: Path) -> None:
    """A root with the shapes that matter."""
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/app").write_bytes(b"app")
    (folder / "bin").symlink_to("usr/bin")
    (folder / "up").symlink_to("../../../../etc")
    (folder / "etc").mkdir()
    (folder / "etc/alternatives").symlink_to("/usr/bin/app")
    (folder / "loop").symlink_to("loop")
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")


def as_tree() -> Tree:
    """The same root as a value."""
    return Tree(
        {
            "/usr": made_dir(),
            "/usr/bin": made_dir(),
            "/usr/bin/app": made_file(b"app"),
            "/bin": made_symlink("usr/bin"),
            "/up": made_symlink("../../../../etc"),
            "/etc": made_dir(),
            "/etc/alternatives": made_symlink("/usr/bin/app"),
            "/loop": made_symlink("loop"),
            "/a": made_symlink("b"),
            "/b": made_symlink("a"),
        }
    )


@pytest.fixture(params=["directory", "tree"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Root:
    """Every kind of Root behaves the same."""
    if request.param == "tree":
        return as_tree()
    make(tmp_path)
    return DirectoryRoot(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "real", "links"),
    [
        ("/bin/app", "/usr/bin/app", ("/bin",)),
        ("bin//./app", "/usr/bin/app", ("/bin",)),
        ("/etc/alternatives", "/usr/bin/app", ("/etc/alternatives",)),
        ("/up", "/etc", ("/up",)),
        ("/../../bin/../bin/app", "/usr/bin/app", ()),
        ("/up/alternatives", "/usr/bin/app", ("/up", "/etc/alternatives")),
        ("/", "/", ()),
    ],
)
def test_links_are_followed_inside_the_root(root: Root, path: str, real: str, links: tuple[str, ...]) -> None:
    """`..` stops at the root's own `/`; an absolute link starts there."""
    found = resolve(root, path)

    assert found.path == real
    assert found.node is not None or path == "/"
    if links:
        assert found.links == links


def test_folders_that_are_left_again_are_told(root: Root) -> None:
    """The kernel wants `/usr/bin` to be there before it goes up from it."""
    assert resolve(root, "/bin/../bin/app").left == ("/usr/bin",)


@pytest.mark.parametrize("path", ["/loop", "/a", "/loop/x"])
def test_links_in_a_circle_are_an_error(root: Root, path: str) -> None:
    """As ELOOP, after 40 links."""
    with pytest.raises(InvalidData, match="more than 40 symbolic links"):
        resolve(root, path)


@pytest.mark.parametrize("path", ["/nothing", "/usr/bin/app/below", "/bin/nothing", "/nothing/at/all"])
def test_nothing_there_is_no_error(root: Root, path: str) -> None:
    """The node is None, also below a file."""
    assert resolve(root, path).node is None


def test_a_last_link_may_be_left_alone(root: Root) -> None:
    """As lstat(2)."""
    found = resolve(root, "/etc/alternatives", follow_last=False)

    assert found.path == "/etc/alternatives"
    assert found.node is not None and found.node.kind == "symlink"


def test_folders_are_listed_sorted_and_files_read(root: Root) -> None:
    """A folder that is not there is empty, a file that is not there an error."""
    with root.open("/usr/bin/app") as file:
        assert file.read() == b"app"
    assert root.listdir("/usr/bin") == ["app"]
    assert root.listdir("/nothing") == []
    with pytest.raises(NotFound):
        root.open("/nothing")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """A folder in a file's place cannot be read as one."""
    (tmp_path / "d").mkdir()

    with pytest.raises((HostError, IsADirectoryError)):
        DirectoryRoot(str(tmp_path)).open("/d").read()


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    """As surrogates, as os.fsdecode gives them."""
    (tmp_path / os.fsdecode(b"caf\xe9")).write_bytes(b"x")

    assert DirectoryRoot(str(tmp_path)).listdir("/") == ["caf\udce9"]


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", "bin"]), max_size=8))
def test_normalised_paths_are_absolute_and_plain(parts: list[str]) -> None:
    """No dots, no doubled slashes, whatever came in; doing it again changes nothing."""
    path = normalise("/".join(parts))

    assert path.startswith("/")
    assert not {".", ".."} & set(path.split("/"))
    assert "//" not in path
    assert normalise(path) == path


def test_parents_go_down_from_the_root() -> None:
    """The order in which folders are made."""
    assert parents("/a/b/c") == ["/", "/a", "/a/b"]
    assert parents("/a") == ["/"]
    assert parents("/") == []


_NAMES = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(st.sampled_from(["a", "b", "c", ".", "..", ""]), min_size=1, max_size=5).map("/".join)


@given(
    st.dictionaries(
        st.lists(_NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
        st.one_of(st.just(made_file(b"x")), st.just(made_dir()), _PATHS.filter(bool).map(made_symlink)),
        max_size=8,
    ),
    st.lists(_PATHS, min_size=1, max_size=4),
    st.booleans(),
)
def test_links_lead_where_the_kernel_would_go(nodes: dict[str, Node], paths: list[str], follow_last: bool) -> None:
    """Asked once or again, after whatever was asked before; judged by following real links below a folder."""
    whole = {path: node for path, node in nodes.items() if all(_is_dir(nodes, above) for above in parents(path)[1:])}
    with TemporaryDirectory() as base:
        for path, node in sorted(whole.items()):
            _put(base + path, node)
        roots: list[Root] = [Tree({"/": made_dir(), **whole}), DirectoryRoot(base)]
        for path in paths * 2:
            expected = _followed(base, path, follow_last)
            assert [_answer(root, path, follow_last) for root in roots] == [expected, expected]


def _is_dir(nodes: dict[str, Node], path: str) -> bool:
    return path in nodes and nodes[path].kind == "dir"


def _put(path: str, node: Node) -> None:
    if node.kind == "dir":
        os.mkdir(path)
    elif node.kind == "symlink":
        os.symlink(node.target, path)
    else:
        Path(path).write_bytes(b"x")


def _answer(root: Root, path: str, follow_last: bool) -> tuple[str, str] | None:
    """(real path, kind), or None for nothing or a ring."""
    try:
        found = resolve(root, path, follow_last)
    except InvalidData:
        return None
    return (found.path, found.node.kind) if found.node else None


def _followed(base: str, path: str, follow_last: bool) -> tuple[str, str] | None:
    """What the rules of path_resolution(7) give, by one lstat(2) for each part."""
    todo, done = [part for part in path.split("/") if part], list[str]()
    for _ in range(1000):
        if not todo:
            break
        part = todo.pop(0)
        if part in (".", ".."):
            done = done[:-1] if part == ".." else done
            continue
        here = "/".join([base, *done, part])
        if os.path.islink(here) and (todo or follow_last):
            target = os.readlink(here)
            done = [] if target.startswith("/") else done
            todo = [item for item in target.split("/") if item] + todo
        elif not os.path.lexists(here) or (todo and not os.path.isdir(here)):
            return None
        else:
            done.append(part)
    else:
        return None
    final = "/".join([base, *done])
    return "/" + "/".join(done), "symlink" if os.path.islink(final) else "dir" if os.path.isdir(final) else "file"
