"""Scripts: the interpreter that the kernel starts for one, and the program that `env` starts then.

The kernel's rules are those of fs/binfmt_script.c; `env` is that of GNU coreutils, whose `-S` others have taken over.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jettison.closure.why import Missing, Need, Reason
from jettison.errors import InvalidData
from jettison.tree.root import Root, resolve

HEAD_BYTES = 256  # BINPRM_BUF_SIZE: what the kernel reads of a file to tell what it is

_DEFAULT_PATH = ("/bin", "/usr/bin")  # confstr(_CS_PATH): where execvp looks without a PATH
_BLANKS = " \t\n\v\f\r"
_ESCAPES = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "#": "#", "$": "$", '"': '"', "'": "'", "\\": "\\"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONG = {"u": "unset", "C": "chdir", "S": "split-string", "a": "argv0"}  # the options with a value
_FLAGS = "i0v"


class Shebang(NamedTuple):
    """What stands behind `#!`: the interpreter as it is written, and its one argument, or nothing."""

    interpreter: str
    argument: str


class EnvCommand(NamedTuple):
    """What a call of `env` comes to: the program that it starts, empty if none is named, and where it searches it."""

    program: str
    search_path: tuple[str, ...]


def parse_shebang(head: bytes) -> Shebang | None:
    """The first line of a file that starts with `head`; None where the kernel would not start it as a script."""
    if not head.startswith(b"#!"):
        return None
    head = head[:HEAD_BYTES]
    line, newline, _ = head[2:].partition(b"\n")
    if not newline and len(head) == HEAD_BYTES:
        if not re.search(rb"[^ \t][ \t\0]", line):  # the interpreter's name may have been cut off
            return None
        line = line[:-1]  # in place of the last byte the kernel writes a NUL
    if newline or len(head) == HEAD_BYTES:  # in a file that ends before, blanks at its end are not stripped
        line = line.rstrip(b" \t")
    parts = re.match(rb"[ \t]*([^ \t\0]+)(?:[ \t]+([^\0]*))?", line)
    return Shebang(os.fsdecode(parts[1]), os.fsdecode(parts[2] or b"")) if parts else None


def needs(root: Root, path: str, head: bytes, search_path: tuple[str, ...]) -> tuple[list[Need], list[Missing]]:
    """What starting the script at `path` needs: its interpreter and, where that is `env`, the program that it starts.

    Both may be scripts again.
    """
    shebang = parse_shebang(head)
    if shebang is None:
        return [], []
    wanted = [_interpreter(root, path, shebang)]
    if shebang.interpreter.rpartition("/")[2] == "env":
        wanted.extend(_started(root, path, shebang, search_path))
    return [item for item in wanted if isinstance(item, Need)], [item for item in wanted if isinstance(item, Missing)]


def env_command(arguments: Sequence[str], search_path: tuple[str, ...]) -> EnvCommand:
    """What `env` does with its arguments if `search_path` is its PATH. Errors: InvalidData where env would refuse them."""
    todo = list(arguments)
    path = search_path
    while todo and todo[0].startswith("-"):
        word = todo.pop(0)
        if word == "--":
            break
        for name, value in _options(word, todo):
            if name == "S":
                todo[:0] = split_string(value, search_path)
            elif name == "i" or (name == "u" and value == "PATH"):
                path = _DEFAULT_PATH
    while todo and "=" in todo[0]:
        name, _, value = todo.pop(0).partition("=")
        path = tuple(value.split(":")) if name == "PATH" else path
    return EnvCommand(todo[0] if todo else "", path)


def split_string(text: str, search_path: tuple[str, ...] = ()) -> list[str]:
    """The words that `env -S` makes of a text. Of variables only PATH is known; others are taken as not set.

    Errors: InvalidData where env would refuse the text.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    position = 0
    while position < len(text):
        kind, value, position = _next(text, position, quote, word is None, search_path)
        if kind == "end":
            break
        if kind == "blank":
            words.extend([] if word is None else [word])
            word = None
        elif kind == "quote":
            quote = "" if quote else value
            word = word or ""
        elif value or kind == "text":
            word = (word or "") + value
    if quote:
        raise InvalidData(f"`env -S {text}`: a quote is not closed")
    return words if word is None else [*words, word]


def _next(text: str, at: int, quote: str, is_start: bool, search_path: tuple[str, ...]) -> tuple[str, str, int]:
    """The next token of a text for `env -S`: its kind (text, variable, quote, blank, end), its value, and where it ends."""
    char, after = text[at], text[at + 1 : at + 2]
    if char == quote or (not quote and char in "'\""):
        return "quote", char, at + 1
    if quote == "'":
        return ("text", after, at + 2) if char == "\\" and after in ("\\", "'") else ("text", char, at + 1)
    if char == "\\":
        return (*_escape(text, after, quote), at + 2)
    if char == "$":
        variable = _VARIABLE.match(text, at)
        if variable is None:
            raise InvalidData(f"`env -S {text}`: only variables in the form ${{NAME}} are replaced")
        return "variable", ":".join(search_path) if variable[1] == "PATH" else "", variable.end()
    if not quote and char in _BLANKS:
        return "blank", "", at + 1
    return ("end" if char == "#" and is_start and not quote else "text", char, at + 1)


def _escape(text: str, char: str, quote: str) -> tuple[str, str]:
    """What a backslash before `char` means, outside of single quotes."""
    if char == "_":
        return ("text", " ") if quote else ("blank", "")
    if char == "c" and not quote:
        return "end", ""
    if char not in _ESCAPES:
        raise InvalidData(f"`env -S {text}`: `\\{char}` is no escape" + (" within double quotes" if char == "c" else ""))
    return "text", _ESCAPES[char]


def _options(word: str, todo: list[str]) -> Iterator[tuple[str, str]]:
    """(letter, value) of the options in one word; a value that is a word of its own is taken out of `todo`."""
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        letters = [letter for letter, long in _LONG.items() if long == name] or ["i"] * (name == "ignore-environment")
        for letter in letters:
            yield letter, value if equals or letter == "i" else _take(word, todo)
        return
    cluster = word[1:] or "i"  # a lone `-` is -i
    for position, letter in enumerate(cluster):
        if letter in _LONG:
            yield letter, cluster[position + 1 :] or _take(word, todo)
            return
        if letter not in _FLAGS:
            raise InvalidData(
                f"`env` has no option `-{letter}`", "in a script's first line, `env -S` splits its argument at blanks"
            )
        yield letter, ""


def _take(word: str, todo: list[str]) -> str:
    if not todo:
        raise InvalidData(f"`env {word}` lacks a value")
    return todo.pop(0)


def _interpreter(root: Root, path: str, shebang: Shebang) -> Need | Missing:
    name = shebang.interpreter
    note = ", with a carriage return at its end" if name.endswith("\r") else ""
    reason = Reason("interpreter", path, f"#!{name} {shebang.argument}".rstrip() + note)
    if not name.startswith("/"):
        return Missing(name, reason, ("the working directory",))
    return Need(name, reason) if _is_file(root, name) else Missing(name, reason)


def _started(root: Root, path: str, shebang: Shebang, search_path: tuple[str, ...]) -> Iterator[Need | Missing]:
    """The program that a script's `env` starts: env's arguments are the line's one, and the script's own path."""
    call = f"{shebang.interpreter} {shebang.argument}".rstrip()
    try:
        command = env_command([*([shebang.argument] if shebang.argument else []), path], search_path)
    except InvalidData as error:
        yield Missing(call, Reason("interpreter", path, error.message))
        return
    if command.program in ("", path):
        return
    reason = Reason("interpreter", path, f"{call}: `{command.program}` on PATH")
    folders = [""] if "/" in command.program else [folder for folder in command.search_path if folder.startswith("/")]
    candidates = [f"{folder}/{command.program}" if folder else command.program for folder in folders]
    found = next((name for name in candidates if name.startswith("/") and _is_file(root, name, 0o111)), None)
    yield Need(found, reason) if found else Missing(command.program, reason, tuple(filter(None, folders)))


def _is_file(root: Root, path: str, mode: int = 0) -> bool:
    """Whether a path leads to a file with one of the bits of `mode`, if there are any."""
    try:
        node = resolve(root, path).node
    except InvalidData:  # a ring of links
        return False
    return node is not None and node.kind == "file" and (not mode or bool(node.mode & mode))
