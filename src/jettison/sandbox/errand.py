"""An errand in a user namespace: what the files of an image's users need, done as their root."""

import os

from jettison.sandbox.departure import Identity
from jettison.sandbox.operations import Operation
from jettison.sandbox.supervise import attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.sandbox.enter import World


def as_root(what: str, action: "Callable[[], int]") -> int:
    """Do it as root of all users that a world of the caller's has: what `action` gives. It can import nothing.

    Errors: HostError, NotStarted, as of `supervise`.
    """
    answer, answer_writer = os.pipe()
    try:
        attempt([Identity(), _Errand(what, action, answer_writer)], 0)
    finally:
        os.close(answer_writer)
        with open(answer, "rb", 0) as stream:
            said = stream.read()
    return int(said)


class _Errand(Operation):
    def __init__(self, what: str, action: "Callable[[], int]", answer: int) -> None:
        self.what = what
        self.action = action
        self.answer = answer

    def describe(self) -> str:
        return self.what

    def execute(self, world: "World") -> None:
        os.write(self.answer, str(self.action()).encode())
        os._exit(0)
