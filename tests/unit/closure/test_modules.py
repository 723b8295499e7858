"""Perl, Ruby, Lua, Tcl and PHP: what scripts import, of trees made by hand; and what interpreters bring that are packed alone."""

import time

import pytest

from jettison.closure import site
from jettison.closure.choices import Choices
from jettison.closure.languages import of_name
from jettison.closure.resolve import resolve
from jettison.closure.why import Closure, Need, Reason
from jettison.tree.node import Node, made_dir, made_file
from jettison.tree.root import Tree, parents
from making import setting

PERL = "/usr/share/perl5"
TCL = "/usr/share/tcltk/json1"
GEM = "/usr/lib/ruby/gems/3.1.0/gems/g-1.0"
DEFAULT = Choices()
FILES = {
    f"{PERL}/Foo/Bar.pm": "package Foo::Bar; use Deep; 1;\n__END__\nuse Never;",
    f"{PERL}/Deep.pm": "=head1 A\n\nuse Never;\n\n=cut\n# use Never;\n1;",
    f"{PERL}/Never.pm": "1;",
    f"{PERL}/Plug/One.pm": "1;",
    f"{PERL}/old.pl": "1;",
    "/usr/lib/x86_64-linux-gnu/perl5/5.36/auto/Foo/Bar/Bar.so": "\0",
    "/usr/lib/ruby/vendor_ruby/thing.rb": "require 'thing/part'",
    "/usr/lib/ruby/vendor_ruby/thing/part.rb": "",
    "/usr/share/lua/5.4/deep/name.lua": "",
    f"{TCL}/pkgIndex.tcl": "package ifneeded json 1.0 [list source [file join $dir json.tcl]]",
    f"{TCL}/json.tcl": "",
    "/usr/share/php/Lib.php": "<?php",
    f"{GEM}/lib/g.rb": "",
    f"{GEM}/exe/g": "require 'thing'",
    f"{GEM}/data/style.css": "",
    f"{GEM}/doc/g.rdoc": "",
    "/usr/bin/tool": "",
    "/usr/bin/never": "",
    "/app/beside.rb": "",
    "/app/mine.tcl": "",
}


def closure_of(interpreter: str, text: str, choices: Choices = DEFAULT) -> Closure:
    """The closure of a script at /app/run; of the interpreter itself where there is no text."""
    contents = {**FILES, "/app/run": f"#!{interpreter}\n{text}\n", interpreter: "\x7fELF", "/usr/bin/perl": "\0"}
    nodes: dict[str, Node] = {}
    for path, content in contents.items():
        nodes |= {folder: made_dir() for folder in parents(path)[1:]}
        nodes[path] = made_file(content.encode("latin-1"), 0o755 if "/bin/" in path or path == "/app/run" else 0o644)
    nodes[interpreter] = made_file(b"\0", 0o755)
    root = Tree(nodes)
    return resolve(root, [Need("/app/run", Reason("entry", "", "the script"))], setting(root)._replace(choices=choices))


@pytest.mark.parametrize(
    ("interpreter", "text", "paths"),
    [
        ("/usr/bin/perl", "use Foo::Bar qw(x);", f"{PERL}/Foo/Bar.pm {PERL}/Deep.pm"),
        ("/usr/bin/perl", "use Foo::Bar;", "/usr/lib/x86_64-linux-gnu/perl5/5.36/auto/Foo/Bar/Bar.so"),
        ("/usr/bin/perl", "eval { require Deep };", f"{PERL}/Deep.pm"),
        ("/usr/bin/perl", "use parent -norequire, qw(Deep);", f"{PERL}/Deep.pm"),
        ("/usr/bin/perl", 'my $class = "Plug::$name";', f"{PERL}/Plug/One.pm"),
        ("/usr/bin/perl", "for (qw(None::There Foo::Bar)) { load($_) }", f"{PERL}/Foo/Bar.pm"),
        ("/usr/bin/perl", "do 'old.pl';", f"{PERL}/old.pl"),
        ("/usr/bin/ruby", "require 'thing'", "/usr/lib/ruby/vendor_ruby/thing.rb /usr/lib/ruby/vendor_ruby/thing/part.rb"),
        ("/usr/bin/ruby", "require_relative 'beside'", "/app/beside.rb"),
        ("/usr/bin/lua5.4", "local x = require('deep.name')", "/usr/share/lua/5.4/deep/name.lua"),
        ("/usr/bin/tclsh", "package require json", f"{TCL}/pkgIndex.tcl {TCL}/json.tcl"),
        ("/usr/bin/tclsh", "source [file join [file dirname [info script]] mine.tcl]", "/app/mine.tcl"),
        ("/usr/bin/php", "<?php require_once 'Lib.php';", "/usr/share/php/Lib.php"),
        ("/bin/sh", "exec perl -x -S \"$0\" \"$@\"\n#!perl\nuse Deep;", f"/usr/bin/perl {PERL}/Deep.pm"),
    ],
)  # fmt: skip
def test_what_statements_name_is_needed(interpreter: str, text: str, paths: str) -> None:
    """With what that names in turn; documentation, comments and what follows the end say nothing."""
    closure = closure_of(interpreter, text)

    assert set(paths.split()) <= set(closure.reasons)
    assert f"{PERL}/Never.pm" not in closure
    assert all(closure.why(path)[-1].reason.kind == "entry" for path in closure.reasons)


def test_what_is_only_mentioned_is_not_certain() -> None:
    """The least takes what statements load."""
    assert f"{PERL}/Foo/Bar.pm" in closure_of("/usr/bin/perl", "use Foo::Bar;", Choices("minimal"))
    assert f"{PERL}/Foo/Bar.pm" not in closure_of("/usr/bin/perl", "my @x = ('Foo::Bar');", Choices("minimal"))


def test_the_gem_of_a_command_comes_whole() -> None:
    """Its own script, with what that requires, and its data; not its documentation."""
    closure = closure_of("/usr/bin/ruby", "load Gem.activate_bin_path('g', 'g', version)")

    assert {f"{GEM}/exe/g", f"{GEM}/data/style.css", "/usr/lib/ruby/vendor_ruby/thing/part.rb"} <= set(closure.reasons)
    assert f"{GEM}/doc/g.rdoc" not in closure


@pytest.mark.parametrize(
    ("interpreter", "text"),
    [
        ("/usr/bin/perl", "my $said = `tool -x`;"),
        ("/usr/bin/perl", "print qx{tool $file 2>/dev/null};"),
        ("/usr/bin/perl", "system('tool', $file) == 0 or die;"),
        ("/usr/bin/perl", 'open(my $pipe, "tool $file |");'),
        ("/usr/bin/perl", "open(my $pipe, '-|', 'tool', $file);"),
        ("/usr/bin/ruby", "said = `tool #{file}`"),
        ("/usr/bin/ruby", 'system "tool", file'),
    ],
)
def test_commands_in_a_script_are_read_as_the_shell_reads_them(interpreter: str, text: str) -> None:
    """What prose and documentation quote is none."""
    closure = closure_of(interpreter, f"{text}\nwarn \"Cannot open `never': try `never`\";\n__END__\nsystem 'never';")

    assert "/usr/bin/tool" in closure
    assert interpreter == "/usr/bin/ruby" or "/usr/bin/never" not in closure
    assert "/usr/bin/tool" not in closure_of(interpreter, text, Choices("minimal"))


@pytest.mark.parametrize("interpreter", ["/usr/bin/perl", "/usr/bin/ruby", "/usr/bin/lua5.4", "/usr/bin/tclsh", "/usr/bin/php"])
def test_a_hostile_script_is_read_soon(interpreter: str) -> None:
    """What may stand between two words has a limit."""
    words = [
        "use",
        "use if",
        "require",
        "require (",
        "include ",
        "source ",
        "package require",
        "[file join",
        "=x\n",
        "'A::",
        "#",
        "A::",
    ]
    text = "\n".join(word * 3000 + " " * 30_000 + "\n" * 30_000 + "x" * 30_000 for word in words)
    started = time.process_time()

    closure_of(interpreter, text[:1_000_000])

    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("name", "language"),
    [("python3.11", "python"), ("perl5.36.0", "perl"), ("dash", "shell"), ("wish8.6", "tcl"), ("pythonx", ""), ("cat", "")],
)
def test_interpreters_are_known_by_their_names(name: str, language: str) -> None:
    """With a version or without."""
    assert of_name(name) == language


def test_light_modules_are_likely_and_heavy_ones_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that is packed alone may be asked for what the machine has for it."""
    monkeypatch.setattr(site, "UNIT_BYTES", 100)
    nodes: dict[str, Node] = {}
    contents = {"/usr/bin/lua5.4": b"\x7fELF", "/usr/share/lua/5.4/small.lua": b"x", "/usr/share/lua/5.4/large.lua": b"x" * 200}
    for path, content in contents.items():
        nodes |= {folder: made_dir() for folder in parents(path)[1:]}
        nodes[path] = made_file(content, 0o755)
    root = Tree(nodes)
    from jettison.closure.facts import Subject

    subject = Subject(root, "/usr/bin/lua5.4", b"\x7fELF", Reason("entry", "", ""), setting(root))

    found = {need.path: need.reason.confidence for need in site.needs(subject, "lua") if isinstance(need, Need)}

    assert found == {"/usr/share/lua/5.4/small.lua": "likely", "/usr/share/lua/5.4/large.lua": "hint"}
