"""Time commands side by side: A B C A B C …, so that whatever else the machine does meets all of them alike."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, NamedTuple


class Row(NamedTuple):
    """What is timed: `commands` one after the other. `before` prepares each round, untimed; `stdout` is what must be said.

    `user` is a uid and gid to run as; 0 stays who we are.
    """

    name: str
    commands: Sequence[Sequence[str]]
    env: Mapping[str, str] | None = None
    before: Callable[[], object] = lambda: None
    stdout: str | None = None
    user: int = 0


class Measured(NamedTuple):
    """A row's times on the clock and on processors, and the most memory that one of its processes held."""

    name: str
    times_s: tuple[float, ...]
    processor_s: tuple[float, ...]
    peak_bytes: int

    @property
    def median_s(self) -> float:
        return statistics.median(self.times_s)


class _Sample(NamedTuple):
    time_s: float
    processor_s: float
    peak_bytes: int


def side_by_side(rows: Sequence[Row], runs: int, warm_ups: int = 1) -> dict[str, Measured]:
    """Every row once a round, `runs` rounds after the warm-ups. Errors: RuntimeError where a command fails or says otherwise."""
    samples: dict[str, list[_Sample]] = {row.name: [] for row in rows}
    for round_number in range(warm_ups + runs):
        for row in rows:
            row.before()
            sample = _once(row)
            if round_number >= warm_ups:
                samples[row.name].append(sample)
    return {name: _measured(name, found) for name, found in samples.items()}


def _measured(name: str, samples: Sequence[_Sample]) -> Measured:
    times, processors, peaks = zip(*samples, strict=True)
    return Measured(name, times, processors, max(peaks))


def _once(row: Row) -> _Sample:
    time_s, processor_s, peak_bytes = 0.0, 0.0, 0
    for command in row.commands:
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            user = {"user": row.user, "group": row.user, "extra_groups": []} if row.user else {}
            start_s = time.perf_counter()
            process = subprocess.Popen(
                command,
                env=row.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                **user,  # type: ignore[call-overload]
            )
            _, status, usage = os.wait4(process.pid, 0)  # the usage is of the process and all that it waited for
            time_s += time.perf_counter() - start_s
            process.returncode = os.waitstatus_to_exitcode(status)
            said = _text(stdout)
            if process.returncode != 0 or (row.stdout is not None and said != row.stdout):
                raise RuntimeError(f"{row.name}: {list(command)}: status {process.returncode}\n{said}{_text(stderr)[-2000:]}")
            processor_s += usage.ru_utime + usage.ru_stime
            peak_bytes = max(peak_bytes, usage.ru_maxrss * 1024)
    return _Sample(time_s, processor_s, peak_bytes)


def _text(stream: BinaryIO) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")
