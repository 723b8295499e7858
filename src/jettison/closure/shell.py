"""What a shell script needs: the programs in command position, the files it sources, and those of its own package that it names.

Words are followed as far as constants go: a variable may have each of the values that the script gives it. What depends on the
day the script runs is not guessed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, product

from jettison.closure import languages, script_text, shell_syntax
from jettison.closure.facts import Finding, Subject
from jettison.closure.kin import Kin
from jettison.closure.resolve import find_program
from jettison.closure.shell_syntax import Command, Part, Script, Word
from jettison.closure.why import Need, Reason, ReasonKind
from jettison.tree.root import Root, lead, normalise

_VALUES_LIMIT = 8
_SOURCED_LIMIT = 64
_NESTED_LIMIT = 8

# bash(1) and POSIX.1-2017, XCU 2.14: what a shell does itself.
_BUILTINS = frozenset(
    "[ : alias bg bind break caller cd compgen complete compopt continue declare dirs disown echo enable exit export false fc fg"
    " getopts hash help history jobs kill let local logout mapfile popd print printf pushd pwd read readarray readonly return set"
    " shift shopt suspend test times true type typeset ulimit umask unalias unset wait".split()
)
# What starts the program that its arguments name, and its options that have a value.
_WRAPPERS = {
    "builtin": "", "chrt": "", "command": "", "env": "uCS", "exec": "a", "ionice": "cn", "nice": "n", "nohup": "",
    "noglob": "", "setsid": "", "stdbuf": "ioe", "time": "fo", "timeout": "ks", "xargs": "aEILPnsd", "unshare": "", "flock": "wE",
}  # fmt: skip
_SHIFTED = {"timeout": 1, "flock": 1}  # operands before the program
_FOLDER_BY_SED = re.compile(r"s(.)/?\[\^/\]\*\$\1\1")  # echo "$0" | sed 's|[^/]*$||'
_FIND_ACTIONS = ("-exec", "-execdir", "-ok", "-okdir")


def needs(subject: Subject, _: str = "shell") -> Iterator[Finding]:
    """What a shell script needs."""
    yield from _Run(subject, subject.path).file(subject.path)


def needs_of_text(subject: Subject, text: str, kind: ReasonKind = "string", by: str = "") -> Iterator[Need]:
    """What `sh -c TEXT` needs, as the file of `subject` starts it."""
    yield from _Run(subject, by or subject.path, kind).text(text)


def operands(base: str, words: Sequence[Word]) -> Sequence[Word]:
    """The command that a wrapper's arguments name, behind its own options and assignments; nothing for other programs."""
    if base not in _WRAPPERS:
        return ()
    with_value, at = _WRAPPERS[base], 0
    while at < len(words):
        text = shell_syntax.literal(words[at])
        if text is None and words[at][0].kind != "text":
            break
        text = text or words[at][0].value
        if base == "command" and text in ("-v", "-V"):
            return ()
        if text.startswith("-"):
            at += 2 if len(text) == 2 and text[1] in with_value else 1
        elif base == "env" and "=" in text:
            at += 1
        else:
            break
    return words[at + _SHIFTED.get(base, 0) :]


class _Run:
    """One script with what it sources: the values that its variables may have, and the functions it defines."""

    def __init__(self, subject: Subject, script: str, kind: ReasonKind = "string") -> None:
        self._root = subject.root
        self._setting = subject.setting
        self._script = script
        self._by = script
        self._kind: ReasonKind = kind
        self._kin: Kin | None = None
        self._functions: set[str] = set()
        self._values: dict[str, list[str]] = {name: [value] for name, value in subject.setting.environment}
        self._values["PATH"] = [":".join(subject.setting.search_path)]
        self._read: set[str] = set()
        self._depth = 0

    def file(self, path: str) -> Iterator[Need]:
        """What the script at `path` needs, and what it sources."""
        found = lead(self._root, path)
        path = found.path if found else path
        if path in self._read or len(self._read) >= _SOURCED_LIMIT:
            return
        self._read.add(path)
        before, self._by = self._by, path
        read = partial(_read, self._root, path)
        yield from self._commands(partial(self._setting.facts.read, "shell", self._root, path, read, shell_syntax.script_of))
        self._by = before

    def text(self, text: str) -> Iterator[Need]:
        """What a text of shell commands needs."""
        yield from self._commands(partial(shell_syntax.read, text))

    def _commands(self, read: Callable[[], Script]) -> Iterator[Need]:
        if self._depth >= _NESTED_LIMIT:
            return
        self._depth += 1
        script = read()
        self._functions.update(script.functions)
        for command in script.commands:
            yield from self._command(command)
        self._depth -= 1

    def _command(self, command: Command) -> Iterator[Need]:
        for name, word in command.assignments:
            self._assign(name, self._texts(word))
        words = command.words
        if words and shell_syntax.literal(words[0]) in ("export", "readonly", "local", "declare", "typeset"):
            for word in words[1:]:
                self._assign_argument(word)
        yield from self._program(words)
        for word in (*words, *command.files, *(value for _, value in command.assignments)):
            yield from self._named_files(word)

    def _assign(self, name: str, texts: Iterable[str]) -> None:
        known = self._values.setdefault(name, [])
        known.extend(text for text in texts if text not in known)
        del known[_VALUES_LIMIT:]

    def _assign_argument(self, word: Word) -> None:
        for text in self._texts(word):
            name, equals, value = text.partition("=")
            if equals and name.isidentifier():
                self._assign(name, [value])

    def _program(self, words: Sequence[Word]) -> Iterator[Need]:
        """The program that a command starts, and those that it starts in turn."""
        if not words:
            return
        for text in self._texts(words[0]):
            name = text if words[0][0].kind == "text" else (text.split() or [""])[0]  # a variable may hold arguments too
            base = name.rpartition("/")[2]
            if name in self._functions or not name:
                continue
            if name in (".", "source"):
                yield from self._sourced(words[1:2])
            elif name in ("eval", "trap"):
                yield from self._evaluated(words[1:] if name == "eval" else words[1:2])
            elif name not in _BUILTINS:
                if name not in ("exec", "command", "builtin", "noglob"):
                    yield from self._started(name)
                yield from self._arguments(base, words[1:])

    def _started(self, name: str) -> Iterator[Need]:
        if "/" in name and not name.startswith("/"):
            return
        for folders in self._values["PATH"]:
            path = find_program(self._root, name, [folder for folder in folders.split(":") if folder.startswith("/")])
            if path:
                yield self._need(path, f"`{name}` in command position")
                return

    def _arguments(self, base: str, words: Sequence[Word]) -> Iterator[Need]:
        """What the arguments of a program name that it will start or read."""
        if base in _WRAPPERS:
            yield from self._program(operands(base, words))
        elif base == "find":
            texts = [shell_syntax.literal(word) for word in words]
            for position, text in enumerate(texts):
                if text in _FIND_ACTIONS:
                    yield from self._program(words[position + 1 :])
        elif languages.of_name(base) == "shell":
            yield from self._shell(words)
        elif languages.of_name(base):
            for text in (text for word in words[:1] for text in self._texts(word)):
                if text.startswith("/") and text != self._script and script_text.is_file(self._root, text):
                    yield self._need(text, f"`{base} {text}`")

    def _shell(self, words: Sequence[Word]) -> Iterator[Need]:
        """`sh -c TEXT`, or `sh FILE`."""
        for position, word in enumerate(words):
            text = shell_syntax.literal(word) or ""
            if text.startswith(("-", "+")) and "c" not in text:
                continue
            if text.startswith("-") and not text.startswith("--"):
                yield from self._evaluated(words[position + 1 : position + 2])
            else:
                yield from self._sourced([word], f"`sh {text}`")
            return

    def _evaluated(self, words: Sequence[Word]) -> Iterator[Need]:
        texts = [shell_syntax.literal(word) for word in words]
        known = [text for text in texts if text is not None]
        if len(known) == len(texts):
            yield from self.text(" ".join(known))
        else:
            for text in {" ".join(choice) for choice in islice(product(*map(self._texts, words)), _VALUES_LIMIT)}:
                yield from self.text(text)

    def _sourced(self, words: Sequence[Word], how: str = "") -> Iterator[Need]:
        """A file that the shell reads itself."""
        for text in (text for word in words for text in self._texts(word)):
            path = self._path(text)
            if path:
                yield Need(path, Reason("import", self._by, how or f"`. {text}`", "likely"))
                yield from self.file(path)

    def _path(self, text: str) -> str:
        """A file by its name in a script: from its own folder where the name is relative, or on PATH as `.` looks for it."""
        folders = [self._script.rpartition("/")[0] or "/"]
        if "/" not in text:
            folders += [folder for value in self._values["PATH"] for folder in value.split(":") if folder.startswith("/")]
        for folder in folders:
            path = normalise(text, folder)
            if text and "\0" not in text and script_text.is_file(self._root, path):
                return path
        return ""

    def _named_files(self, word: Word) -> Iterator[Need]:
        """Files of the script's own package that a word names by an absolute path, or that lie below the folder it names."""
        for text in self._texts(word):
            for part in text.partition("=")[2].split(":") if "=" in text else text.split(":"):
                if part.startswith("/") and part.count("/") > 1:
                    self._kin = self._kin or Kin(self._root, self._setting.packages, self._script)
                    yield from script_text.own_files(self._root, self._kin, part, self._by)

    def _need(self, path: str, detail: str) -> Need:
        return Need(path, Reason(self._kind, self._by, detail, "likely"))

    def _texts(self, word: Word) -> list[str]:
        """What a word may be; nothing where that cannot be known."""
        choices = [self._part(part) for part in word]
        if len(choices) == 1:
            return choices[0]
        return list(dict.fromkeys("".join(choice) for choice in islice(product(*choices), _VALUES_LIMIT)))

    def _part(self, part: Part) -> list[str]:
        if part.kind == "text":
            return [part.value]
        if part.kind == "variable":
            return self._variable(part)
        return self._printed(part.commands) if part.kind == "commands" else []

    def _variable(self, part: Part) -> list[str]:
        is_script = part.value in ("0", "BASH_SOURCE")
        values = [self._by if part.value == "BASH_SOURCE" else self._script] if is_script else self._values.get(part.value, [])
        operator = part.operator.lstrip(":")
        if operator in ("-", "="):
            defaults = self._texts(part.word)
            if operator == "=":
                self._assign(part.value, defaults)
            return [*values, *(text for text in defaults if text not in values)]
        if operator == "+":
            return self._texts(part.word)
        if operator in ("%", "%%", "#", "##"):
            patterns = self._texts(part.word)
            return [_without(value, operator, patterns[0]) for value in values] if patterns else []
        return values if not operator or operator == "?" else []

    def _printed(self, commands: Sequence[Command]) -> list[str]:
        """What commands print that are used to find a script's own folder."""
        if not commands or not commands[-1].words:
            return []
        name = shell_syntax.literal(commands[-1].words[0])
        words = [word for word in commands[-1].words[1:] if not (shell_syntax.literal(word) or "").startswith("-")]
        if name == "pwd" and len(commands) > 1 and len(commands[-2].words) > 1:  # cd FOLDER && pwd
            return [normalise(text) for text in self._texts(commands[-2].words[-1]) if text.startswith("/")]
        texts = self._texts(words[0]) if words else []
        if name in ("readlink", "realpath", "echo"):
            return texts
        if name == "sed" and len(commands) > 1 and _FOLDER_BY_SED.fullmatch("".join(self._texts(commands[-1].words[-1])[:1])):
            return [text[: text.rfind("/") + 1] for text in self._texts(commands[-2].words[-1])]
        if name == "dirname":
            return [text.rstrip("/").rpartition("/")[0] or "/" for text in texts]
        return [text.rpartition("/")[2] for text in texts] if name == "basename" and len(words) == 1 else []


def _read(root: Root, path: str) -> Script:
    return shell_syntax.read(script_text.read(root, path))


def _without(value: str, operator: str, pattern: str) -> str:
    """`${name%pattern}` and its like: a fixed text, or a path's last and first parts."""
    if pattern == "/*" and operator[0] == "%":
        return value.rpartition("/")[0] if operator == "%" else value.partition("/")[0]
    if pattern == "*/" and operator[0] == "#":
        return value.rpartition("/")[2] if operator == "##" else value.partition("/")[2]
    return value.removesuffix(pattern) if operator[0] == "%" else value.removeprefix(pattern)
