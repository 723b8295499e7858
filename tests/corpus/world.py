"""Where an entry's scripts run: a fresh folder at one path, a clean environment, and nothing left afterwards."""

import contextlib
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from corpus.entry import Entry

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games"
LANG = "C.UTF-8"
TIMEOUT_S = 90.0

# `setup` has the machine's programs and must succeed. All that is left ends with the namespace.
_DRIVER = """\
[ "$(id -u)" != 0 ] || ip link set lo up
cd {work}
{su} /bin/bash -e {base}/setup >{base}/setup.log 2>&1 </dev/null || {{ echo $? > {base}/unprepared; exit 99; }}
PATH={path} {su} {command} </dev/null
"""


class Said(NamedTuple):
    """How a run ended: `problem` is empty where it came to its own end, with `status`; `files` are those to be compared."""

    status: int
    stdout: bytes
    stderr: str
    files: Mapping[str, bytes | None]
    problem: str = ""


class World:
    """A place for one entry: `base` holds its scripts, `work` is the scratch folder; `outside` or `inside` leads PATH,
    and `notes` is for what somebody writes down about it.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.is_root = os.geteuid() == 0
        self.base = Path(tempfile.mkdtemp(prefix="jc.", dir="/tmp"))  # a socket's path has 107 bytes at most
        self.base.chmod(0o755)
        self.work = self.base / "w"
        self.outside, self.inside, self.notes = (self.base / name for name in ("outside", "inside", "notes"))
        for folder in (self.outside, self.inside, self.notes):
            folder.mkdir()
        self.notes.chmod(0o777)
        (self.base / "used").touch()
        (self.base / "used").chmod(0o666)  # its user's shims write there too
        (self.base / "setup").write_text(entry.setup)
        (self.base / "run").write_text(entry.run)

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def user(self) -> pwd.struct_passwd | None:
        """Who runs it, where that is not who runs us."""
        return pwd.getpwnam(self.entry.user) if self.entry.user and self.is_root else None

    @property
    def become(self) -> list[str]:
        """What comes before a command so that the entry's user runs it; setpriv itself starts programs with root's powers."""
        user = self.user
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "/usr/bin/env"] if user else []

    def environment(self) -> dict[str, str]:
        """All that a script gets."""
        return {"PATH": PATH, "HOME": str(self.work), "TZ": "UTC", "LANG": LANG, **self.entry.environment}

    def run(self, is_inside: bool) -> Said:
        """The entry's scripts in an empty folder, with the programs of one side first on PATH."""
        return self.after_setup(["/bin/bash", str(self.base / "run")], f"{self.inside if is_inside else self.outside}:{PATH}")

    def after_setup(self, command: Sequence[str], path: str = PATH) -> Said:
        """The entry's setup in an empty folder, then a command there."""
        self._empty()
        script = _DRIVER.format(
            base=self.base, work=self.work, path=path, su=shlex.join(self.become), command=shlex.join(command)
        )
        (self.base / "driver").write_text(script)
        stdout, stderr = self.base / "stdout", self.base / "stderr"
        with open(stdout, "wb") as out, open(stderr, "wb") as err:
            words = [*self._namespaces(), "bash", str(self.base / "driver")]
            environment = self.environment()
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True
            )
            problem, status = _end(process)
        said = stderr.read_bytes().decode("utf-8", "replace")
        if not problem and (self.base / "unprepared").exists():
            problem, said = "setup failed", (self.base / "setup.log").read_bytes().decode("utf-8", "replace")
        files = {name: _bytes(self.work / name) for name in self.entry.compare}
        return Said(status, stdout.read_bytes(), said, files, problem)

    def _empty(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        (self.base / "unprepared").unlink(missing_ok=True)
        self.work.mkdir()
        if self.user:
            os.chown(self.work, self.user.pw_uid, self.user.pw_gid)

    def _namespaces(self) -> list[str]:
        """A network of nothing but `lo`, so that ports never collide, and a pid namespace whose end ends everything in it."""
        return ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"] if self.is_root else []


def _end(process: "subprocess.Popen[bytes]") -> tuple[str, int]:
    """(problem, status), when all of its session has ended."""
    try:
        return "", process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"no end within {TIMEOUT_S:.0f} s", -1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind has no other group
        process.wait()


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
