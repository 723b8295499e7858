"""What a person sees: a Reporter that writes to stderr."""

import sys
import time
from typing import TextIO

from jettison.cli.flags import Values
from jettison.cli.main import is_coloured, readable


class Terminal:
    """A Reporter for people. Progress is drawn on a terminal only; `quiet` keeps warnings alone."""

    def __init__(self, quiet: bool = False, verbose: bool = False, stream: TextIO = sys.stderr) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._stream = stream
        self._started_s = time.monotonic()
        self._is_terminal = stream.isatty()
        self._colour = is_coloured(stream)
        self._drawn = False

    def step(self, verb: str, subject: str, detail: str = "") -> None:
        if self._quiet:
            return
        elapsed = f"  {time.monotonic() - self._started_s:.2f} s" if self._verbose else ""
        self._write(f"{self._paint('32', verb)}  {readable(f'{subject}  {detail}'.rstrip())}{elapsed}")

    def notice(self, text: str, hint: str = "") -> None:
        self._write(f"{self._paint('33', 'warning')}: {readable(text)}")
        if hint:
            self._write(f"{self._paint('36', 'hint')}: {readable(hint)}")

    def progress(self, what: str, done: int, total: int) -> None:
        if self._quiet or not self._is_terminal:
            return
        share = f"{100 * done // total:3d} %" if total else ""
        self._stream.write(f"\r\033[K{what}  {size(done)}  {share}")
        self._stream.flush()
        self._drawn = True

    def _write(self, line: str) -> None:
        if self._drawn:
            self._stream.write("\r\033[K")
            self._drawn = False
        self._stream.write(line + "\n")
        self._stream.flush()

    def _paint(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text


def reporter(values: Values) -> Terminal:
    """The Reporter that the common flags ask for."""
    return Terminal(values.on("quiet"), values.on("verbose"))


def size(size_bytes: int) -> str:
    """A size as people read it, in powers of ten as docker shows it: `6.1 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def table(rows: list[list[str]], right: tuple[int, ...] = ()) -> str:
    """Rows as aligned columns, the first row their titles; columns in `right` are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{cell:>{w}}" if i in right else f"{cell:<{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"
