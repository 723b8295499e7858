"""Start, join, stop and kill containers for a while, several at once, at random moments; then say what is left of them.

.venv/bin/python -m bench.soak                                   2,000 rounds as who calls; as root with limits
.venv/bin/python -m bench.soak --user ordinary --seed 7          as an ordinary user, in another order

What is killed is any process of ours: runner, init, program, logger, health checker, `exec`, `stop`, `ps` in mid-air.
"""

import argparse
import collections
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench import engines

from jettison.sandbox import cgroups

VARIABLE = "JETTISON_SOAK"  # in the environment of each process of ours, with a value of this soak alone
LONGEST_S = 60.0  # no command takes as long, unless it hangs
SETTLE_S = 5.0  # what the kernel and the last sweeps may take
MOST_RUNNING = 8
NAMES = ("anna", "bert", "cleo", "dora")
PROGRAMS = (
    "sleep 0.1",
    "exit 3",
    "sleep 30 & sleep 30 & wait",
    "while :; do echo line; echo other >&2; sleep 0.01; done",
    "trap '' TERM; sleep 30",
    "trap 'exit 0' TERM; sleep 30 & wait",
    "(sleep 30 &) ; sleep 0.2",
    "echo data >> /data/file; sleep 1",
)
FLAGS = (
    ("--rm",),
    ("--network", "none"),
    ("--volume", "data:/data"),
    ("--volume", "more:/data", "--read-only"),
    ("--tmpfs", "/tmp"),
    ("--restart", "on-failure:3"),
    ("--restart", "always"),
    ("--health-cmd", "true", "--health-interval", "50ms"),
    ("--health-cmd", "sleep 30", "--health-interval", "20ms", "--health-timeout", "100ms"),
    ("--stop-timeout", "1"),
    ("--log-opt", "max-size=4k"),
    ("--log-driver", "none"),
)
LIMITS = (("--memory", "64m"), ("--pids-limit", "30"))
# What another command may have done meanwhile, in the words of the one that comes too late.
EXPECTED = re.compile(
    "there is no container|does not run|has just ended|the name .* is taken|runs$|background process was killed|init was killed"
    "|no image `|has no log|contradict each other"
)


class Client(NamedTuple):
    """`jettison` for one user, with an image `box` that has a shell."""

    command: Sequence[str]
    env: Mapping[str, str]
    store: Path
    has_limits: bool


class Soak:
    """Workers that share containers. `problems` are what no command may say or take."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._seed = seed
        self._mark = f"{os.getpid()}.{time.time_ns()}"
        self._env = {**client.env, VARIABLE: self._mark}
        self._ids: list[str] = []
        self._left = 0
        self._lock = threading.Lock()
        self.counts: collections.Counter[str] = collections.Counter()
        self.problems: collections.Counter[str] = collections.Counter()

    def run(self, rounds: int, workers: int) -> None:
        """All the rounds."""
        self._left = rounds
        threads = [threading.Thread(target=self._work, args=(random.Random(f"{self._seed} {n}"),)) for n in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def clean_up(self) -> list[str]:
        """Remove what is kept, and tell what should not be there then."""
        self._call("ps")
        for container in self._call("ps", "--all", "--quiet", "--no-trunc").split():
            self._call("rm", "--force", container)
        left = [f"ps --all: {line}" for line in self._call("ps", "--all", "--quiet").splitlines()]
        until_s = time.monotonic() + SETTLE_S
        while self._leftovers() and time.monotonic() < until_s:
            time.sleep(0.1)
        left += self._leftovers()
        self._call("prune")
        left += [f"after prune: {path}" for path in sorted((self._client.store / "tmp").iterdir())]
        if self._status("fsck"):
            left.append("fsck finds fault with the store")
        return left

    # Rounds

    def _work(self, numbers: random.Random) -> None:
        while self._take_round():
            try:
                self._round(numbers)
            except Exception as error:  # a worker that ends would make the others' work look like all of it
                self.problems[f"{type(error).__name__}: {error}"] += 1

    def _take_round(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _round(self, numbers: random.Random) -> None:
        process = self._start(numbers) if len(self._ids) < MOST_RUNNING or numbers.random() < 0.3 else None
        for _ in range(numbers.randint(1, 3)):
            time.sleep(numbers.random() ** 2 * 0.3)
            numbers.choice(_ACTIONS)(self, numbers)
        if process:
            self._end(process, numbers)

    def _start(self, numbers: random.Random) -> "subprocess.Popen[str] | None":
        """A container: one in the foreground comes back."""
        choices = FLAGS + LIMITS * self._client.has_limits
        flags = [word for choice in numbers.sample(choices, numbers.randint(0, 4)) for word in choice]
        if numbers.random() < 0.4:
            flags += ["--name", numbers.choice(NAMES)]
        words = [*flags, "--env", VARIABLE, "--entrypoint", "/bin/sh", "box", "-c", numbers.choice(PROGRAMS)]
        if numbers.random() < 0.4:
            self.counts["run"] += 1
            return self._popen("run", *words)
        self._ids += self._call("run", "--detach", *words).split()
        return None

    def _end(self, process: "subprocess.Popen[str]", numbers: random.Random) -> None:
        """Of one in the foreground, kindly or not."""
        process.send_signal(numbers.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]))
        try:
            _, said = process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate(timeout=LONGEST_S)
        self._judge("run", process.returncode, said)

    def _kill_any(self, numbers: random.Random) -> None:
        found = list(self._processes())
        if not found:
            return
        pid = numbers.choice(found)
        self.counts[f"kill -9 of {_kind(pid)}"] += 1
        self._kill(pid)

    def _exec(self, numbers: random.Random) -> None:
        if container := self._some(numbers):
            self._call("exec", container, "/bin/sh", "-c", numbers.choice(["true", "sleep 0.1", "sleep 30 & sleep 0.1"]))

    def _exec_and_kill(self, numbers: random.Random) -> None:
        container = self._some(numbers)
        if not container:
            return
        self.counts["exec, killed"] += 1
        process = self._popen("exec", container, "/bin/sh", "-c", "sleep 30 & sleep 30")
        time.sleep(numbers.random() * 0.2)
        process.kill()
        _, said = process.communicate(timeout=LONGEST_S)
        self._judge("exec", process.returncode, said)

    def _stop(self, numbers: random.Random) -> None:
        if container := self._some(numbers):
            self._call("stop", "--time", numbers.choice("01"), container)

    def _signal(self, numbers: random.Random) -> None:
        if container := self._some(numbers):
            self._call("kill", "--signal", numbers.choice(["TERM", "KILL", "USR1"]), container)

    def _remove(self, numbers: random.Random) -> None:
        if container := self._some(numbers):
            self._call("rm", *numbers.choice([(), ("--force",), ("--force",), ("--force",)]), container)

    def _look(self, numbers: random.Random) -> None:
        self._call("ps", *numbers.choice([(), ("--all",)]))
        if container := self._some(numbers):
            self._call(*numbers.choice([("logs", container), ("inspect", container)]))

    def _some(self, numbers: random.Random) -> str:
        """A container's name or id; it may have gone by now."""
        with self._lock:
            self._ids = self._ids[-3 * MOST_RUNNING :]
            return numbers.choice([*NAMES, *self._ids])

    # Commands

    def _popen(self, *words: str) -> "subprocess.Popen[str]":
        command = [*self._client.command, *words]
        devnull, pipe = subprocess.DEVNULL, subprocess.PIPE
        return subprocess.Popen(command, env=self._env, stdin=devnull, stdout=devnull, stderr=pipe, text=True)

    def _call(self, *words: str) -> str:
        """To its end: what it says."""
        self.counts[words[0]] += 1
        command = [*self._client.command, *words]
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            # No pipes: a container's processes keep them open.
            process = subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
            try:
                process.wait(LONGEST_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.problems[f"{words[0]}: hangs"] += 1
            stdout.seek(0)
            stderr.seek(0)
            self._judge(words[0], process.returncode, stderr.read())
            return stdout.read()

    def _status(self, *words: str) -> int:
        return subprocess.run([*self._client.command, *words], env=self._env, capture_output=True, check=False).returncode

    def _judge(self, verb: str, status: int, said: str) -> None:
        """Errors that nobody expects; a program's own output is no error."""
        if "init_import_site" in said:  # Python's own word for a SIGINT that comes before anything of ours
            return
        errors = [line for line in said.splitlines() if line.startswith("error")] if "Traceback" not in said else [said]
        for line in errors:
            if not EXPECTED.search(line):
                self.problems[f"{verb}: status {status}: {re.sub('[0-9a-f]{12,64}', '<id>', line)}"] += 1

    # What is there

    def _processes(self) -> Iterator[int]:
        """All that are ours, wherever they have gone."""
        wanted = f"{VARIABLE}={self._mark}".encode()
        for name in os.listdir("/proc"):
            if name.isdigit() and wanted in _environment(int(name)):
                yield int(name)

    def _kill(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return
        if f"{VARIABLE}={self._mark}".encode() in _environment(pid):  # so the number is still its own
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)

    def _leftovers(self) -> list[str]:
        store = self._client.store
        left = [f"process {pid}: {_kind(pid)}, {_read(f'/proc/{pid}/stat')[:60]}" for pid in self._processes()]
        for folder in ("containers", "names"):
            left += [f"{folder}: {path.name} {_files(path)}" for path in sorted((store / folder).glob("*"))]
        left += [f"mount: {line}" for line in _read("/proc/self/mountinfo").splitlines() if f"{store}/" in line]
        return left + [f"control group: {path}" for path in own_groups()]


_ACTIONS = (
    *[Soak._kill_any] * 5,
    Soak._exec,
    Soak._exec_and_kill,
    Soak._stop,
    Soak._signal,
    Soak._remove,
    Soak._look,
)


@contextmanager
def apart() -> Iterator[None]:
    """Let root's groups of version 1 lie in groups of this process's own, where nobody else's are."""
    folders = [folder for folder in set(cgroups.own_layout().version1.values()) if os.access(folder, os.W_OK)]
    own = [f"{folder}/soak-{os.getpid()}" for folder in folders]
    for folder in own:
        os.mkdir(folder)
        if os.path.exists(f"{folder}/cpuset.cpus"):
            for file in ("cpuset.cpus", "cpuset.mems"):
                Path(folder, file).write_text(Path(os.path.dirname(folder), file).read_text())
        Path(folder, "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        for folder in own:
            Path(os.path.dirname(folder), "cgroup.procs").write_text(str(os.getpid()))
            for left in [*Path(folder).glob(f"{cgroups.PREFIX}*"), Path(folder)]:
                os.rmdir(left)


def own_groups() -> list[str]:
    """The groups that runs have below this process's."""
    folders = {site.folder for site in cgroups.sites(cgroups.own_layout()).values() if site.folder}
    return sorted(f"{folder}/{name}" for folder in folders for name in os.listdir(folder) if name.startswith(cgroups.PREFIX))


def client(folder: Path, is_ordinary: bool) -> Client:
    """The command with a store in `folder`, and its image."""
    command, env = [engines.INSTALLED], {**os.environ, "JETTISON_HOME": str(folder / "store")}
    if is_ordinary:
        installed, env = engines.ordinary(folder)
        command = [*engines.as_user(), installed]
    pack_box(command, env, folder)
    return Client(command, env, Path(env["JETTISON_HOME"]), has_limits=os.geteuid() == 0 and not is_ordinary)


def pack_box(command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
    """The image of all containers, packed from the machine's busybox."""
    (folder / "sh").symlink_to(engines.tool("busybox"))
    engines.call(command, "pack", engines.tool("busybox"), "--include", f"{folder}/sh:/bin/sh", "--tag", "box", env=dict(env))


def main() -> int:
    """Soak, and print what happened and what is left; status 1 where anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1980)
    parser.add_argument("--user", choices=["caller", "ordinary"], default="caller")
    values = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="jettison-soak.", dir="/var/tmp"))
    folder.chmod(0o755)
    with apart():
        soak = Soak(client(folder, values.user == "ordinary"), values.seed)
        soak.run(values.rounds, values.workers)
        left = soak.clean_up()
        report(soak, left)
    if not left:
        shutil.rmtree(folder)
    return 1 if left or soak.problems else 0


def report(soak: Soak, left: Sequence[str]) -> None:
    """Print what was done, what was said that nobody expects, and what is left."""
    for what, count in [*sorted(soak.counts.items()), *soak.problems.most_common()]:
        print(f"{count:6} {what}")
    print("\n".join(left) or "nothing is left")


def _kind(pid: int) -> str:
    words = _read(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")
    if "jettison" in words[0] and ":" in words[0]:
        return "background process"
    verbs = [word for word in words[1:4] if word in ("run", "exec", "ps", "rm", "stop", "kill", "logs", "inspect")]
    return f"jettison {verbs[0]}" if verbs else words[0] or "nobody"


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _files(folder: Path) -> str:
    names = os.listdir(folder) if folder.is_dir() and not folder.is_symlink() else []
    return " ".join(f"{name}={_read(f'{folder}/{name}')[:300]!r}" for name in names)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    raise SystemExit(main())
