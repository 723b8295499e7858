"""Shell text as commands: the grammar, and texts that try to be too much."""

import time

import pytest

from jettison.closure.shell_syntax import Word, literal, read


def text_of(word: Word) -> str:
    """A word as a test writes it; `?` for what only a shell knows."""
    return literal(word) or "".join(part.value if part.kind == "text" else "?" for part in word)


def names(text: str) -> list[str]:
    """The words in command position."""
    return [text_of(command.words[0]) for command in read(text).commands if command.words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a; b && c || d | e & f", ["a", "b", "c", "d", "e", "f"]),
        ("if a; then b; elif c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("while ! a; do b; done < file", ["a", "b"]),
        ("for x in p q; do a; done; for y\ndo b; done", ["a", "b"]),
        ("for ((i = 0; i < 3; i++)); do a; done", ["a"]),
        ("case $x in p|q) a ;; (r) b;; *) c\n;; esac; d", ["a", "b", "c", "d"]),
        ("case x in\n# esac\n a) b;;\nesac", ["b"]),
        ("{ a; }; (b; c) > out", ["a", "b", "c"]),
        ("f() { a; }; function g { b; }; function h() { c; }; d", ["a", "b", "c", "d"]),
        ("x=1 y=$(a) b; z=(c d); e", ["a", "b", "e"]),
        ("a $(b $(c) `d \\`e\\``) \"$(f \"$(g)\")\" '$(no)'", ["c", "b", "e", "d", "g", "f", "a"]),
        ("[[ a < b && c =~ (d|e) ]] && f", ["f"]),
        ("a $((1 + (2)))\n(( x = 1 ))\nb", ["a", "b"]),
        ("a <<E; b\nno $(c) `d`\nE\ne", ["c", "d", "a", "b", "e"]),
        ("a <<'E' ;\n$(no)\nE\nb", ["a", "b"]),
        ("case x in y) a <<-E ;;\n\tno\n\tE\nesac\nb", ["a", "b"]),
        ("a 2>/dev/null >&2 <in b", ["a"]),
        ("# no\na # no\nb#c d", ["a", "b#c"]),
        ("a \\\n b\nc", ["a", "c"]),
        ("diff <(a) >(b)", ["a", "b", "diff"]),
        ("${x:-$(a)} b; \"$PREFIX\"/c", ["a", "?", "?/c"]),
        ("a ${x#\\}} ${y%%'}'} \"${z:-\"}\"}\"; b", ["a", "b"]),
    ],
)  # fmt: skip
def test_commands_are_found_as_a_shell_finds_them(text: str, expected: list[str]) -> None:
    """Keywords, operators, substitutions, here-documents, comments, functions; those of substitutions come first."""
    found = [name for name in names(text) if name != "?" or "?" in expected]

    assert sorted(found) == sorted(expected)


def test_functions_assignments_and_redirections_are_told() -> None:
    """They name files too, and are no programs."""
    script = read('f() { :; }\nA=/x B="y $A" cmd <in >>"out file" 2>&1')
    command = script.commands[-1]

    assert script.functions == ("f",)
    assert [(name, text_of(word)) for name, word in command.assignments] == [("A", "/x"), ("B", "y ?")]
    assert [text_of(word) for word in command.files][:2] == ["in", "out file"]


def test_a_command_is_certain_where_nothing_decides_about_it() -> None:
    """Not within a condition, a function or a substitution, nor behind && and ||."""
    script = read("a\nif b; then c; fi\nd && e\nf() { g; }\nh $(i)\nj")

    certain = [text_of(command.words[0]) for command in script.commands if command.is_certain]

    assert certain == ["a", "d", "h", "j"]


@pytest.mark.parametrize(
    "text",
    [
        "$(", "`", "((", "a <<E\n", "${x:-", "case x in ", "\0", "$((x ", "a(", "'", '"$(', "f() { ", "a=(", "[[ ", "for ",
        "# x\n",
    ],
)  # fmt: skip
def test_a_hostile_text_is_read_in_linear_time(text: str) -> None:
    """Whatever is repeated: four times as much takes no sixteen times as long."""
    started = time.process_time()
    read(text * (25_000 // len(text)))
    short = time.process_time() - started

    read(text * (100_000 // len(text)))

    assert time.process_time() - started - short < 0.5 + 8 * short


def test_what_follows_the_end_is_no_shell() -> None:
    """As in a Perl script that a shell starts, or an archive that unpacks itself."""
    assert names('exec perl -x "$0" "$@"\nprint; sort') == ["exec"]
    assert names("a || exit 1; b\nexit 0\n\0\1;c") == ["a", "exit", "b", "exit"]
