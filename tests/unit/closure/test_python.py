"""What Python scripts need: of trees made by hand, and beside what modulefinder of the standard library finds."""

import sys
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

from jettison.closure.choices import Choices
from jettison.closure.facts import Setting
from jettison.closure.python_layout import Distributions, layout
from jettison.closure.python_source import read
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import DirectoryRoot, Tree, parents
from making import setting

LIBRARY = "/usr/lib/python3.11"
SITE = "/usr/lib/python3/dist-packages"
DEFAULT = Choices()
FILES = {
    "/usr/bin/git": "\0",
    "/usr/bin/python3.11": "\0",
    f"{LIBRARY}/os.py": "",
    f"{LIBRARY}/json/__init__.py": "from . import decoder",
    f"{LIBRARY}/json/decoder.py": "",
    f"{LIBRARY}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": "\0",
    f"{LIBRARY}/test/big.py": "",
    f"{SITE}/web/__init__.py": "import render\ntry:\n    import extra\nexcept ImportError:\n    pass",
    f"{SITE}/web/late.py": "import unused",
    f"{SITE}/web/page.html": "",
    f"{SITE}/web/__pycache__/late.cpython-311.pyc": "",
    f"{SITE}/web_tool-2.dist-info/METADATA": "Name: web-tool\nRequires-Dist: plain>=1\nRequires-Dist: unused; extra == 'x'\n\n",
    f"{SITE}/web_tool-2.dist-info/top_level.txt": "web\n",
    f"{SITE}/web_tool-2.dist-info/entry_points.txt": "[console_scripts]\nrun = web.late:main\n",
    f"{SITE}/render.py": "",
    f"{SITE}/plain.py": "",
    f"{SITE}/plain-1.egg-info": "Name: plain\n\n",
    f"{SITE}/unused.py": "",
    "/app/own/__init__.py": "",
    "/app/own/data.txt": "",
    "/app/own/part.py": "from .. import nothing\nfrom . import other",
    "/app/own/other.py": "",
    "/app/lib/beside.py": "",
}


def closure_of(text: str, choices: Choices = DEFAULT) -> Closure:
    """The closure of a script at /app/run."""
    nodes: dict[str, Node] = {}
    files = {**FILES, "/app/run": f"#!/usr/bin/python3\n{text}\n"}
    for path, content in files.items():
        nodes |= {folder: made_dir() for folder in parents(path)[1:]}
        nodes[path] = made_file(content.encode(), 0o755 if "/bin/" in path or path == "/app/run" else 0o644)
    nodes["/usr/bin/python3"] = made_symlink("python3.11")
    root = Tree(nodes)
    return resolve(root, [Need("/app/run", Reason("entry", "", "the script"))], setting(root)._replace(choices=choices))


def test_the_standard_library_comes_without_its_tests() -> None:
    """At the default level; the least is what the interpreter starts with, and what is imported."""
    assert f"{LIBRARY}/json/decoder.py" in closure_of("")
    assert f"{LIBRARY}/test/big.py" not in closure_of("")

    least = closure_of("import json", Choices("minimal"))

    assert {f"{LIBRARY}/os.py", f"{LIBRARY}/json/__init__.py", f"{LIBRARY}/json/decoder.py"} <= set(least.reasons)
    assert f"{LIBRARY}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so" not in least


def test_a_distribution_comes_whole_with_those_it_requires() -> None:
    """Its data and the parts that it may load late, its metadata, what it imports, and what its metadata names."""
    closure = closure_of("import web")

    assert {f"{SITE}/web/{name}" for name in ("__init__.py", "late.py", "page.html")} <= set(closure.reasons)
    assert {f"{SITE}/render.py", f"{SITE}/plain.py", f"{SITE}/web_tool-2.dist-info/METADATA"} <= set(closure.reasons)
    assert not any("__pycache__" in path for path in closure.reasons)
    assert f"{SITE}/unused.py" not in closure
    assert not closure.missing


def test_a_script_that_asks_for_its_entry_point_gets_its_module() -> None:
    """As those that setuptools wrote."""
    closure = closure_of("__requires__ = 'web-tool==2'\nfrom web import x")

    assert f"{SITE}/unused.py" in closure  # which web.late imports


def test_modules_beside_the_script_are_found() -> None:
    """Packages whole, with their data; also in folders that the script adds to sys.path."""
    closure = closure_of(
        "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\n"
        "import beside\nfrom own.part import x"
    )

    assert {"/app/own/part.py", "/app/own/other.py", "/app/own/data.txt", "/app/lib/beside.py"} <= set(closure.reasons)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("import importlib\nimportlib.import_module('render')", f"{SITE}/render.py"),
        ("__import__('render')", f"{SITE}/render.py"),
        ("import subprocess\nsubprocess.run(['git', 'status'])", "/usr/bin/git"),
        ("import subprocess\nsubprocess.check_output('git log | git x', shell=True)", "/usr/bin/git"),
        ("import os\nGIT = '/usr/bin/' + 'git'\nos.execv(GIT, ['git'])", "/usr/bin/git"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import render", ""),
    ],
)
def test_constants_are_followed(text: str, path: str) -> None:
    """Modules and programs that calls name; what is only imported for types is not."""
    assert closure_of(text).reasons.keys() & {path, f"{SITE}/render.py", "/usr/bin/git"} == ({path} if path else set())


@pytest.mark.parametrize("text", ["(" * 5000, "import \0", "-" * 50_000 + "1", "def f(:", "x = " + "+".join(["a"] * 50_000)])
def test_what_is_no_python_says_nothing(text: str) -> None:
    """And does no harm."""
    assert not read(text.encode(), "/x.py").imports


@pytest.mark.slow
def test_the_modules_are_those_that_modulefinder_finds(tmp_path: Path) -> None:
    """Python's own finder, which follows a script's imports in the running interpreter's library."""
    script = tmp_path / "script.py"
    script.write_text(f"#!{sys.executable}\nimport csv, json\nfrom string import Template\n")
    script.chmod(0o755)
    judge = ModuleFinder()
    judge.run_script(str(script))
    files = [vars(module)["__file__"] for module in judge.modules.values()]
    expected = {str(Path(file).resolve()) for file in files if file} - {str(script)}
    root = DirectoryRoot()

    seeds = [Need(str(script), Reason("entry", "", "the script"))]
    closure = resolve(root, seeds, Setting(setting(root).packages, setting(root).facts))

    python = {path for path in expected if path.endswith(".py")}
    left_out = ("/idlelib/", "/lib2to3/", "/site-packages/", "/test/", "/tests/", "/tkinter/")  # parts that few programs import
    wanted = {path for path in python if not any(part in path for part in left_out)}
    assert wanted
    assert wanted - set(closure.reasons) == set()


def test_a_virtual_environment_has_its_own_site() -> None:
    """pyvenv.cfg says whether the system's counts too."""
    nodes: dict[str, Node] = {path: made_dir() for path in ("/venv", "/venv/bin", "/usr", "/usr/bin", "/usr/lib", LIBRARY)}
    nodes["/venv/bin/python"] = made_symlink("/usr/bin/python3.11")
    nodes["/venv/pyvenv.cfg"] = made_file(b"home = /usr/bin\ninclude-system-site-packages = false\n")
    nodes["/usr/bin/python3.11"] = made_file(b"", 0o755)
    nodes[f"{LIBRARY}/os.py"] = made_file(b"")

    found = layout(Tree(nodes), "/venv/bin/python")

    assert found is not None
    assert (found.library, found.sites) == (LIBRARY, ("/venv/lib/python3.11/site-packages",))
    assert found.configuration == ("/venv/pyvenv.cfg",)
    assert list(Distributions(Tree(nodes), found.sites).all()) == []
