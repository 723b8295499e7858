"""What shell scripts need: of trees made by hand, and of scripts of this machine."""

from collections.abc import Callable

import pytest

from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import DirectoryRoot, Tree
from making import setting

PROGRAMS = "a b c d env exec-me find git grep nice sh timeout xargs".split()


def closure_of(script: str, **files: str) -> Closure:
    """The closure of a script at /opt/app/run beside `files`, with some programs on PATH."""
    nodes: dict[str, Node] = {path: made_dir() for path in ("/bin", "/opt", "/opt/app", "/opt/app/lib")}
    nodes |= {f"/bin/{name}": made_file(b"\0program", 0o755) for name in PROGRAMS}
    nodes |= {f"/opt/app/{name.replace('_', '/')}": made_file(text.encode()) for name, text in files.items()}
    nodes["/opt/app/run"] = made_file(script.encode(), 0o755)
    root = Tree(nodes)
    return resolve(root, [Need("/opt/app/run", Reason("entry", "", "the script"))], setting(root))


@pytest.mark.parametrize(
    ("line", "programs"),
    [
        ("a | b && exec c", "a b c"),
        ("echo a; test b; x=a; f() { b; }; f", "b"),
        ("exec env A=1 nice -n 5 timeout -k 1 9 a b", "env nice timeout a"),
        ("find . -name c -exec a {} \\; | xargs -n 1 b", "find a xargs b"),
        ("trap 'a' EXIT; eval \"b c\"", "a b"),
        ("sh -ec 'a \"$(b)\"'", "sh a b"),
        ('TOOL=a; $TOOL; ${OTHER:-b} x; "$UNKNOWN"', "a b"),
        ("case $1 in x) C='a -l' ;; *) C=b ;; esac; $C file", "a b"),
        ("PATH=/nowhere:/bin; command -v d; a", "a"),
        ("A=$(command -v b)", ""),
        ("/bin/a; /bin/nothing; ./b", "a"),
    ],
)
def test_programs_in_command_position_are_needed(line: str, programs: str) -> None:
    """Wrappers are looked through, builtins and functions are none, and what depends on the day is not guessed."""
    closure = closure_of(f"#!/bin/sh\n{line}\n")

    found = {path.removeprefix("/bin/") for path in closure.reasons if path.startswith("/bin/")} - {"sh"}

    assert found == set(programs.split()) - {"sh"}
    assert all(closure.reasons[f"/bin/{name}"][0].confidence == "likely" for name in found)


@pytest.mark.parametrize(
    "line",
    [
        '. "$(dirname "$0")/lib/x"',
        '. "${0%/*}/lib/x"',
        "D=`dirname $0`; . $D/lib/x",
        'HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd); . "$HERE/lib/x"',
        "PREFIX=/opt; source ${PREFIX}/app/lib/x",
        "d=`echo \"$0\" | sed 's|[^/]*$||'`; . ${d}lib/x",
        'DIR="${BASH_SOURCE[0]%/*}"; . "$DIR"/lib/x',
    ],
)
def test_sourced_files_are_found_from_the_scripts_own_folder(line: str) -> None:
    """And what they need, with their functions and variables."""
    closure = closure_of(f"#!/bin/sh\n{line}\nb\n$TOOL\n", lib_x="b() { a; }\nTOOL=c\n")

    assert closure.reasons["/opt/app/lib/x"][0].kind == "import"
    assert closure.reasons["/bin/a"][0].by == "/opt/app/lib/x"
    assert "/bin/c" in closure
    assert "/bin/b" not in closure


def test_sourcing_in_a_circle_ends() -> None:
    """Each file is read once."""
    closure = closure_of("#!/bin/sh\n. /opt/app/lib/x\n", lib_x=". /opt/app/lib/x\n. /opt/app/run\neval 'eval \"eval a\"'\n")

    assert "/bin/a" in closure


def test_a_script_of_a_package_brings_the_files_that_it_names(require: Callable[[str], str]) -> None:
    """debootstrap's functions and scripts lie in a folder that a variable names."""
    root = DirectoryRoot()
    seeds = [Need(require("debootstrap"), Reason("entry", "", "the program"))]

    closure = resolve(root, seeds, setting(root))

    assert {"/usr/share/debootstrap/functions", "/usr/share/debootstrap/scripts/sid"} <= set(closure.reasons)
    assert {"/usr/bin/wget", "/usr/bin/dpkg"} & set(closure.reasons)


def test_scripts_are_sourced_to_a_depth_that_ends() -> None:
    """A script, and seven below it; what one further down starts is not followed."""
    below = {f"lib_{depth}": f". /opt/app/lib/{depth + 1}" for depth in range(1, 7)}
    closure = closure_of("#!/bin/sh\n. /opt/app/lib/1", **below, lib_7="a; . /opt/app/lib/8", lib_8="b")

    assert {"/bin/a", "/opt/app/lib/8"} <= closure.reasons.keys()
    assert "/bin/b" not in closure.reasons
