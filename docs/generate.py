"""Write docs/reference/ from what the code itself says: the flags' tables, the error tree, the docstrings of the verbs."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from docker_examples import EXAMPLES, UNRUN, Example
from jettison import errors, verbs
from jettison.cli.completion import commands
from jettison.cli.declined import DECLINED
from jettison.cli.flags import COMMON, Command, Flag
from jettison.cli.main import VERBS

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py: `make docs` writes it anew. -->\n"

COMMAND_LINE = """\
# The command line

stdout is the answer and stderr the conversation; `--quiet` leaves the answer alone. Flags are read as docker reads them:
`--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-it` for `-i -t`, and `--` ends them. For `run` and `pack` everything
after the image or the program belongs to the program.

The store is `--store DIR`, else `$JETTISON_HOME`, else `$XDG_DATA_HOME/jettison`, else `~/.local/share/jettison`.

| status | meaning |
| --- | --- |
| 0 | done |
| 1 | not done; the error says whose move it is |
| 2 | the call was not understood |
| 70 | a bug of ours: please report it |
| 125, 126, 127 | `run`: jettison failed first; the program cannot be executed; the program is not there |
| any other | `run`: the program's own, 128+n if signal n ended it |

Every verb has these flags; a short one that the verb has a meaning of its own for is the verb's:

"""

ERRORS = """\
# Errors

Every error is a `jettison.errors.JettisonError`. Its class says whose move it is, `message` what failed on what, `hint` the
next move. The command line prints both and ends with the class's status.

| class | is a | status | meaning |
| --- | --- | --- | --- |
"""

PYTHON = """\
# The Python API

`jettison.run` starts images ([how](../guides/from-python.md)). A verb of the command line is a function in `jettison.verbs`, in a
module of its name. Library code never prints: what happens is told to a `jettison.events.Reporter`, and what fails is raised as
one of the [errors](errors.md), or as `jettison.NotStarted`, a `JettisonError` whose `exit_status` is 125, 126 or 127.
"""

DOCKER = """\
# docker's words

What `docker run`, `exec`, `logs`, `stop`, `kill`, `wait`, `rm`, `ps`, `port` and `inspect` do, jettison's verbs of these names do
with the same flags. The examples below are those of docker's own documentation. A test runs each as a script, once with Debian's
docker and once with jettison under the name `docker`, with the same image, and compares the exit status, the output (but for ids
and times) and whether there was a complaint. A difference that is listed here has to be one.

`-p` and `--network bridge` are not compared, as the docker of the test has no bridge.

Of {count} examples {same} give the same result.
"""

NOT_COMPARED = """
## What is not compared

| example | with jettison |
| --- | --- |
"""

DECLINED_FLAGS = """
## Flags that are declined

Each is an error that says the reason and what to do instead.

| flag | why | instead |
| --- | --- | --- |
"""


def pages() -> dict[str, str]:
    """Every page of the reference, by its file name."""
    return {"command-line.md": command_line(), "docker-run.md": docker_run(), "errors.md": error_tree(), "python.md": python()}


def command_line() -> str:
    """A section a verb."""
    return NOTE + COMMAND_LINE + _flags(COMMON) + "".join(map(_section, commands()))


def docker_run() -> str:
    """A table a matter; then what is not compared, and what is declined."""
    rows = [example for examples in EXAMPLES.values() for example in examples]
    text = NOTE + DOCKER.format(count=len(rows), same=sum(not row.differs for row in rows))
    for title, examples in EXAMPLES.items():
        text += f"\n## {title}\n\n| example | with jettison |\n| --- | --- |\n" + "".join(map(_example, examples))
    text += NOT_COMPARED + "".join(f"| {_code(row.words)} | {_cell(row.why)} |\n" for row in UNRUN) + DECLINED_FLAGS
    flags = [(command, flag, *reason) for command, flags in DECLINED.items() for flag, reason in flags.items()]
    return text + "".join(
        f"| `{command} --{flag}` | {_cell(why)} | {_cell(instead)} |\n" for command, flag, why, instead in flags
    )


def _example(example: Example) -> str:
    return f"| {_code(example.words)} | {_cell(example.differs) or 'the same'} |\n"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def error_tree() -> str:
    """A row a class."""
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.JettisonError)]
    rows = [f"| `{x.__name__}` | `{x.__bases__[0].__name__}` | {x.exit_status} | {inspect.getdoc(x)} |\n" for x in classes]
    return NOTE + ERRORS + "".join(rows)


def python() -> str:
    """A section a public name: those of `jettison` itself, then those of the verbs' modules."""
    folder = Path(verbs.__path__[0])
    files = [file for file in (folder / f"{name}.py" for name in [*VERBS, "bundle"]) if file.exists()]  # some are only commands
    own = "".join(_names(folder / "process.py", "jettison"))
    return NOTE + PYTHON + own + "".join(text for file in files for text in _names(file, f"jettison.verbs.{file.stem}"))


def _section(command: Command) -> str:
    common = {flag.name for flag in COMMON}
    own = [flag for flag in command.flags if flag.name not in common]
    example = "".join(f"$ {line}\n" for line in command.example.splitlines())
    text = f"\n## jettison {command.name}\n\n{command.summary}\n\n```\njettison {command.name} {command.usage}\n```\n"
    return text + f"\n```console\n{example}```\n" + (f"\n{_flags(own)}" if own else "")


def _flags(flags: "list[Flag] | tuple[Flag, ...]") -> str:
    rows = [f"| `{_name(flag)}` | {_cell(flag.help)}{' (may be repeated)' if flag.repeats else ''} |\n" for flag in flags]
    return "| flag | meaning |\n| --- | --- |\n" + "".join(rows)


def _name(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else ""
    return _cell(f"{short}--{flag.name} {flag.metavar}".rstrip())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _names(file: Path, module: str) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not _is_overload(node):
            call = _class(node) if isinstance(node, ast.ClassDef) else _function(node)
            yield f"\n## {module}.{node.name}\n\n```python\n{call}\n```\n\n{ast.get_docstring(node)}\n"


def _is_overload(node: "ast.FunctionDef | ast.ClassDef") -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in node.decorator_list)


def _function(node: ast.FunctionDef) -> str:
    result = f" -> {_annotation(node.returns)}" if node.returns else ""
    return f"{node.name}({_wrapped(_parameters(node.args))}){result}"


def _class(node: ast.ClassDef) -> str:
    """How it is made: by its `__init__`, or the fields of a NamedTuple."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            return f"class {node.name}({_wrapped(_parameters(member.args)[1:])})"
    fields = [ast.unparse(member) for member in node.body if isinstance(member, ast.AnnAssign)]
    return f"class {node.name}({_wrapped(fields)})"


def _parameters(arguments: ast.arguments) -> list[str]:
    required = len(arguments.args) - len(arguments.defaults)
    defaults = [None] * required + arguments.defaults
    pairs = [*zip(arguments.args, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    texts = [_parameter(argument) + (f" = {ast.unparse(default)}" if default else "") for argument, default in pairs]
    stars = [f"*{_parameter(arguments.vararg)}"] if arguments.vararg else ["*"] if arguments.kwonlyargs else []
    texts[len(arguments.args) : len(arguments.args)] = stars
    return texts + ([f"**{_parameter(arguments.kwarg)}"] if arguments.kwarg else [])


def _parameter(argument: ast.arg) -> str:
    return f"{argument.arg}: {_annotation(argument.annotation)}"


def _annotation(node: ast.expr | None) -> str:
    """A quoted one without its quotes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node) if node else ""


def _wrapped(parts: list[str]) -> str:
    line = ", ".join(parts)
    return line if len(line) < 90 else "".join(f"\n    {part}," for part in parts) + "\n"


if __name__ == "__main__":
    for page, text in pages().items():
        (REFERENCE / page).write_text(text)
