"""The runner's side of `jettison.run()`: the call comes through a descriptor, and so does the answer: started, or why not.

What stands in a command line or an environment is seen by others, so neither has anything of the call.
"""

import marshal
import os
import sys

from jettison.cli.flags import parse
from jettison.cli.main import complain, wait_for_children
from jettison.cli.run import COMMAND, call_of
from jettison.errors import InternalError, JettisonError, of_kernel
from jettison.verbs.run import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_LENGTH_BYTES = 4  # as verbs.process reads it; that module costs milliseconds


def main(channel: int) -> "NoReturn":
    """Run what comes through the channel to its end, and end as it does."""
    os.set_inheritable(channel, False)
    wait_for_children()
    answer = _Answer(channel)
    try:
        words, secrets = marshal.loads(_read(channel))
        values, rest = parse(COMMAND, [*_secrets(secrets), *words])
        status = run(call_of(values, rest), values.text("store"), ready=answer.give)
    except JettisonError as error:
        status = answer.refuse(error)
    except KeyboardInterrupt:
        status = 130
    except OSError as error:
        status = answer.refuse(of_kernel(error))
    except Exception as error:
        status = answer.refuse(InternalError(f"internal error: {type(error).__name__}: {error}", "please report it"))
    sys.stderr.flush()
    os._exit(status)


class _Answer:
    """What the caller waits for; once it is given, errors are told as the command line tells them."""

    def __init__(self, channel: int) -> None:
        self._channel = channel

    def give(self, *fields: "str | int") -> None:
        answer = marshal.dumps(fields)
        os.write(self._channel, len(answer).to_bytes(_LENGTH_BYTES, "little") + answer)
        os.close(self._channel)
        self._channel = -1

    def refuse(self, error: JettisonError) -> int:
        if self._channel >= 0:
            self.give(type(error).__name__, error.message, error.hint, error.exit_status)
        else:
            complain(error.message, error.hint)
        return error.exit_status


def _read(channel: int) -> bytes:
    parts = []
    while part := os.read(channel, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _secrets(secrets: "Mapping[str, bytes]") -> "list[str]":
    """Each as a file in memory that only this process has open; the world's child closes it."""
    words = []
    for name, content in secrets.items():
        descriptor = os.memfd_create("secret")
        with open(os.dup(descriptor), "wb") as stream:
            stream.write(content)
        words.append(f"--secret=id={name},src=/proc/self/fd/{descriptor}")
    return words
