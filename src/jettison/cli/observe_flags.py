"""The flags of every verb that runs a program to learn from it."""

from jettison.cli.flags import Flag, Values
from jettison.errors import UsageError

OBSERVE_FLAGS = (
    Flag("observe", "run this under observation, and add what the program touches", "COMMAND", repeats=True),
    Flag("save-observation", "keep what was observed in a file that can be committed", "FILE"),
    Flag("observation", "add what such a file says, and run nothing", "FILE", repeats=True),
    Flag(
        "verify",
        "run this with the original and with the image: no name for one that does something else",
        "COMMAND",
        repeats=True,
    ),
    Flag("fix", "add what `--verify` finds lacking, and try again"),
)


def verification(values: Values) -> tuple[list[str], bool]:
    """The commands to verify with, and whether what is lacking is added: `--fix`, or `--verify=fix` beside a command.

    Errors: UsageError where no command would find it.
    """
    commands = [text for text in values.texts("verify") if text != "fix"]
    fixes = values.on("fix") or "fix" in values.texts("verify")
    if fixes and not commands:
        raise UsageError("`--fix` adds what a verification finds", "give it a command: `--verify 'COMMAND' --fix`")
    return commands, fixes
