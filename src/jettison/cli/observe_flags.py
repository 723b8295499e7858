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


def fixes(values: Values) -> bool:
    """Whether what is lacking is added. Errors: UsageError where nothing would find it."""
    if values.on("fix") and not values.has("verify"):
        raise UsageError("`--fix` adds what a verification finds", "give it a command: `--verify 'COMMAND' --fix`")
    return values.on("fix")
