"""Shell text → the simple commands in it: the grammar of POSIX.1-2017, XCU 2, and what bash(1) adds to it.

It reads on where a shell would stop with an error, and takes time linear in the text. Words are kept in parts, so that who knows
more, as a variable's value, can say more of them.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

LIMIT_CHARS = 1 << 20
_DEPTH_LIMIT = 40
_ARITHMETIC_LIMIT = 4096

_OPENING = frozenset("if while until for select case {".split())
_CLOSING = frozenset("fi done esac }".split())
_BETWEEN = frozenset("then elif else do ! time coproc".split())
_PLAIN = re.compile(r"[^\s;&|<>()\\'\"$`]+")
_QUOTED = re.compile(r"[^\"\\$`]+")
_BRACED = re.compile(r"[^}\"'\\$`]+")
_PARENTHESIS = re.compile(r"[()]")
_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|&>>|&>|<<<|<<-|<<|<&|<>|>>|>&|>\||[;&|<>()\n]")
_BLANK = re.compile(r"(?:[ \t\r]|\\\n)*(?:#[^\n]*)?")
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9]+|[@*#?$!-]")
_SUBSCRIPT = re.compile(r"\[[^\]]*\]")
_EXPANSION = re.compile(r":?[-=+?]|##?|%%?|[/^,:@]")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:\[[^\]]*\])?\+?=")
_ANSI = re.compile(r"'((?:[^'\\]|\\.)*)'?", re.DOTALL)
_BACKTICK = re.compile(r"((?:[^`\\]|\\.)*)`?", re.DOTALL)


class Part(NamedTuple):
    """Of a word: `text` as it stands; a `variable` by its name, with the `operator` and `word` of `${name%word}`; what `commands`
    print; or something else that only a running shell knows."""

    kind: Literal["text", "variable", "commands", "unknown"]
    value: str = ""
    operator: str = ""
    word: tuple["Part", ...] = ()
    commands: tuple["Command", ...] = ()


Word = tuple[Part, ...]


class Command(NamedTuple):
    """A simple command: `files` are the words of its redirections; `is_certain` where nothing stands before it but commands."""

    words: tuple[Word, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    files: tuple[Word, ...] = ()
    is_certain: bool = False


class Script(NamedTuple):
    """The commands of a text in their order, those of substitutions too, and the names of its functions."""

    commands: tuple[Command, ...]
    functions: tuple[str, ...]


def read(text: str) -> Script:
    """The commands of the first MiB of a shell script."""
    reader = _Reader(text[:LIMIT_CHARS], 0)
    reader.read_all()
    return Script(tuple(reader.commands), tuple(sorted(reader.functions)))


def script_of(values: Sequence[Any]) -> Script:
    """A Script from what it became as JSON."""
    commands, functions = values
    return Script(tuple(map(_command_of, commands)), tuple(functions))


def _command_of(values: Sequence[Any]) -> Command:
    words, assignments, files, is_certain = values
    pairs = tuple((name, _word_of(word)) for name, word in assignments)
    return Command(tuple(map(_word_of, words)), pairs, tuple(map(_word_of, files)), is_certain)


def _word_of(values: Sequence[Any]) -> Word:
    return tuple(
        Part(kind, value, operator, _word_of(word), tuple(map(_command_of, commands)))
        for kind, value, operator, word, commands in values
    )


def literal(word: Word) -> str | None:
    """A word's text; None where a shell would put something else in."""
    return "".join(part.value for part in word) if all(part.kind == "text" for part in word) else None


class _TooDeep(Exception):
    """Substitutions within substitutions beyond reason: what was read until then counts."""


class _Token(NamedTuple):
    """`operator` is set, or it is a word; `source` is how the word is written."""

    operator: str
    word: Word = ()
    source: str = ""


class _Simple:
    """The simple command that is being read."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.assignments: list[tuple[str, Word]] = []
        self.files: list[Word] = []

    @property
    def is_at_start(self) -> bool:
        return not self.words


class _Reader:
    def __init__(self, text: str, depth: int) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.commands: list[Command] = []
        self.functions: set[str] = set()
        self._scans = 2 * len(text)  # how often looking for the end of an arithmetic expression may pass a parenthesis
        self._documents: list[tuple[str, bool, bool]] = []  # delimiter, whether tabs are stripped, whether it is expanded

    def read_all(self) -> None:
        try:
            self.statements(is_nested=False)
        except _TooDeep:
            pass

    def statements(self, is_nested: bool) -> list[Command]:
        """The commands up to the `)` of a substitution, or to the text's end."""
        found: list[Command] = []
        current, opened, connector = _Simple(), list[str](), ""
        while (token := self._token()) is not None:
            if not token.operator:
                if current.is_at_start and self._keyword(token.source, opened):
                    continue
                self._add(current, token)
                continue
            if token.operator[0] in "<>" or token.operator in ("&>", "&>>"):
                self._redirection(current, token.operator)
                continue
            if token.operator == "(" and len(current.words) == 1 and self._skips(")"):
                self.functions.add(literal(current.words[0]) or "")
                current = _Simple()
                continue
            is_certain = not opened and self.depth == 0 and not is_nested and connector not in ("&&", "||")
            self._finish(current, is_certain, found)
            if is_certain and _ends(current):
                return found  # what follows is for another interpreter, or data
            current, connector = _Simple(), token.operator
            if token.operator == ")" and is_nested and "(" not in opened:
                return found
            self._operator(token.operator, opened)
        self._finish(current, not opened and self.depth == 0 and not is_nested and connector not in ("&&", "||"), found)
        return found

    def _finish(self, current: _Simple, is_certain: bool, found: list[Command]) -> None:
        if current.words or current.assignments or current.files:
            command = Command(tuple(current.words), tuple(current.assignments), tuple(current.files), is_certain)
            found.append(command)
            self.commands.append(command)

    def _operator(self, operator: str, opened: list[str]) -> None:
        if operator == "(":
            opened.append("(")
        elif operator == ")":
            _close(opened, "(")
        elif operator in (";;", ";&", ";;&") and "case" in opened:
            _close(opened, "case")
            opened.append("case")
            self._pattern(opened)

    def _keyword(self, source: str, opened: list[str]) -> bool:
        """Whether a word in command position is a keyword; what belongs to it is read."""
        if source in ("for", "select"):
            opened.append(source)
            self._until(("do", "{"), (";", "\n"))
        elif source == "case":
            opened.append("case")
            self._until(("in",), ())
            self._pattern(opened)
        elif source == "function":
            name = self._token()
            self.functions.add(name.source if name else "")
            if self._skips("("):
                self._skips(")")
        elif source == "[[":
            self._until(("]]",), ())
        elif source in _OPENING:
            opened.append(source)
        elif source in _CLOSING:
            _close(opened, "case" if source == "esac" else "")
        else:
            return source in _BETWEEN
        return True

    def _until(self, words: Sequence[str], operators: Sequence[str]) -> None:
        """Read on to one of these words, or operators; what is between is no command."""
        before = self.at
        while (token := self._token()) is not None:
            if token.source in words or token.operator in operators:
                if token.operator == "(":
                    self.at = before
                return
            if token.operator == "(" and self.text.startswith("(", self.at):
                self.at = self._arithmetic_end(self.at) or self.at
            before = self.at

    def _pattern(self, opened: list[str]) -> None:
        """A case's next pattern, up to its `)`, or the case's end."""
        is_first = True
        while (token := self._token()) is not None:
            if is_first and token.source == "esac":
                _close(opened, "case")
                return
            if token.operator == ")":
                return
            is_first = is_first and token.operator in ("\n", ";")
        return

    def _redirection(self, current: _Simple, operator: str) -> None:
        token = self._token()
        if token is None or token.operator:
            return
        if operator in ("<<", "<<-"):
            delimiter = "".join(part.value for part in token.word)
            self._documents.append((delimiter, operator == "<<-", delimiter == token.source))
        elif operator != "<<<":
            current.files.append(token.word)

    def _read_documents(self) -> None:
        """The bodies of the here-documents that the line before named."""
        documents, self._documents = self._documents, []
        for delimiter, has_tabs, is_expanded in documents:
            tabs = r"\t*" if has_tabs else ""
            end = re.compile(f"^{tabs}{re.escape(delimiter)}$", re.MULTILINE).search(self.text, self.at)
            body = self.text[self.at : end.start() if end else len(self.text)]
            self.at = end.end() if end else len(self.text)
            if is_expanded:
                self._inner(body, lambda reader: reader.quoted(""))

    def _add(self, current: _Simple, token: _Token) -> None:
        """A word of a simple command, or an assignment before it."""
        if token.source.isdigit() and self.text[self.at : self.at + 1] in ("<", ">"):
            return
        assignment = _ASSIGNMENT.match(token.source) if current.is_at_start else None
        if assignment is None:
            current.words.append(token.word)
            return
        first, *rest = token.word
        value = (first._replace(value=first.value[assignment.end() :]), *rest)
        if not first.value[assignment.end() :] and not rest and self.text.startswith("(", self.at):
            self.at += 1
            self._until((), (")",))
            value = (Part("unknown"),)
        current.assignments.append((assignment[1], value))

    def _skips(self, char: str) -> bool:
        """Pass `char` if it comes next after blanks."""
        blank = re.compile(r"[ \t]*").match(self.text, self.at)
        at = blank.end() if blank else self.at
        if self.text.startswith(char, at):
            self.at = at + 1
            return True
        return False

    def _token(self) -> _Token | None:
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        if self.at >= len(self.text):
            return None
        if self.text.startswith("((", self.at) and (end := self._arithmetic_end(self.at)):
            self.at = end
            return _Token("", (Part("unknown"),), "((")
        if not self.text.startswith(("<(", ">("), self.at) and (operator := _OPERATOR.match(self.text, self.at)):
            self.at = operator.end()
            if operator[0] == "\n" and self._documents:
                self._read_documents()
            return _Token(operator[0])
        start = self.at
        word = self._word()
        if self.at == start:  # a character of no meaning, as of a binary
            self.at += 1
        return _Token("", word, self.text[start : self.at])

    def _word(self) -> Word:
        parts: list[Part] = []
        while self.at < len(self.text):
            if plain := _PLAIN.match(self.text, self.at):
                self.at = plain.end()
                parts.append(Part("text", plain[0]))
                continue
            char = self.text[self.at]
            if char == "(" and parts and parts[-1].value[-1:] in tuple("?*+@!") and parts[-1].kind == "text":  # bash's extglob
                parts.append(self._skip_group())
            elif self.text.startswith(("<(", ">("), self.at):
                self.at += 1
                parts.append(self._substitution())
            elif char in "\\'\"$`":
                parts.extend(self._special(char))
            else:
                break
        return _joined(parts)

    def _special(self, char: str, is_quoted: bool = False) -> Word:
        """What stands for something else: quotes, a backslash, a substitution."""
        if char == "$":
            return self._dollar()
        self.at += 1
        if char == "`":
            body = _BACKTICK.match(self.text, self.at)
            assert body is not None
            self.at = body.end()
            text = re.sub(r"\\([`$\\])", r"\1", body[1])
            return (Part("commands", commands=tuple(self._inner(text, lambda reader: reader.statements(False)))),)
        if char == '"':
            return (Part("text"), *self.quoted('"'))
        if char == "'":
            end = self.text.find("'", self.at)
            text, self.at = self.text[self.at : end if end >= 0 else None], end + 1 if end >= 0 else len(self.text)
            return (Part("text", text),)
        text = self.text[self.at : self.at + 1]
        self.at += 1
        if is_quoted and text not in tuple('$`"\\\n'):
            text = "\\" + text
        return (Part("text", "" if text == "\n" else text),)

    def quoted(self, end: str) -> Word:
        """Text between double quotes, or of a here-document."""
        parts: list[Part] = []
        while self.at < len(self.text):
            if plain := _QUOTED.match(self.text, self.at):
                self.at = plain.end()
                parts.append(Part("text", plain[0]))
                continue
            char = self.text[self.at]
            if char == '"':
                self.at += 1
                if end:
                    break
                parts.append(Part("text", char))
            else:
                parts.extend(self._special(char, is_quoted=True))
        return _joined(parts)

    def _dollar(self) -> Word:
        following = self.text[self.at + 1 : self.at + 2]
        self.at += 1
        if following == "(":
            end = self._arithmetic_end(self.at) if self.text.startswith("((", self.at) else 0
            if end:
                self.at = end
                return (Part("unknown"),)
            return (self._substitution(),)
        if following == "{":
            return (self._braced(),)
        if following == "'" and (ansi := _ANSI.match(self.text, self.at)):
            self.at = ansi.end()
            escapes = {"n": "\n", "t": "\t", "r": "\r"}
            return (Part("text", re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), ansi[1])),)
        if name := _NAME.match(self.text, self.at):
            self.at = name.end() if not name[0].isdigit() else self.at + 1
            return (Part("variable", self.text[name.start() : self.at]),)
        return (Part("text", "$" if following != '"' else ""),)

    def _braced(self) -> Part:
        """`${name}`, with what may be behind the name."""
        self.at += 1
        if self.text.startswith(("#", "!"), self.at) and not self.text.startswith(("#}", "!}"), self.at):
            self._braced_word()
            return Part("unknown")
        name = _NAME.match(self.text, self.at)
        if name is None:
            self._braced_word()
            return Part("unknown")
        self.at = name.end()
        if subscript := _SUBSCRIPT.match(self.text, self.at):
            self.at = subscript.end()
        operator = _EXPANSION.match(self.text, self.at)
        self.at = operator.end() if operator else self.at
        return Part("variable", name[0], operator[0] if operator else "", self._braced_word())

    def _braced_word(self) -> Word:
        self._deeper()
        parts: list[Part] = []
        while self.at < len(self.text):
            if plain := _BRACED.match(self.text, self.at):
                self.at = plain.end()
                parts.append(Part("text", plain[0]))
                continue
            char = self.text[self.at]
            if char == "}":
                self.at += 1
                break
            parts.extend(self._special(char))
        self.depth -= 1
        return _joined(parts)

    def _substitution(self) -> Part:
        """`(commands)`."""
        self.at += 1
        self._deeper()
        commands = self.statements(is_nested=True)
        self.depth -= 1
        return Part("commands", commands=tuple(commands))

    def _skip_group(self) -> Part:
        """The group of a pattern, as in `@(a|b)`."""
        self.at += 1
        self._deeper()
        self._until((), (")",))
        self.depth -= 1
        return Part("unknown")

    def _arithmetic_end(self, at: int) -> int:
        """Where `((…))` ends; 0 if it is no arithmetic."""
        level = 0
        for found in _PARENTHESIS.finditer(self.text, at, at + _ARITHMETIC_LIMIT):
            self._scans -= 1
            level += 1 if found[0] == "(" else -1
            if level == 0:
                return found.end() if self.text.startswith("))", found.start() - 1) else 0
            if self._scans < 0:
                break
        return 0

    def _inner(self, text: str, read: Callable[["_Reader"], object]) -> list[Command]:
        """What a text within the text holds."""
        self._deeper()
        reader = _Reader(text, self.depth)
        read(reader)
        self.depth -= 1
        self.commands.extend(reader.commands)
        self.functions |= reader.functions
        return reader.commands

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise _TooDeep


def _ends(command: _Simple) -> bool:
    """Whether the shell is gone after a command."""
    name = literal(command.words[0]) if command.words else ""
    return name == "exit" or (name == "exec" and len(command.words) > 1)


def _close(opened: list[str], kind: str) -> None:
    """Close the innermost construct of a kind; without one the innermost that a keyword closes."""
    if kind in opened:
        del opened[len(opened) - 1 - opened[::-1].index(kind) :]
    elif not kind and opened and opened[-1] not in ("(", "case"):
        opened.pop()


def _joined(parts: Sequence[Part]) -> Word:
    """Neighbouring texts as one."""
    joined: list[Part] = []
    for part in parts:
        if joined and part.kind == "text" and joined[-1].kind == "text":
            joined[-1] = part._replace(value=joined[-1].value + part.value)
        else:
            joined.append(part)
    return tuple(joined)
