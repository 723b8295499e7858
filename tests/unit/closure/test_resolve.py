"""The work list: laws that hold for every root."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.closure.choices import Choices, Level
from jettison.closure.facts import Finding, Subject
from jettison.closure.resolve import find_program, resolve
from jettison.closure.strings import Strings, named_paths
from jettison.closure.why import Closure, Need, Omit, Reason
from jettison.errors import HostError
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree
from making import setting

ENTRY = Reason("entry", "", "the program")
NAMES = [f"/bin/p{number}" for number in range(6)]


def closure_of(root: Tree, *paths: str) -> Closure:
    return resolve(root, [Need(path, ENTRY) for path in paths], setting(root))


@st.composite
def roots(draw: st.DrawFn) -> Tree:
    """Scripts that start each other, and links, also in circles and into nothing."""
    nodes: dict[str, Node] = {"/bin": made_dir(), "/sbin": made_symlink("bin")}
    for name in NAMES:
        target = draw(st.sampled_from([*NAMES, "/sbin/p1", "/nothing"]))
        script = made_file(f"#!{target}\n".encode(), 0o755)
        nodes[name] = draw(st.sampled_from([made_symlink(target), script, script]))
    return Tree(nodes)


@given(roots(), st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_more_seeds_never_give_less(root: Tree, seeds: set[str], more: set[str]) -> None:
    """The closure is monotone in its seeds; links in circles are an error of the root, not of the seeds."""
    try:
        small, large = closure_of(root, *seeds), closure_of(root, *seeds, *more)
    except Exception as error:
        assert "symbolic links" in str(error)
        return

    assert set(small.reasons) <= set(large.reasons)


@given(roots(), st.sets(st.sampled_from(NAMES)))
def test_the_closure_of_a_closure_is_itself(root: Tree, seeds: set[str]) -> None:
    """Idempotent: everything that is needed is in it, with its chain back to an entry."""
    try:
        closure = closure_of(root, *seeds)
        again = resolve(root, [Need(path, ENTRY, follow_last=False) for path in closure.reasons], setting(root))
    except Exception as error:
        assert "symbolic links" in str(error)
        return

    assert set(again.reasons) == set(closure.reasons)
    assert all(closure.why(path)[-1].reason == ENTRY for path in closure.reasons)


def test_every_link_on_the_way_is_in_the_closure() -> None:
    """A link that is left behind would break the path."""
    root = Tree(
        {
            "/usr": made_dir(),
            "/usr/bin": made_dir(),
            "/bin": made_symlink("usr/bin"),
            "/usr/bin/app": made_symlink("/etc/alternatives/app"),
            "/etc": made_dir(),
            "/etc/alternatives": made_dir(),
            "/etc/alternatives/app": made_symlink("../../usr/bin/app.real"),
            "/usr/bin/app.real": made_file(b"", 0o755),
        }
    )

    assert set(closure_of(root, "/bin/app").reasons) == {"/bin", "/usr/bin/app", "/etc/alternatives/app", "/usr/bin/app.real"}


def test_what_is_missing_is_told_with_its_reason() -> None:
    """An entry that is not there."""
    (missing,) = closure_of(Tree({}), "/bin/app").missing

    assert (missing.name, missing.reason) == ("/bin/app", ENTRY)


def test_a_program_is_found_as_a_shell_finds_it() -> None:
    """On the search path in order, executable files only; a name with a slash is a path."""
    root = Tree(
        {
            "/usr": made_dir(),
            "/usr/local": made_dir(),
            "/usr/local/bin": made_dir(),
            "/usr/local/bin/tool": made_file(b"", 0o644),
            "/usr/bin": made_dir(),
            "/usr/bin/tool": made_file(b"", 0o755),
        }
    )

    assert find_program(root, "tool") == "/usr/bin/tool"
    assert find_program(root, "/usr/bin/tool") == "/usr/bin/tool"
    assert find_program(root, "other") == ""


def test_what_a_rule_omits_is_not_brought_by_evidence_but_at_the_level_safe() -> None:
    """What a rule itself brings is not omitted; the rest is a hint, of which no further hint is followed."""
    files = {f"/bin/{name}": made_file(b"text", 0o755) for name in ("app", "editor", "helper")}
    root = Tree({"/bin": made_dir(), **files})
    evidence = Reason("string", "/bin/app", "in its data", "likely")

    def finder(subject: Subject) -> list[Finding]:
        omit = Omit(("/bin/editor", "helper"), evidence)
        return [omit, Need("/bin/editor", evidence), Need("/bin/helper", evidence._replace(kind="rule"))]

    def found(level: Level) -> Closure:
        return resolve(root, [Need("/bin/app", ENTRY)], setting(root, Choices(level=level)), [finder])

    balanced, safe = found("balanced"), found("safe")
    assert set(balanced.reasons) == {"/bin/app", "/bin/helper"}
    assert balanced.passed_over == {"/bin/editor": evidence._replace(confidence="hint")}
    assert set(safe.reasons) == {"/bin/app", "/bin/editor", "/bin/helper"}
    assert safe.reasons["/bin/editor"] == (evidence._replace(confidence="hint"),)


def test_what_this_user_may_not_look_at_is_missing_to_what_only_names_it() -> None:
    """To the program itself, and to what the linker needs, it is an error."""

    class Shut(Tree):
        def lstat(self, path: str) -> Node | None:
            if path.startswith("/private/"):
                raise HostError(f"cannot read `{path}`: Permission denied")
            return super().lstat(path)

    root = Shut({"/bin": made_dir(), "/bin/p": made_file(b"", 0o755), "/private": made_dir(0o700), "/ring": made_symlink("ring")})
    named = Need("/private/x", Reason("string", "/bin/p", "named"))

    assert [item.name for item in resolve(root, [Need("/bin/p", ENTRY), named], setting(root)).missing] == ["/private/x"]
    assert find_program(root, "p", ("/private/bin", "/ring", "/bin")) == "/bin/p"
    assert list(named_paths(root, Strings(("/private/x", "/ring/x", "/bin/p")))) == [("/bin/p", "/bin/p")]
    with pytest.raises(HostError):
        closure_of(root, "/private/x")
