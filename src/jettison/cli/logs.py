"""`jettison logs`."""

import sys
import time
from datetime import UTC, datetime

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.upkeep_flags import seconds, whole
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.logs import logs

COMMAND = Command(
    "logs",
    "[FLAGS] CONTAINER",
    "Print what a detached container has printed, each stream to its own.",
    "jettison logs -f web\njettison logs --since 10m --timestamps web",
    (
        Flag("follow", "go on with what comes, until it ends", short="f"),
        Flag("tail", "the last lines alone", "NUMBER|all", short="n"),
        Flag("timestamps", "begin each line with its time", short="t"),
        Flag("since", "what came after a time, or in the last DURATION", "TIME|DURATION"),
        Flag("until", "what came before it", "TIME|DURATION"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Print it."""
    if len(rest) != 1:
        raise UsageError("`jettison logs` needs one container", "`jettison ps -a` lists them")
    tail = values.text("tail", "all")
    lines = logs(
        open_store(values.text("store") or None),
        rest[0],
        values.on("follow"),
        -1 if tail == "all" else whole("tail", tail),
        *(_stamp(name, values.text(name)) for name in ("since", "until")),
    )
    streams = {b"stdout": sys.stdout.buffer, b"stderr": sys.stderr.buffer}
    is_new = dict.fromkeys(streams, True)
    with_time = values.on("timestamps")
    for line in lines:
        stream = streams.get(line.stream, sys.stdout.buffer)
        stream.write((line.stamp + b" " if with_time and is_new.get(line.stream, True) else b"") + line.text)
        stream.write(b"\n" if line.is_whole else b"")
        is_new[line.stream] = line.is_whole
        if values.on("follow"):
            stream.flush()
    return 0


def _stamp(flag: str, text: str) -> bytes:
    """RFC 3339 with nanoseconds, as the log's lines have it."""
    if not text:
        return b""
    try:
        moment = datetime.fromtimestamp(_seconds_of(flag, text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"`--{flag} {text}` is no time", "as in `10m`, `2026-01-31T12:00:00Z` or `1769860800`") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


def _seconds_of(flag: str, text: str) -> float:
    """Since 1970."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    if text[-1] in "smh":
        return time.time() - seconds(flag, text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()
