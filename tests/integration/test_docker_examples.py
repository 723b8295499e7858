"""docker's own examples give with jettison what they give with docker, or differ as the documentation says."""

import os
import pty
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import peers
from docker_examples import EXAMPLES, HELPERS, Example
from peers import Docker, Jettison

ROWS = [pytest.param(example, id=example.words) for examples in EXAMPLES.values() for example in examples]
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww:x:33:33:www:/var/www:/bin/sh\n"
GROUPS = "root:x:0:\ndaemon:x:1:\naudio:x:29:\nwww:x:33:\n"
PATTERNS = {
    r"\b[0-9a-f]{64}\b": "ID",
    r"\b[0-9a-f]{12}\b": "SHORT-ID",
    r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z": "TIME",
}


class Result(NamedTuple):
    """What somebody sees who runs a script. Of errors only that there are some: the words are each tool's own."""

    status: int
    stdout: str
    complains: bool


class Tool:
    """A tool under the name `docker`, with the images."""

    def __init__(self, folder: Path, line: str) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        command = self._bin / "docker"
        command.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        command.chmod(0o755)

    def run(self, script: str, folder: Path, typed: str | None = None) -> Result:
        """Run a shell's script in a new folder; afterwards no container is left."""
        folder.mkdir()
        path = f"{self._bin}:{os.environ['PATH']}"
        env = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "xterm"}
        command = ["sh", "-c", HELPERS + script]
        try:
            if typed is None:
                done = subprocess.run(command, cwd=folder, env=env, input="", capture_output=True, text=True, timeout=60)
            else:
                done = _at_terminal(command, folder, env, typed)
        finally:
            clean = ["sh", "-c", "docker ps -aq | xargs -r docker rm -f"]
            subprocess.run(clean, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        stdout = done.stdout.replace(str(folder), "FOLDER")
        for pattern, word in PATTERNS.items():
            stdout = re.sub(pattern, word, stdout)
        complaints = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: ")]
        return Result(done.returncode, stdout, bool(complaints))


def _at_terminal(command: list[str], folder: Path, env: dict[str, str], typed: str) -> "subprocess.CompletedProcess[str]":
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    drain = threading.Thread(target=_drain, args=[ours])
    drain.start()
    try:
        return subprocess.run(command, cwd=folder, env=env, stdin=theirs, capture_output=True, text=True, timeout=60)
    finally:
        os.close(theirs)
        drain.join()
        os.close(ours)


def _drain(terminal: int) -> None:
    """Until the other end is closed: what is echoed has to go somewhere."""
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        return


def fill(folder: Path) -> None:
    """A root folder of busybox, with all its names."""
    for name in ("bin", "etc", "tmp", "mnt", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o1777)
    busybox = peers.require("busybox")
    shutil.copy(busybox, folder / "bin/busybox")
    for applet in peers.call([busybox, "--list"]).stdout.split():
        if applet != "busybox":
            (folder / "bin" / applet).symlink_to("busybox")
    for name, text in {"passwd": ACCOUNTS, "group": GROUPS, "shadow": "root:*:19000:0:99999:7:::\n"}.items():
        (folder / "etc" / name).write_text(text)


@pytest.fixture(scope="module")
def tools(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tool, Tool]]:
    """docker and jettison, with the same images."""
    folder = tmp_path_factory.mktemp("examples")
    fill(folder / "root")
    peers.call(["tar", "-C", str(folder / "root"), "-cf", str(folder / "root.tar"), "."])
    docker("import", "--change", 'CMD ["sh"]', str(folder / "root.tar"), "busybox:latest")
    changes = ["--change", 'ENTRYPOINT ["echo", "entry"]', "--change", 'CMD ["default"]']
    docker("import", *changes, str(folder / "root.tar"), "app:latest")
    docker("save", "--output", str(folder / "images.tar"), "busybox:latest", "app:latest")
    jettison = Jettison(folder / "store")
    jettison("load", "--input", str(folder / "images.tar"))
    ours = f"env JETTISON_HOME={folder}/store {' '.join(jettison.command)}"
    yield Tool(folder / "docker", " ".join(docker.command)), Tool(folder / "jettison", ours)
    docker("rmi", "--force", "busybox", "app")


@pytest.mark.parametrize("example", ROWS)
def test_an_example_of_dockers(example: Example, tools: tuple[Tool, Tool], tmp_path: Path) -> None:
    """The same status, output and silence; a difference that is documented is one."""
    expected, actual = (tool.run(example.script, tmp_path / name, example.typed) for name, tool in zip("ab", tools, strict=True))

    assert (actual == expected) is not bool(example.differs), f"docker {expected}\njettison {actual}"


def test_there_are_forty_that_are_the_same() -> None:
    """And they are named but once."""
    words = [example.words for examples in EXAMPLES.values() for example in examples]

    assert len(words) == len(set(words))
    assert sum(not example.differs for examples in EXAMPLES.values() for example in examples) >= 40
