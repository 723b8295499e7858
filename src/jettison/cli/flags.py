"""A command's flags as a table, and docker's way of reading them.

`run` starts in the time Python takes to start, so this module imports nothing. Parsing, help and shell completion are made
from the same table.
"""

from jettison.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Flag:
    """`--name VALUE`, or a switch where `metavar` is empty. `repeats`: may be given several times. `also`: docker's other name
    of it, which many scripts have."""

    __slots__ = ("also", "help", "metavar", "name", "repeats", "short")

    def __init__(self, name: str, help: str, metavar: str = "", short: str = "", repeats: bool = False, also: str = "") -> None:
        self.name = name
        self.help = help
        self.metavar = metavar
        self.short = short
        self.repeats = repeats
        self.also = also

    def without_short(self) -> "Flag":
        """The flag by its long name alone: in docker's words `-v` of `run` is a volume."""
        return Flag(self.name, self.help, self.metavar, repeats=self.repeats)


class Command:
    """A verb: `usage` without the verb's name, one line of `summary`, an `example`, its flags.

    `passes_on`: everything after the first argument belongs to the program (docker run's rule).
    """

    __slots__ = ("example", "flags", "name", "passes_on", "summary", "usage")

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        example: str,
        flags: "Sequence[Flag]" = (),
        passes_on: bool = False,
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.example = example
        taken = {flag.short for flag in flags}
        self.flags = (*flags, *(flag if flag.short not in taken else flag.without_short() for flag in COMMON))
        self.passes_on = passes_on


class Values:
    """What was given: each flag's values in order; a switch's are "true" and "false"."""

    __slots__ = ("_given",)

    def __init__(self, given: "dict[str, list[str]]") -> None:
        self._given = given

    def texts(self, name: str) -> "list[str]":
        """All values of a flag, in order."""
        return self._given.get(name, [])

    def text(self, name: str, default: str = "") -> str:
        """The last value of a flag, or the default."""
        return self._given.get(name, [default])[-1]

    def on(self, name: str, default: bool = False) -> bool:
        """A switch's state."""
        return self.text(name, "true" if default else "false") == "true"

    def has(self, name: str) -> bool:
        """Whether the flag was given at all."""
        return name in self._given


COMMON = (
    Flag("store", "the store of this call, instead of $JETTISON_HOME", "DIR"),
    Flag("quiet", "print the answer alone", short="q"),
    Flag("verbose", "say more, with times", short="v"),
    Flag("help", "show this help", short="h"),
)

_BOOLEANS = {"true": "true", "1": "true", "t": "true", "false": "false", "0": "false", "f": "false"}


def parse(command: Command, arguments: "Sequence[str]") -> "tuple[Values, list[str]]":
    """Flags and arguments as docker reads them: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-it`, `--`.

    Errors: UsageError that names the flag.
    """
    by_name = {f"--{flag.name}": flag for flag in command.flags}
    by_name.update({f"--{flag.also}": flag for flag in command.flags if flag.also})
    by_name.update({f"-{flag.short}": flag for flag in reversed(command.flags) if flag.short})  # a verb's own -h comes first
    given: dict[str, list[str]] = {}
    rest: list[str] = []
    todo = list(reversed(arguments))
    while todo:
        word = todo.pop()
        if word == "--":
            rest.extend(reversed(todo))
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            if command.passes_on:
                rest.extend(reversed(todo))
                break
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            name, value = word[:2], word[2:]
            equals = value[:1] if value.startswith("=") else ""
            value = value.removeprefix("=")
        flag = by_name.get(name)
        if flag is None:
            raise _unknown(command, name, by_name)
        if flag.metavar:
            if not equals and not value:
                if not todo:
                    raise UsageError(f"flag `{name}` needs a value: {flag.metavar}", _see(command))
                value = todo.pop()
        elif not word.startswith("--") and not equals and value:  # -it is -i -t
            todo.append("-" + value)
            value = "true"
        elif equals:
            if value.lower() not in _BOOLEANS:
                raise UsageError(f"flag `{name}` is a switch: `{value}` is not true or false", _see(command))
            value = _BOOLEANS[value.lower()]
        else:
            value = "true"
        if flag.repeats:
            given.setdefault(flag.name, []).append(value)
        else:
            given[flag.name] = [value]
    return Values(given), rest


def help_text(command: Command) -> str:
    """The command's help: an example first, then the flags."""
    lines = [command.summary, "", "Example:"]
    lines += [f"  {line}" for line in command.example.splitlines()]
    lines += ["", "Usage:", f"  jettison {command.name} {command.usage}", "", "Flags:"]
    names = [_flag_names(flag) for flag in command.flags]
    width = max(map(len, names))
    lines += [f"  {name:{width}}  {flag.help}" for name, flag in zip(names, command.flags, strict=True)]
    return "\n".join(lines) + "\n"


def _flag_names(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    return f"{short}--{flag.name} {flag.metavar}".rstrip()


def _see(command: Command) -> str:
    return f"see `jettison {command.name} --help`"


def _unknown(command: Command, name: str, by_name: "dict[str, Flag]") -> UsageError:
    from jettison.cli.declined import declined

    reason, instead = declined(command.name, name)
    if reason:
        return UsageError(f"`jettison {command.name}` has no flag `{name}`: {reason}", instead)
    near = sorted(known for known in by_name if known.startswith(name[:4]) and len(name) > 3)
    hint = f"did you mean `{near[0]}`?" if near else _see(command)
    return UsageError(f"`jettison {command.name}` has no flag `{name}`", hint)
