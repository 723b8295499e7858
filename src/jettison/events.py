"""What the library tells its caller while it works. Knows no terminal."""

from typing import Protocol


class Reporter(Protocol):
    """Receives what happens; `cli` renders it on stderr, a test collects it in a list."""

    def step(self, verb: str, subject: str, detail: str = "") -> None:
        """Something was done: `step("packed", "app:latest", "14 files  6.1 MB")`."""

    def notice(self, text: str, hint: str = "") -> None:
        """Something the user should know, and what to do about it."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Long work goes on: `done` of `total` bytes."""


class Silent:
    """A Reporter that says nothing."""

    def step(self, verb: str, subject: str, detail: str = "") -> None:
        pass

    def notice(self, text: str, hint: str = "") -> None:
        pass

    def progress(self, what: str, done: int, total: int) -> None:
        pass


SILENT: Reporter = Silent()
