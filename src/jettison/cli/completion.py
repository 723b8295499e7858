"""jettison completion: a shell's completion script, made from the flags' own tables."""

import shlex
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.main import VERBS
from jettison.errors import UsageError

COMMAND = Command(
    "completion",
    "bash|zsh|fish",
    "Print a completion script for a shell.",
    "jettison completion bash > ~/.local/share/bash-completion/completions/jettison\n"
    "jettison completion zsh > ~/.zfunc/_jettison\n"
    "jettison completion fish > ~/.config/fish/completions/jettison.fish",
)

_IMAGES = """jettison images 2>/dev/null | awk 'NR > 1 { print $1 ":" $2 }'"""

# The word is taken from the line: bash splits `app:1` at the colon, and wants what follows it alone.
_BASH = """\
_jettison() {{
    local line=${{COMP_LINE:0:COMP_POINT}} verb flags= images= candidates=
    local word=${{line##*[[:space:]]}}
    local -a words
    read -ra words <<<"${{line%"$word"}}"
    set -- "${{words[@]:1}}"
    while [[ ${{1-}} == -* ]]; do
        [[ $1 == --store ]] && shift
        shift
    done
    verb=${{1-}}
    case $verb in
        "") candidates={verbs} ;;
{cases}
    esac
    if [[ -n $verb && $word == -* ]]; then
        candidates=$flags
    elif [[ -n $images ]]; then
        candidates=$({list_images})
    fi
    COMPREPLY=($(compgen -W "$candidates" -- "$word"))
    [[ $word == *:* ]] && COMPREPLY=("${{COMPREPLY[@]#"${{word%"${{word##*:}}"}}"}}")
    return 0
}}
complete -o default -F _jettison jettison
"""

_ZSH = """\
#compdef jettison
_jettison() {{
    local -a verbs flags images
    verbs=(
{verbs}
    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    case $words[2] in
{cases}
    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o flag flags
        return
    fi
    compadd -a images
    _files
}}
if [[ $funcstack[1] == _jettison ]]; then
    _jettison "$@"
else
    compdef _jettison jettison
fi
"""


def main(values: Values, rest: list[str]) -> int:
    """Print the script."""
    if len(rest) != 1 or rest[0] not in SHELLS:
        raise UsageError("`jettison completion` needs the name of a shell", f"one of {', '.join(SHELLS)}")
    sys.stdout.write(SHELLS[rest[0]](commands()))
    return 0


def commands() -> list[Command]:
    """The table of every verb, in the order of the help."""
    return [__import__(f"jettison.cli.{verb}", fromlist=["COMMAND"]).COMMAND for verb in VERBS]


def bash(table: list[Command]) -> str:
    """A script that needs nothing but bash 4."""
    cases = [f"        {x.name}) flags={shlex.quote(' '.join(_names(x)))} images={_takes_image(x)} ;;" for x in table]
    return _BASH.format(verbs=shlex.quote(" ".join(VERBS)), cases="\n".join(cases), list_images=_IMAGES)


def zsh(table: list[Command]) -> str:
    """A script for zsh's own completion system, to be sourced or to lie on its fpath."""
    verbs = [f"        {shlex.quote(f'{verb}:{summary}')}" for verb, summary in VERBS.items()]
    return _ZSH.format(verbs="\n".join(verbs), cases="\n".join(map(_zsh_case, table)))


def fish(table: list[Command]) -> str:
    """One `complete` for each verb and flag."""
    lines = [f"function __jettison_images; {_IMAGES}; end"]
    lines += [f"complete -c jettison -n __fish_use_subcommand -f -a {x} -d {_fish_quote(text)}" for x, text in VERBS.items()]
    for command in table:
        here = f"complete -c jettison -n '__fish_seen_subcommand_from {command.name}'"
        lines += [here + _fish_flag(flag) for flag in command.flags]
        if _takes_image(command):
            lines.append(f"{here} -a '(__jettison_images)'")
    return "\n".join(lines) + "\n"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


def _names(command: Command) -> list[str]:
    return [f"--{flag.name}" for flag in command.flags] + [f"-{flag.short}" for flag in command.flags if flag.short]


def _takes_image(command: Command) -> str:
    return "yes" if "IMAGE" in command.usage else ""


def _zsh_case(command: Command) -> str:
    flags = " ".join(shlex.quote(f"--{flag.name}:{flag.help}") for flag in command.flags)
    images = f'images=(${{(f)"$({_IMAGES})"}})' if _takes_image(command) else ""
    return f"        {command.name}) flags=({flags}) {images};;"


def _fish_flag(flag: Flag) -> str:
    short = f" -s {flag.short}" if flag.short else ""
    value = " -r" if flag.metavar else ""
    return f" -l {flag.name}{short}{value} -d {_fish_quote(flag.help)}"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
