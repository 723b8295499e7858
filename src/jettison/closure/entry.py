"""What an image starts: the entry points of a command line, as needs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from jettison.closure import languages, python_layout, script_text, shell, shell_syntax
from jettison.closure.facts import DEFAULT_PATH
from jettison.closure.resolve import find_program
from jettison.closure.shell_syntax import Word
from jettison.closure.why import Need, Reason
from jettison.tree.root import Root, normalise

_DEPTH_LIMIT = 4


def entries(root: Root, argv: Sequence[str], search_path: Sequence[str] = DEFAULT_PATH, folder: str = "/") -> list[Need]:
    """The program of `argv`, the files its arguments name, and for `sh -c TEXT` the commands in TEXT."""
    needs: dict[str, Need] = {}
    for words in _commands(tuple(argv), 0):
        for need in _named(root, words, search_path, folder, is_first=not needs):
            needs.setdefault(need.path, need)
    return list(needs.values())


def _commands(argv: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    """A command, and those that it starts in turn: those of a shell's text, and what a wrapper such as `env` is given."""
    if not argv or depth > _DEPTH_LIMIT:
        return
    yield argv
    base = argv[0].rpartition("/")[2]
    inner: list[Sequence[Word]] = [shell.operands(base, [(shell_syntax.Part("text", word),) for word in argv[1:]])]
    if languages.of_name(base) == "shell":
        texts = [text for option, text in pairwise(argv[1:]) if option.startswith("-") and option.endswith("c")]
        inner += [command.words for text in texts[:1] for command in shell_syntax.read(text).commands]
    for words in inner:
        known = [shell_syntax.literal(word) for word in words]
        if known and known[0]:
            yield from _commands(tuple(word or "" for word in known), depth + 1)


def _named(root: Root, words: tuple[str, ...], search_path: Sequence[str], folder: str, is_first: bool) -> Iterator[Need]:
    """The program of one command, and the files that its arguments name."""
    program = find_program(root, words[0] if "/" not in words[0] else normalise(words[0], folder), search_path)
    files = [(word, path) for word in words[1:] for path in _files(root, word, search_path, folder)]
    if program:
        files += [(f"-m {module}", path) for module in _modules(words) for path in _module(root, program, module, folder)]
        scripts = [word for word, _ in files] if languages.of_name(words[0].rpartition("/")[2]) else []
        role = "the program that the image starts" if is_first else f"`{words[0]}` in the image's command"
        detail = f"{languages.WITH_SCRIPT} `{scripts[0]}`, {role}" if scripts else role
        yield Need(program, Reason("entry", "", detail, "certain" if is_first else "likely"))
    for word, path in files:
        yield Need(path, Reason("entry", "", f"`{word}` in the image's command", "likely"))


def _files(root: Root, word: str, search_path: Sequence[str], folder: str) -> list[str]:
    """What an argument names: a file, a program on PATH, or for a server such as gunicorn a module with its object, `app:app`."""
    if not word or word.startswith("-") or "\0" in word:
        return []
    module, colon, _ = word.partition(":")
    names = [normalise(word, folder), *([normalise(module.replace(".", "/") + ".py", folder)] if colon else [])]
    found = [path for path in names if script_text.is_file(root, path)]
    program = find_program(root, word, search_path) if "/" not in word and not found else ""
    return [*found, *([program] if program else [])]


def _modules(words: Sequence[str]) -> list[str]:
    """The module of `python3 -m MODULE`."""
    if languages.of_name(words[0].rpartition("/")[2]) != "python":
        return []
    return [name for option, name in pairwise(words[1:]) if option == "-m"][:1]


def _module(root: Root, program: str, module: str, folder: str) -> list[str]:
    """The file that `python3 -m` runs."""
    found = python_layout.layout(root, program)
    places = [normalise(folder), *(found.path if found else ())]
    names = [f"{place}/{module.replace('.', '/')}{end}" for place in places for end in ("/__main__.py", ".py")]
    return [name for name in names if script_text.is_file(root, name)][:1]
