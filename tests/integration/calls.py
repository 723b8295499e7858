"""What `jettison.run()` does, as functions that fail where it does not. The image `box` has busybox in /bin."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from subprocess import PIPE
from typing import Any

import jettison
from jettison.errors import HostError, JettisonError, NotFound, UsageError

SECRET = "s3cr3t-of-the-tests"
MEBIBYTES_8 = bytes(range(256)) * (8 << 12)


def the_streams_are_those_of_popen() -> None:
    """Texts in, texts out; stdout and stderr apart; the status is the program's."""
    process = jettison.run("box", "sh", "-c", "cat; echo bad >&2; exit 3", stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)

    assert process.communicate("gr\u00fc\u00dfe\n") == ("gr\u00fc\u00dfe\n", "bad\n")
    assert process.returncode == process.wait() == process.poll() == 3
    assert process.args == ["box", "sh", "-c", "cat; echo bad >&2; exit 3"]


def it_is_a_context() -> None:
    """Whose end waits for the program, and closes the streams."""
    with jettison.run("box", "echo", "one", stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"one\n"

    assert process.returncode == 0
    assert process.stdout.closed


def without_stdin_it_reads_nothing() -> None:
    """Not what the caller reads."""
    assert _said("sh", "-c", "cat; echo end") == "end\n"


def a_file_is_a_stream() -> None:
    """In and out."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"b\na\n")
        source.seek(0)
        assert jettison.run("box", "sort", stdin=source, stdout=target).wait() == 0
        target.seek(0)
        assert target.read() == b"a\nb\n"


def much_passes_both_ways() -> None:
    """More than any pipe holds."""
    process = jettison.run("box", "cat", stdin=PIPE, stdout=PIPE)

    assert process.communicate(MEBIBYTES_8)[0] == MEBIBYTES_8


def the_flags_are_those_of_run() -> None:
    """Environment, folders, user, names, limits; a value of several lines too."""
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/file", "w") as stream:
            stream.write("kept")
        said = _said(
            "sh", "-c", 'echo "$A"; cat /v/file; echo; id -u; pwd; hostname; ulimit -n; touch /x || echo no; stat -fc %T /memory',
            env={"A": "one\ntwo"}, volume=[f"{folder}:/v:ro"], user=0, workdir="/srv", hostname="named", ulimit={"nofile": 77},
            read_only=True, tmpfs=["/memory"], stderr=subprocess.DEVNULL,
        )  # fmt: skip

    assert said == "one\ntwo\nkept\n0\n/srv\nnamed\n77\nno\ntmpfs\n"


def time_runs_out() -> None:
    """As for every Popen; the program goes on, and can be ended."""
    process = jettison.run("box", "sleep", "1000")
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired as error:
        assert error.cmd == ["box", "sleep", "1000"]
    else:
        raise AssertionError("it has ended")

    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 128 + 15


def a_signal_reaches_the_program() -> None:
    """Which may do with it as it likes."""
    script = "trap 'echo caught; exit 7' USR1; echo ready; while true; do sleep 0.05; done"
    with jettison.run("box", "sh", "-c", script, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(10)
        assert process.stdout.read() == b"caught\n"

    assert process.returncode == 7


def kill_ends_the_world() -> None:
    """All of it: nobody is left to hold the other end of the pipe."""
    with jettison.run("box", "sh", "-c", "sleep 98731 & echo ready; sleep 98731", stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.stdout.read() == b""

    assert process.returncode == -9
    _until(lambda: not [line for _, line in _files("cmdline") if b"98731" in line])


def twenty_at_once() -> None:
    """From as many threads, each with its own."""
    said: dict[int, str] = {}

    def start(number: int) -> None:
        said[number] = _said("sh", "-c", "echo $N", env={"N": str(number)})

    threads = [threading.Thread(target=start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == {number: f"{number}\n" for number in range(20)}


def nobody_else_sees_the_call() -> None:
    """Secrets are in no command line and no environment, a variable in the program's alone."""
    secret = {"db": b"\0" + SECRET.encode() + b"\xff"}
    with jettison.run(
        "box", "sh", "-c", "cat /run/secrets/db; exec sleep 98732", env={"TOKEN": f"v{SECRET}"}, secret=secret, stdout=PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(len(secret["db"])) == secret["db"]
        _until(lambda: any(line == b"sleep\098732\0" for _, line in _files("cmdline")))
        lines = dict(_files("cmdline"))
        knowing = [pid for pid, text in _files("environ") if SECRET.encode() in text]
        process.kill()

    assert [pid for pid, line in lines.items() if SECRET.encode() in line] == []
    assert {lines[pid] for pid in knowing} <= {b"sleep\098732\0"}


def secrets_come_from_files_too() -> None:
    """By their path; one of bytes may be as large as one of a file."""
    large = os.urandom(1 << 20)
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"of a file")
        file.flush()
        said = _said("sh", "-c", "cd /run/secrets; cat a; stat -c ' %s' b", secret={"a": file.name, "b": large})

    assert said == f"of a file {len(large)}\n"


def errors_are_raised() -> None:
    """By their kinds, before anything has started; a program's own 125 is none."""
    assert isinstance(_error("nothing"), NotFound)
    assert isinstance(_error("box", "true", memory="much"), UsageError)
    assert isinstance(_error("box", "true", network="moon"), UsageError)
    assert isinstance(_error("box", "true", secret={"a": "/nowhere"}), UsageError)
    missing, folder = _error("box", "nowhere"), _error("box", "/bin")
    assert isinstance(missing, jettison.NotStarted) and missing.exit_status == 127 and "nowhere" in missing.message
    assert isinstance(folder, jettison.NotStarted) and folder.exit_status == 126 and folder.hint
    for status in (125, 126, 127):
        assert jettison.run("box", "sh", "-c", f"exit {status}").wait() == status


def what_looks_like_a_flag_is_an_argument() -> None:
    """After the image, and the image itself."""
    assert _said("echo", "--privileged", pathlib.Path("/a")) == "--privileged /a\n"
    assert isinstance(_error("--help"), JettisonError)


def no_folder_and_variable_of_the_caller_is_imported_from() -> None:
    """Where somebody else may write, nothing of theirs is run."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("jettison", "marshal", "sitecustomize", "os", "fcntl"):
            with open(f"{folder}/{name}.py", "w") as stream:
                stream.write("raise SystemExit('imported from the folder')")
        os.chdir(folder)
        os.environ["PYTHONPATH"] = folder
        os.environ["PYTHONSTARTUP"] = f"{folder}/os.py"
        assert _said("echo", "fine") == "fine\n"
        os.chdir("/")


def a_caller_without_streams() -> None:
    """The descriptors 0 and 1 are nobody's then, and no place for the call."""
    os.close(0)
    os.close(1)
    with tempfile.TemporaryFile() as target:
        assert jettison.run("box", "echo", "fine", stdout=target).wait() == 0
        target.seek(0)
        assert target.read() == b"fine\n"


def a_python_that_does_not_start_is_told() -> None:
    """One that is not there, and one that ends at once."""
    sys.executable = "/nowhere/python"
    assert "/nowhere/python" in _error("box", "true").message
    sys.executable = "/bin/false"
    assert isinstance(_error("box", "true"), HostError)


def _said(*arguments: str | pathlib.Path, **options: Any) -> str:
    """What a program of the image says."""
    process = jettison.run("box", *arguments, stdout=PIPE, text=True, **options)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, process.returncode
    return said


def _error(image: str, *arguments: str, **options: Any) -> JettisonError:
    try:
        jettison.run(image, *arguments, **options)
    except JettisonError as error:
        return error
    raise AssertionError("it has started")


def _files(name: str) -> Iterator[tuple[str, bytes]]:
    """A file of each process that this user may look into."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as stream:
                yield pid, stream.read()
        except OSError:
            continue


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
