"""Other people's tools, as the tests start them: private folders, loopback only, ended by the process that started them."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

MUST_BE_THERE = os.environ.get("JETTISON_REQUIRE_PEERS") == "1"
SOURCE = Path(__file__).parent.parent / "src"

# Where Debian puts what a machine may also have elsewhere, as a client without its engine.
PLACES = {"docker": "/usr/bin/docker"}


def lacking(reason: str) -> None:
    """Skip with the reason; fail where everything must be there."""
    if MUST_BE_THERE:
        pytest.fail(f"{reason} (JETTISON_REQUIRE_PEERS=1)", pytrace=False)
    pytest.skip(reason)


def require(tool: str) -> str:
    """The tool's path; without it the test is skipped, or fails where everything must be there."""
    path = PLACES.get(tool) or shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None or not os.access(path, os.X_OK):
        lacking(f"no `{tool}` on this machine")
    return str(path)


def require_root() -> None:
    """Skip where the test does not run as root, or fail where it must."""
    if os.geteuid() != 0:
        lacking("needs root")


def call(command: Sequence[str], stdin: str = "", env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; whatever its status."""
    return subprocess.run(
        list(command), input=stdin, env=env, capture_output=True, encoding="utf-8", errors="surrogateescape", timeout=300
    )


class Peer:
    """A tool with the arguments that come first in every call."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)

    def call(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Whatever its status."""
        return call([*self.command, *arguments], stdin)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What it says on stdout; the test fails with what it says on stderr."""
        done = self.call(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{' '.join([*self.command, *arguments])}: status {done.returncode}\n{done.stderr}"
        return done.stdout


class Jettison(Peer):
    """The installed command with a store of its own. $JETTISON_COMMAND names another installation of it."""

    def __init__(self, store: Path, prefix: Sequence[str] = (), command: Sequence[str] = ()) -> None:
        installed = os.environ.get("JETTISON_COMMAND", str(Path(sys.executable).parent / "jettison"))
        super().__init__([*prefix, *(command or [installed])])
        self.store = store

    def call(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Whatever its status; `env` is added to this process's environment."""
        return call([*self.command, *arguments], stdin, {**os.environ, "JETTISON_HOME": str(self.store), **(env or {})})


class Docker(Peer):
    """An engine of our own. It is the child of `setpriv --pdeathsig`, so that it ends when the tests end, however they end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jd.", dir="/tmp"))  # a socket's path has 107 bytes at most
        host = f"unix://{self.folder}/sock"
        super().__init__([require("docker"), "--host", host])
        options = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", f"--host={host}"]
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        options += [f"--{option}={self.folder}/{place}" for option, place in places.items()]
        with open(self.folder / "log", "wb") as log:
            command = [require("setpriv"), "--pdeathsig", "TERM", require("dockerd"), *options]
            self._engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()

    def close(self) -> None:
        """End the engine and remove what it left."""
        self._engine.terminate()
        self._engine.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        until_s = time.monotonic() + 60
        while self.call("version").returncode != 0:
            if time.monotonic() > until_s or self._engine.poll() is not None:
                said = (self.folder / "log").read_text()[-2000:]
                self.close()
                lacking(f"dockerd does not start: {said}")
            time.sleep(0.1)


def podman(folder: Path) -> Peer:
    """Podman with a storage of its own. Debian's default runtime, crun, does not start where cgroups are hybrid."""
    options = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp", "--storage-driver", "vfs"]
    options += ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", require("runc")]
    # Its own limits are higher than a root without CAP_SYS_RESOURCE may set.
    limits = "nofile=1024:1024", "nproc=1024:1024"
    folder.mkdir()
    (folder / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n")
    return Peer(["env", f"CONTAINERS_CONF={folder}/containers.conf", require("podman"), *options])


def buildah(folder: Path) -> Peer:
    """Buildah with a storage of its own."""
    options = ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
    return Peer([require("buildah"), *options])


class OrdinaryUser:
    """A user without privileges: this process's own, or for root user 12021, whom no /etc/passwd needs to name.

    Only what lies in `home` is certain to be reachable: the checkout and its Python may lie below /root.
    """

    def __init__(self, home: Path) -> None:
        is_root = os.geteuid() == 0
        self.home = home
        self.uid = 12021 if is_root else os.getuid()
        self.gid = 12021 if is_root else os.getgid()
        variables = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        self.prefix = ["env", "-i", "-C", str(home), *(f"{name}={value}" for name, value in variables.items())]
        if is_root:
            home.chmod(0o755)
            os.chown(home, self.uid, self.gid)
            drop = ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
            self.prefix = [require("setpriv"), f"--reuid={self.uid}", f"--regid={self.gid}", *drop, *self.prefix]

    def call(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in `home`, whatever its status."""
        return call([*self.prefix, *command], stdin)

    def give(self, path: Path) -> Path:
        """Make a file or folder the user's own."""
        for each in [path, *path.rglob("*")]:
            os.chown(each, self.uid, self.gid, follow_symlinks=False)
        return path

    def require_user_namespaces(self) -> None:
        """Skip, or fail, where this machine does not let them make one."""
        refused = self.call(require("unshare"), "--user", "--map-root-user", "true")
        if refused.returncode != 0:
            lacking(f"ordinary users may not make user namespaces here: {refused.stderr.strip()}")

    def jettison(self, packages: Path) -> Jettison:
        """The command as this user, with a store in `home`; `packages` is what `readable_packages` made."""
        same_version = f"/usr/bin/python3.{sys.version_info.minor}"
        pythons = [os.path.realpath(sys.executable), same_version]
        python = next((path for path in pythons if self.call(path, "-c", "").returncode == 0), "")
        if not python:
            lacking(f"ordinary users may read neither {pythons[0]} nor {same_version}")
        store = self.home / "store"
        return Jettison(store, self.prefix, [f"JETTISON_HOME={store}", f"PYTHONPATH={packages}", python, "-m", "jettison"])


def readable_packages(folder: Path) -> Path:
    """Copies of jettison and its libraries that every user may read, wherever the originals lie."""
    libraries = Path(sysconfig.get_path("purelib"))
    for package in (SOURCE / "jettison", libraries / "deflate", libraries / "zstandard"):
        shutil.copytree(package, folder / package.name)
    call([sys.executable, "-m", "compileall", "-q", str(folder)])
    call(["chmod", "-R", "a+rX", str(folder)])
    return folder
