"""`jettison.run()`: an image's process, from Python, as subprocess.Popen has it."""

import fcntl
import marshal
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Literal, TypedDict, Unpack, overload

import jettison
from jettison import errors
from jettison.errors import HostError, UsageError
from jettison.sandbox.supervise import NotStarted

# Not this process: a fork of one with threads has their locks, held by nobody. -I: no variable and no folder of the caller's
# decides what is imported. Ours comes from where this one lies; what else lies there comes after the standard library.
_RUNNER = """\
import sys
sys.path.insert(0, sys.argv[1])
import jettison
sys.path.append(sys.path.pop(0))
from jettison.cli.called import main
main(int(sys.argv[2]))
"""

_LENGTH_BYTES = 4  # as cli.called writes it

Stream = int | IO[Any] | None
Path = str | os.PathLike[str]


class Flags(TypedDict, total=False):
    """The flags of `jettison run`, with `_` for `-`. A switch is a bool; what may be repeated is a sequence, or a mapping where
    the flag's value is NAME=VALUE. A Path is a str or an os.PathLike. A secret is its bytes, or the path of a file."""

    env: Mapping[str, str]
    env_file: Sequence[Path]
    volume: Sequence[str]
    mount: Sequence[str]
    tmpfs: Sequence[str]
    secret: Mapping[str, bytes | Path]
    ca: Path
    workdir: str
    user: str | int
    group_add: Sequence[str | int]
    entrypoint: str
    network: Literal["host", "none", "private", "bridge"]
    publish: Sequence[str | int]
    expose: Sequence[str | int]
    hostname: str
    domainname: str
    add_host: Mapping[str, str]
    dns: Sequence[str]
    dns_search: Sequence[str]
    dns_option: Sequence[str]
    read_only: bool
    init: bool
    memory: str | int
    memory_swap: str | int
    memory_reservation: str | int
    memory_swappiness: int
    cpus: str | float
    cpu_shares: int
    cpu_period: int
    cpu_quota: int
    cpuset_cpus: str
    cpuset_mems: str
    pids_limit: int
    ulimit: Mapping[str, str | int]
    oom_score_adj: int
    shm_size: str | int
    sysctl: Mapping[str, str | int]
    limits: Literal["strict", "best-effort"]
    name: str
    label: Mapping[str, str]
    label_file: Sequence[Path]
    annotation: Mapping[str, str]
    cidfile: Path
    restart: str
    stop_signal: str | int
    stop_timeout: int
    health_cmd: str
    health_interval: str
    health_timeout: str
    health_start_period: str
    health_retries: int
    no_healthcheck: bool
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    device: Sequence[str]
    security_opt: Sequence[str]
    platform: str
    store: Path


@overload
def run(
    image: str,
    *arguments: Path,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    text: Literal[False] = False,
    **flags: Unpack[Flags],
) -> subprocess.Popen[bytes]: ...
@overload
def run(
    image: str,
    *arguments: Path,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    text: Literal[True],
    **flags: Unpack[Flags],
) -> subprocess.Popen[str]: ...
def run(
    image: str,
    *arguments: Path,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    text: bool = False,
    **flags: Unpack[Flags],
) -> subprocess.Popen[Any]:
    """Start an image's process in a world of its own, and give it as a subprocess.Popen once its program has started.

    `image`, `arguments` and `flags` are those of `jettison run`. `stdin`, `stdout` and `stderr` are those of subprocess.Popen;
    but without a `stdin` the program reads nothing. With `text` the streams are texts in UTF-8. May be called in any thread.

    `returncode` is the program's own status, or 128+n where signal n ended it. `send_signal()` and `terminate()` reach the
    program; `kill()` ends the process that runs it, and with that all of its world: `returncode` is -9 then. The world does not
    end with the caller, as no child of Popen does.

    Errors, all before the program has started: UsageError, NotFound, InvalidData, HostError; NotStarted with the `exit_status`
    126 or 127 where the image has no such program.
    """
    secrets, words = _laid_out(dict(flags))
    words += ["--interactive"] if stdin is not None else []
    words += ["--", *(_text("an argument", word) for word in (image, *arguments))]
    _require_no_nul(words)
    call = marshal.dumps((words, secrets))
    ours, theirs = _channel()
    with ours:
        process = _start(theirs, stdin=stdin, stdout=stdout, stderr=stderr, text=text, encoding="utf-8" if text else None)
        try:
            answer = _ask(ours, call)
            if answer == b"":
                raise HostError(f"the process that was to run `{image}` ended with status {process.wait()}")
            if fields := marshal.loads(answer):
                raise _error(*fields)
        except BaseException:
            _abandon(process)
            raise
    process.args = [image, *arguments]
    return process


# The call


def _laid_out(flags: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """The secrets that are bytes, and the words of a command line. Errors: TypeError, UsageError."""
    words: list[str] = []
    secrets: dict[str, bytes] = {}
    for keyword, value in flags.items():
        if keyword not in Flags.__annotations__:
            raise TypeError(f"run() got an unexpected keyword argument '{keyword}'")
        if keyword == "secret":
            secrets = {name: bytes(content) for name, content in value.items() if isinstance(content, bytes)}
            value = [f"id={name},src={os.fspath(path)}" for name, path in value.items() if name not in secrets]
        words += [f"--{keyword.replace('_', '-')}={text}" for text in _texts(keyword, value)]
    return secrets, words


def _texts(keyword: str, value: object) -> Iterator[str]:
    """A flag's values as its words on a command line have them; None is no flag."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not name or "=" in name:
                raise UsageError(f"`{keyword}` has the name `{name}`, which nothing can have")
            yield f"{name}={_text(keyword, item)}"
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            yield _text(keyword, item)
    elif value is not None:
        yield _text(keyword, value)


def _text(keyword: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(f"`{keyword}` cannot be of the type {type(value).__name__}")


def _require_no_nul(words: Iterable[str]) -> None:
    if any("\0" in word for word in words):
        raise UsageError("a word of the call has a NUL in it, which no program can be given")


# The process


def _channel() -> tuple[socket.socket, int]:
    """Two ends; theirs lies above the standard streams, also where the caller has closed those."""
    ours, theirs = socket.socketpair()
    with theirs:
        return ours, fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3)


def _start(channel: int, stdin: Stream, **options: Any) -> subprocess.Popen[Any]:
    folder = os.path.dirname(os.path.dirname(os.path.abspath(jettison.__file__)))
    command = [sys.executable, "-I", "-c", _RUNNER, folder, str(channel)]
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL if stdin is None else stdin, pass_fds=[channel], **options)
    except OSError as error:
        raise HostError(f"cannot start the Python `{sys.executable}`: {error.strerror}") from error
    finally:
        os.close(channel)


def _ask(channel: socket.socket, call: bytes) -> bytes:
    """The runner's answer, by its length and no further: who runs beside the program may hold the channel for longer.

    Nothing where the runner ended without one.
    """
    try:
        channel.sendall(call)
        channel.shutdown(socket.SHUT_WR)
        with channel.makefile("rb") as stream:
            return stream.read(int.from_bytes(stream.read(_LENGTH_BYTES), "little"))
    except ConnectionError:
        return b""


def _error(kind: str, message: str, hint: str, status: int) -> errors.JettisonError:
    if kind == NotStarted.__name__:
        return NotStarted(message, hint, status)
    found: errors.JettisonError = getattr(errors, kind)(message, hint)
    return found


def _abandon(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
