"""A verb that does one thing to each of several containers: all that can be done, then the errors."""

import sys
from collections.abc import Callable, Sequence

from jettison.cli.main import complain
from jettison.errors import JettisonError, UsageError


def each_container(verb: str, names: Sequence[str], act: Callable[[str], object]) -> int:
    """Do it, and print what each gave; its name where that is nothing. Errors: UsageError where there are no names."""
    if not names:
        raise UsageError(f"`jettison {verb}` needs a container", "`jettison ps -a` lists them")
    errors: list[JettisonError] = []
    for name in names:
        try:
            said = act(name)
            sys.stdout.write(f"{name if said is None else said}\n")
            sys.stdout.flush()
        except JettisonError as error:
            errors.append(error)
    for earlier in errors[:-1]:
        complain(earlier.message, earlier.hint)
    if errors:
        raise errors[-1]
    return 0
