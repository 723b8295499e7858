"""The documentation is true: its transcripts are executed, its links lead somewhere, its reference is that of the code."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import generate
import peers
from jettison.cli.completion import commands
from jettison.cli.flags import Command
from jettison.cli.main import VERBS
from peers import Jettison

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


class Call(NamedTuple):
    """A line of a transcript that starts with `$`, and what it says; `...` stands for any text."""

    line: str
    said: str


def transcript(page: Path) -> Iterator[Call]:
    """The calls in a page's `console` blocks."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
        for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, said = call.partition("\n")
            yield Call(line, said)


def examples(page: Path) -> str:
    """The program that a page's `python` blocks are."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


def is_said(pattern: str, said: str) -> bool:
    """Whether `said` is the pattern, in which `...` is any text, also of several lines."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("..."))), said, re.DOTALL) is not None


@pytest.mark.parametrize("name", generate.pages())
def test_the_reference_is_up_to_date(name: str) -> None:
    """`make docs` would change nothing."""
    assert (generate.REFERENCE / name).read_text() == generate.pages()[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_hints_lead_somewhere() -> None:
    """A page that an error names is there."""
    sources = [path.read_text() for path in REPOSITORY.glob("src/**/*.py")]
    named = {name for text in sources for name in re.findall(r"docs/[a-z/-]+[a-z]", text)}

    assert [name for name in named if not (REPOSITORY / f"{name}.md").exists()] == []


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_a_verb_is_documented(command: Command) -> None:
    """It has a sentence, an example, and a word on each flag; its table is called as it is."""
    assert command.name in VERBS
    assert command.summary.endswith(".")
    assert f"jettison {command.name}" in command.example
    assert [flag.name for flag in command.flags if not flag.help] == []


@pytest.mark.slow
def test_the_readme_shows_the_demo(jettison: Jettison) -> None:
    """The demo ends well, and README.md shows its calls in their order."""
    done = peers.call([str(REPOSITORY / "demo/run.sh"), jettison.command[0]])

    assert done.returncode == 0, done.stderr
    if "running was refused" in done.stdout:
        peers.lacking("this machine keeps user namespaces from this user")
    assert calls(done.stdout) == calls((REPOSITORY / "README.md").read_text().partition("$ make demo\n")[2].partition("```")[0])


def calls(text: str) -> list[list[str]]:
    """The calls in a transcript, without the paths that differ between machines."""
    return [
        [word for word in line.split() if not word.startswith("/usr/")] for line in text.splitlines() if line.startswith("$ ")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/first-image.md", "docs/guides/running-in-the-background.md"])
def test_the_transcripts_are_true(tmp_path: Path, jettison: Jettison, require: Callable[[str], str], page: str) -> None:
    """Every call of these pages does and says what the page says."""
    if not os.path.exists("/lib64/ld-linux-x86-64.so.2"):
        peers.lacking("the tutorial is written on x86-64 with glibc")
    require_user_namespaces(require)
    path = f"{Path(jettison.command[0]).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "JETTISON_HOME": str(jettison.store)}

    for call in transcript(REPOSITORY / page):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", call.line],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0 and is_said(call.said, done.stdout), f"$ {call.line}\n{done.stdout}\nexpected:\n{call.said}"


def test_every_attack_has_its_test() -> None:
    """docs/reference/attacks.md names the attacks that docstrings of tests name, and no others."""
    listed = re.findall(r"^\| ([RPUS]\d+) \|", (REPOSITORY / "docs/reference/attacks.md").read_text(), re.MULTILINE)
    trees = [ast.parse(path.read_text()) for path in REPOSITORY.glob("tests/**/test_*.py")]
    tests = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"]
    tested = {each for test in tests for each in re.findall(r"\b[RPUS]\d+\b", ast.get_docstring(test) or "")}

    assert len(listed) == len(set(listed))
    assert tested == set(listed)


@pytest.mark.slow
def test_the_guide_for_python_is_true(jettison: Jettison, require: Callable[[str], str]) -> None:
    """What docs/guides/from-python.md asserts holds."""
    require_user_namespaces(require)
    require("busybox")
    page = REPOSITORY / "docs/guides/from-python.md"
    assert [call.line for call in transcript(page)] == ["jettison pack busybox -t box"]
    jettison("pack", "busybox", "-t", "box")

    done = peers.call([sys.executable, "-c", examples(page)], env={**os.environ, "JETTISON_HOME": str(jettison.store)})

    assert (done.returncode, done.stderr) == (0, "")


def require_user_namespaces(require: Callable[[str], str]) -> None:
    """Skip where this machine does not let us make one."""
    if os.geteuid() != 0 and peers.call([require("unshare"), "--user", "true"]).returncode != 0:
        peers.lacking("this machine keeps user namespaces from this user")
