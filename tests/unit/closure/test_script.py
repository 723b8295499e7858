"""Scripts: the kernel and env start what we say they start."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jettison.closure.script import EnvCommand, Shebang, env_command, needs, parse_shebang, split_string
from jettison.errors import InvalidData
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree
from programs import build

Require = Callable[[str], str]

PATH = ("/usr/bin", "/bin")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"#!/bin/sh\n", ("/bin/sh", "")),
        (b"#! \t/bin/sh -e  \t\nrest", ("/bin/sh", "-e")),
        (b"#!/bin/sh -e -u\n", ("/bin/sh", "-e -u")),
        (b"#!/bin/sh\t -e\n", ("/bin/sh", "-e")),
        (b"#!/bin/sh", ("/bin/sh", "")),
        (b"#!/bin/sh -e ", ("/bin/sh", "-e ")),
        (b"#!/bin/sh\r\n", ("/bin/sh\r", "")),
        (b"#!python\n", ("python", "")),
        (b"#!/bin/\xff\n", ("/bin/\udcff", "")),
        (b"#!/bin/sh -e\0x\n", ("/bin/sh", "-e")),
        (b"#!/bin/" + b"x" * 248 + b"\n", ("/bin/" + "x" * 248, "")),
        (b"#!/bin/" + b"x" * 249 + b"\n", None),
        (b"#!/bin/sh " + b"x" * 300 + b"\n", ("/bin/sh", "x" * 245)),
        (b"#!\n/bin/sh", None),
        (b"#! \t \n", None),
        (b"#!", None),
        (b"#", None),
        (b"", None),
        (b" #!/bin/sh\n", None),
    ],
)
def test_the_first_line(head: bytes, expected: tuple[str, str] | None) -> None:
    """An interpreter and one argument, with the blanks in it; what does not fit 256 bytes is cut off, a name never."""
    assert parse_shebang(head) == (Shebang(*expected) if expected else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python3 -u", ["python3", "-u"]),
        ("a \"b c\" 'd e'", ["a", "b c", "d e"]),
        (r"a 'b\'c\n' \_d \"x\_y\"", ["a", r"b'c\n", "d", '"x', 'y"']),
        (r'"x\_y\t"', ["x y\t"]),
        ("a#b #c", ["a#b"]),
        (r"a\cb c", ["a"]),
        ("${PATH}x ${NONE} a${NONE}b", ["/usr/bin:/binx", "ab"]),
        ("'' \"\"", ["", ""]),
        ("", []),
    ],
)
def test_env_splits_a_string(text: str, expected: list[str]) -> None:
    """Blanks, quotes, escapes, comments and variables."""
    assert split_string(text, PATH) == expected


@pytest.mark.parametrize("text", ["$x", "${", "${1}", '"a', "'a", "a\\", r"\q", r'"a\c"'])
def test_what_env_does_not_split(text: str) -> None:
    """It refuses the text; so do we."""
    with pytest.raises(InvalidData, match="`env -S"):
        split_string(text)


@pytest.mark.parametrize(
    ("arguments", "program", "search_path"),
    [
        (["python3"], "python3", PATH),
        (["-S", "python3 -u"], "python3", PATH),
        (["-S python3 -u"], "python3", PATH),
        (["-vSpython3 -u"], "python3", PATH),
        (["-S-i python3"], "python3", ("/bin", "/usr/bin")),
        (["-iS python3"], "python3", ("/bin", "/usr/bin")),
        (["--split-string=A=1 PATH=/opt:/x python3"], "python3", ("/opt", "/x")),
        (["--split-string", "python3"], "python3", PATH),
        (["-S -u PATH python3"], "python3", ("/bin", "/usr/bin")),
        (["-S --unset=PATH python3"], "python3", ("/bin", "/usr/bin")),
        (["-S -uHOME -C/tmp --chdir /tmp -a x python3"], "python3", PATH),
        (["--ignore-environment", "python3"], "python3", ("/bin", "/usr/bin")),
        (["-S --block-signal=INT --debug python3"], "python3", PATH),
        (["-", "python3"], "python3", ("/bin", "/usr/bin")),
        (["-i", "--", "-x"], "-x", ("/bin", "/usr/bin")),
        (["-S python3 #", "/script"], "python3", PATH),
        (["-S #", "/script"], "/script", PATH),
        (["A=1", "B=2"], "", PATH),
        ([], "", PATH),
    ],
)
def test_what_env_starts(arguments: list[str], program: str, search_path: tuple[str, ...]) -> None:
    """Its options, assignments and the program after them, which is searched on the PATH that they leave."""
    assert env_command(arguments, PATH) == EnvCommand(program, search_path)


@pytest.mark.parametrize("arguments", [["-i python3"], ["-x"], ["-u"], ["--split-string"]])
def test_what_env_refuses(arguments: list[str]) -> None:
    """An option it does not have, or one without its value."""
    with pytest.raises(InvalidData, match="`env"):
        env_command(arguments, PATH)


@given(st.binary(max_size=300), st.lists(st.text("-SiuCa= \"'\\\\#$x", max_size=20), max_size=4))
def test_no_line_is_an_accident(head: bytes, arguments: list[str]) -> None:
    """Whatever a file starts with: an answer, or an InvalidData."""
    needs(root_of(), "/app", b"#!" + head, PATH)
    needs(root_of(), "/app", b"#!/usr/bin/env " + head, PATH)
    try:
        env_command(arguments, PATH)
    except InvalidData as error:
        assert error.message.startswith("`env")


def root_of(**extra: Node) -> Tree:
    nodes: dict[str, Node] = {
        "/bin": made_symlink("usr/bin"),
        "/usr": made_dir(),
        "/usr/bin": made_dir(),
        "/usr/bin/env": made_file(b"\x7fELF", 0o755),
        "/usr/bin/python3": made_symlink("python3.11"),
        "/usr/bin/python3.11": made_file(b"\x7fELF", 0o755),
        "/usr/bin/data": made_file(b"", 0o644),
        "/usr/bin/loop": made_symlink("loop"),
    }
    return Tree(nodes | extra)


def paths_of(line: str) -> tuple[list[str], list[str]]:
    found, missing = needs(root_of(), "/app", line.encode() + b"\n", PATH)
    return [need.path for need in found], [item.name for item in missing]


@pytest.mark.parametrize(
    ("line", "found", "missing"),
    [
        ("#!/bin/python3 -u", ["/bin/python3"], []),
        ("#!/usr/bin/env python3", ["/usr/bin/env", "/usr/bin/python3"], []),
        ("#!/usr/bin/env -S PATH=/x:/bin python3 -u", ["/usr/bin/env", "/bin/python3"], []),
        ("#!/usr/bin/env -S /bin/python3", ["/usr/bin/env", "/bin/python3"], []),
        ("#!/usr/bin/env python3 -u", ["/usr/bin/env"], ["python3 -u"]),
        ("#!/usr/bin/env -x", ["/usr/bin/env"], ["/usr/bin/env -x"]),
        ("#!/usr/bin/env -S bin/python3", ["/usr/bin/env"], ["bin/python3"]),
        ("#!/usr/bin/env data", ["/usr/bin/env"], ["data"]),
        ("#!/usr/bin/env loop", ["/usr/bin/env"], ["loop"]),
        ("#!/usr/bin/env", ["/usr/bin/env"], []),
        ("#!/bin/sh", [], ["/bin/sh"]),
        ("#!/bin/loop", [], ["/bin/loop"]),
        ("#!python3", [], ["python3"]),
        ("no script", [], []),
    ],
)
def test_what_a_script_needs(line: str, found: list[str], missing: list[str]) -> None:
    """Its interpreter, and what env starts; what is not there is missing."""
    assert paths_of(line) == (found, missing)


def test_reasons_of_a_script() -> None:
    """They name the script and quote its first line; a carriage return is told, since nobody sees it."""
    (interpreter, program), _ = needs(root_of(), "/app", b"#!/usr/bin/env python3\n", PATH)
    _, (missing,) = needs(root_of(), "/app", b"#!/bin/sh\r\n", PATH)
    _, (gone,) = needs(root_of(), "/app", b"#!/usr/bin/env gone\n", PATH)

    assert interpreter.reason == ("interpreter", "/app", "#!/usr/bin/env python3", "certain")
    assert program.reason == ("interpreter", "/app", "/usr/bin/env python3: `python3` on PATH", "certain")
    assert missing.reason.detail.endswith("with a carriage return at its end")
    assert gone.looked_in == PATH


# --- the kernel and env are the judges ---------------------------------------------------------------------------------

SHOW = '#include <stdio.h>\nint main(int n, char **a) { for (int i = 0; i < n; i++) printf("%s%c", a[i], 0); return 0; }\n'


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program that prints its arguments, NUL-terminated, at a path of 5 letters below /tmp."""
    return str(build(tmp_path_factory.mktemp("show"), "show", SHOW))


def started_by_kernel(script: Path) -> list[str] | None:
    """The arguments that an interpreter gets before the script's own path; None where nothing was started."""
    try:
        output = subprocess.run([str(script)], capture_output=True, check=False, env={}).stdout
    except OSError:
        return None
    return [os.fsdecode(part) for part in output.split(b"\0")[:-2] if part]  # an empty argument is as good as none


PARTS = st.sampled_from([b" ", b"\t", b"-x", b"y z", b"\r", b"\xff", b"q" * 60, b"\n", b"\0", b"#"])
LINES = st.lists(PARTS, max_size=8).map(b"".join)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([b"", b" ", b"\t "]), LINES)
@example(b"", b"")
@example(b"", b" " * 300)
def test_first_lines_as_the_kernel_reads_them(show: str, tmp_path: Path, require: Require, before: bytes, after: bytes) -> None:
    """With blanks, binary bytes and lines that are too long."""
    require("gcc")
    head = b"#!" + before + os.fsencode(show) + after
    script = tmp_path / "script"
    script.unlink(missing_ok=True)
    script.write_bytes(head)
    script.chmod(0o755)

    shebang = parse_shebang(head)
    expected = started_by_kernel(script)
    if shebang is None or shebang.interpreter != show:
        assert expected is None
    else:
        assert expected == [show, *([shebang.argument] if shebang.argument else [])]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab \t\n\"'\\_c#${}PATHqrtnf", max_size=24))
def test_strings_as_env_splits_them(show: str, require: Require, text: str) -> None:
    """GNU env splits and refuses the same."""
    env = require("env")
    output = subprocess.run([env, f"-S{show} {text}"], capture_output=True, env={"PATH": ":".join(PATH)}, check=False)
    try:
        ours = split_string(text, PATH)
    except InvalidData:
        assert output.returncode == 125
    else:
        assert output.stdout == b"".join(os.fsencode(word) + b"\0" for word in [show, *ours])
