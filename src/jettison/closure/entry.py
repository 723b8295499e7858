"""What an image starts: the entry points of a command line, as needs."""

import shlex
from collections.abc import Sequence

from jettison.closure.facts import DEFAULT_PATH
from jettison.closure.resolve import find_program
from jettison.closure.why import Need, Reason
from jettison.tree.root import Root, normalise, resolve

_SHELLS = ("sh", "bash", "dash", "ash", "zsh")


def entries(root: Root, argv: Sequence[str], search_path: Sequence[str] = DEFAULT_PATH, folder: str = "/") -> list[Need]:
    """The program of `argv`, the files its arguments name, and for `sh -c TEXT` the programs that TEXT names."""
    needs: dict[str, Need] = {}
    words = list(argv)
    if len(argv) > 2 and argv[0].rpartition("/")[2] in _SHELLS and argv[1] == "-c":
        words = [argv[0], *_words(argv[2])]
    for position, word in enumerate(words):
        path = find_program(root, word if word.startswith("/") or "/" not in word else normalise(word, folder), search_path)
        if position and not path:
            path = _existing_file(root, word, folder)
        if path:
            detail = "the program that the image starts" if position == 0 else f"`{word}` in the image's command"
            needs.setdefault(path, Need(path, Reason("entry", "", detail, "certain" if position == 0 else "likely")))
    return list(needs.values())


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # an open quote
        return text.split()


def _existing_file(root: Root, word: str, folder: str) -> str:
    """A file that an argument names, as in `python3 app.py`; empty if there is none."""
    if not word or word.startswith("-") or "\0" in word:
        return ""
    path = normalise(word, folder)
    node = resolve(root, path).node
    return path if node is not None and node.kind == "file" else ""
