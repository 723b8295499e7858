"""A terminal with `jettison run` in it."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

from worlds import World


class Screen:
    """A terminal with `jettison run` in it."""

    def __init__(self, world: World, *arguments: str) -> None:
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.environ["JETTISON_HOME"] = str(world.store)
            command = [*world.jettison.command, "run", *arguments]
            os.execvp(command[0], command)
        self.before = termios.tcgetattr(self.master)
        self.seen = ""

    def wait_for(self, text: str, wait_s: float = 10) -> str:
        """What is on the screen up to a text, from where the last wait ended."""
        until_s = time.monotonic() + wait_s
        while text not in self.seen and time.monotonic() < until_s:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode()
                except OSError:
                    break
        before, found, self.seen = self.seen.partition(text)
        assert found, f"no {text!r} in {before!r}"
        return before

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        assert termios.tcgetattr(self.master) == self.before
        os.close(self.master)
        return status
