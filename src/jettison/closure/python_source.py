"""What a Python file says: the modules that it imports, the folders it adds to sys.path, the programs and libraries it starts.

The file is parsed, never executed. Texts are followed as far as constants, names that were given one, and os.path go.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jettison.closure.why import Confidence
from jettison.tree.root import normalise

LIMIT_BYTES = 1 << 20
_DEPTH_LIMIT = 20
_LEAVES = (ast.Name, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)

_STARTS = frozenset(
    "Popen run call check_call check_output create_subprocess_exec execv execve execvp execvpe execlp spawnv spawnvp posix_spawn"
    " posix_spawnp".split()
)
_SHELLS = frozenset("system popen getoutput getstatusoutput create_subprocess_shell".split())
_IMPORTERS = frozenset("import_module __import__ find_spec run_module resolve_name".split())
_LOADERS = frozenset("CDLL PyDLL LoadLibrary dlopen".split())


class Import(NamedTuple):
    """`name` is dotted and absolute or, with its leading dots, relative; `members` are what is asked of it."""

    name: str
    members: tuple[str, ...] = ()
    confidence: Confidence = "certain"


class Source(NamedTuple):
    """What one file says; texts may name anything."""

    imports: tuple[Import, ...] = ()
    folders: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    found_libraries: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


def read(data: bytes, path: str) -> Source:
    """What the file at `path` says; nothing where it is no Python."""
    if len(data) > LIMIT_BYTES:
        return Source()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source()
    reader = _Reader(path)
    try:
        reader.block(tree.body, "certain")
    except RecursionError:
        pass
    return reader.source()


def source_of(values: Sequence[Any]) -> Source:
    """A Source from what it became as JSON."""
    imports, *texts = values
    return Source(tuple(Import(name, tuple(members), sure) for name, members, sure in imports), *map(tuple, texts))


class _Reader:
    def __init__(self, path: str) -> None:
        self.names: dict[str, str] = {"__file__": path, "sys.executable": "python3"}
        self.imports: dict[Import, None] = {}
        self.found: dict[str, dict[str, None]] = {name: {} for name in Source._fields[1:]}

    def source(self) -> Source:
        return Source(tuple(self.imports), **{name: tuple(texts) for name, texts in self.found.items()})

    def block(self, body: Iterable[ast.stmt], confidence: Confidence) -> None:
        for statement in body:
            self._statement(statement, confidence)

    def _statement(self, node: ast.stmt, confidence: Confidence) -> None:
        match node:
            case ast.Import():
                for alias in node.names:
                    self.imports[Import(alias.name, (), confidence)] = None
            case ast.ImportFrom():
                members = tuple(alias.name for alias in node.names)
                self.imports[Import("." * node.level + (node.module or ""), members, confidence)] = None
            case ast.If() if _is_for_types(node.test):
                self.block(node.orelse, confidence)
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                self._expressions(node.test)
                self.block([*node.body, *node.orelse], confidence)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.If() | ast.For() | ast.While() | ast.Try() | ast.TryStar():
                self._inner(node, "likely")
            case ast.ClassDef() | ast.With() | ast.AsyncWith() | ast.AsyncFor() | ast.Match():
                self._inner(node, confidence if isinstance(node, ast.ClassDef | ast.With) else "likely")
            case _:
                self._assign(node)
                self._expressions(node)

    def _inner(self, node: ast.AST, confidence: Confidence) -> None:
        """The statements and the expressions of a compound statement."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child, confidence)
            elif isinstance(child, ast.ExceptHandler | ast.match_case):
                self._inner(child, confidence)
            else:
                self._expressions(child)

    def _assign(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            text = self._text(node.value)
            name = node.targets[0].id
            if text is not None:
                self.names[name] = text
                if name == "__requires__":
                    self._keep("requires", text.partition("=")[0].strip("<>!~ "))

    def _expressions(self, node: ast.AST) -> None:
        todo: list[object] = [node]
        while todo:
            child = todo.pop()
            if isinstance(child, ast.Constant):
                if isinstance(child.value, str) and child.value.startswith("/"):
                    self._keep("texts", child.value)
            elif isinstance(child, ast.AST) and not isinstance(child, _LEAVES):
                if isinstance(child, ast.Call):
                    self._call(child)
                elif isinstance(child, ast.BinOp):
                    self._keep("texts", self._text(child))
                for field in child._fields:
                    value = getattr(child, field)
                    if isinstance(value, list):
                        todo += value[::-1]
                    elif value is not None:
                        todo.append(value)

    def _call(self, call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        texts = [self._text(argument) for argument in call.args[:2]]
        first = texts[0] if texts else None
        if name in _IMPORTERS and first:
            self.imports[Import(first, (), "likely")] = None
        elif name in _LOADERS:
            self._keep("libraries", first)
        elif name == "find_library":
            self._keep("found_libraries", first)
        elif name in _SHELLS:
            self._keep("shells", first)
        elif name in _STARTS and call.args:
            self._starts(call, first)
        elif name in ("insert", "append", "addsitedir") and (name == "addsitedir" or _dotted(call.func).startswith("sys.path.")):
            self._keep("folders", texts[-1] if texts else None)
        elif name == "load_entry_point" or name == "distribution":
            self._keep("requires", (first or "").partition("=")[0])
        elif name == "join":
            self._keep("texts", self._text(call))

    def _starts(self, call: ast.Call, first: str | None) -> None:
        is_shell = any(word.arg == "shell" and getattr(word.value, "value", False) is True for word in call.keywords)
        items = call.args[0].elts if isinstance(call.args[0], ast.List | ast.Tuple) else []
        texts = [self._text(item) for item in items]
        if is_shell:
            self._keep("shells", first or (texts[0] if texts else None))
            return
        self._keep("programs", first or (texts[0] if texts else None))
        if len(texts) > 2 and (texts[0] or "").rpartition("/")[2] in ("sh", "bash") and texts[1] == "-c":
            self._keep("shells", texts[2])

    def _keep(self, what: str, text: str | None) -> None:
        if text and "\0" not in text:
            self.found[what][text] = None

    def _text(self, node: ast.AST, depth: int = 0) -> str | None:
        """The text that an expression gives, where constants say it."""
        if depth > _DEPTH_LIMIT:
            return None
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Attribute(value=value, attr="parent"):
                child = self._text(value, depth + 1)
                return child.rpartition("/")[0] if child else None
            case ast.Attribute():
                return self.names.get(_dotted(node))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _concatenated([self._text(left, depth + 1), self._text(right, depth + 1)])
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return _concatenated([self._text(left, depth + 1), "/", self._text(right, depth + 1)])
            case ast.JoinedStr(values=values):
                return _concatenated([self._text(value, depth + 1) for value in values])
            case ast.FormattedValue(value=value, format_spec=None):
                return self._text(value, depth + 1)
            case ast.Call(func=func, args=arguments) if arguments:
                return self._path(_dotted(func).rpartition(".")[2], [self._text(item, depth + 1) for item in arguments])
        return None

    def _path(self, function: str, texts: list[str | None]) -> str | None:
        known = [text for text in texts if text is not None]
        if len(known) != len(texts):
            return None
        if function == "dirname":
            return known[0].rpartition("/")[0]
        if function in ("abspath", "realpath", "normpath", "resolve"):
            return normalise(known[0]) if known[0].startswith("/") else known[0]
        if function == "join":
            start = max((position for position, text in enumerate(known) if text.startswith("/")), default=0)
            return "/".join(known[start:])
        return known[0] if function in ("Path", "PurePath", "str", "fspath", "expanduser") and len(known) == 1 else None


def _concatenated(texts: list[str | None]) -> str | None:
    known = [text for text in texts if text is not None]
    return "".join(known) if len(known) == len(texts) else None


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_for_types(test: ast.expr) -> bool:
    return _dotted(test).rpartition(".")[2] == "TYPE_CHECKING"
