"""`jettison exec`: docker exec's flags."""

import os

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.run import environment, workdir
from jettison.errors import UsageError
from jettison.sandbox.supervise import NotStarted
from jettison.verbs.exec import ExecCall, execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = Command(
    "exec",
    "[FLAGS] CONTAINER PROGRAM [ARG...]",
    "Start a further program in a container that runs, with the rights of its first one.",
    "jettison exec -it web sh\njettison exec -e DEBUG=1 web /app/report --today",
    (
        Flag("detach", "do not wait for its end", short="d"),
        Flag("env", "set a variable, or pass one on by its name", "NAME[=VALUE]", short="e", repeats=True),
        Flag("env-file", "read variables from a file", "FILE", repeats=True),
        Flag("interactive", "pass stdin on", short="i"),
        Flag("tty", "give it a terminal", short="t"),
        Flag("user", "whom it runs as, instead of the container's user", "USER[:GROUP]", short="u"),
        Flag("workdir", "where it starts, instead of the container's folder", "FOLDER", short="w"),
    ),
    passes_on=True,
)


def main(values: Values, rest: "Sequence[str]") -> int:
    """Execute, and give the program's status."""
    if len(rest) < 2:
        raise UsageError("`jettison exec` needs a container and a program", "`jettison ps` lists the containers that run")
    is_detached, interactive, terminal = (values.on(name) for name in ("detach", "interactive", "tty"))
    if terminal and interactive and not is_detached and not os.isatty(0):
        raise UsageError("the input device is not a TTY", "without `-t` stdin is passed on as it is")
    call = ExecCall(
        rest[0],
        rest[1:],
        environment(values),
        workdir(values.text("workdir")),
        values.text("user"),
        interactive and not is_detached,
        terminal and not is_detached,
        is_detached,
    )
    try:
        status = execute(call, values.text("store"))
    except NotStarted as error:
        from jettison.cli.main import complain

        complain(error.message, error.hint)
        return error.exit_status
    os._exit(status)  # as `run` does
