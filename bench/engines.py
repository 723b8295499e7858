"""The peers, each with storage of its own and no network: what `tests/peers.py` starts, but with their fastest storage driver."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

USER = 12021  # nobody in particular
INSTALLED = os.environ.get("JETTISON_COMMAND", str(Path(sys.executable).parent / "jettison"))


def tool(name: str) -> str:
    """A tool's path, Debian's before any other. Errors: RuntimeError where it is not installed."""
    path = shutil.which(name, path=f"/usr/bin:/usr/sbin:/bin:/sbin:{os.environ['PATH']}")
    if path is None:
        raise RuntimeError(f"no `{name}` on this machine; bench/README.md lists the Debian packages")
    return path


@contextmanager
def docker(folder: Path) -> Iterator[list[str]]:
    """The client's command, while a daemon of our own runs; it ends with us, however we end."""
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    host = f"unix://{folder}/docker.sock"
    options = [f"--{option}={folder}/docker-{place}" for option, place in places.items()]
    options += [f"--host={host}", "--iptables=false", "--ip6tables=false", "--bridge=none"]
    client = [tool("docker"), "--host", host]
    with open(folder / "docker.log", "wb") as log:
        daemon = subprocess.Popen([tool("setpriv"), "--pdeathsig", "TERM", tool("dockerd"), *options], stdout=log, stderr=log)
        try:
            _wait_for(client, daemon, folder / "docker.log")
            yield client
        finally:
            daemon.terminate()
            daemon.wait(60)


def podman(folder: Path) -> list[str]:
    """Podman's command; runc as its runtime, as crun does not start where cgroups are hybrid."""
    limits = "nofile=1024:1024", "nproc=1024:1024"  # the defaults are more than a root without CAP_SYS_RESOURCE may set
    config = folder / "containers.conf"
    config.write_text(f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n")
    options = ["--tmpdir", f"{folder}/podman-tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    command = [tool("podman"), *_storage(folder / "podman"), *options, "--runtime", tool("runc")]
    return ["env", f"CONTAINERS_CONF={config}", *command]


def buildah(folder: Path) -> list[str]:
    """Buildah's command."""
    return [tool("buildah"), *_storage(folder / "buildah")]


def runc_bundle(folder: Path, program: Path) -> Path:
    """A bundle as `runc spec` writes it, with the program as all that is in its root, and a network of its own without links."""
    bundle = folder / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    shutil.copy2(program, bundle / "rootfs")
    subprocess.run([tool("runc"), "spec", "--bundle", str(bundle)], check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": [f"/{program.name}"]}
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def ordinary(folder: Path) -> tuple[str, dict[str, str]]:
    """Our command installed where every user may read it, and an ordinary user's environment."""
    installed = folder / "ordinary"
    call(["/usr/bin/python3", "-m", "venv", "--without-pip", str(installed)])
    library = next(installed.glob("lib/python3*/site-packages"))
    for package in ("jettison", "deflate", "zstandard"):
        shutil.copytree(Path(__import__(package).__file__ or "").parent, library / package)
    command = installed / "bin" / "jettison"
    _, _, program = Path(INSTALLED).read_text().partition("\n")
    command.write_text(f"#!{installed}/bin/python3\n{program}")
    command.chmod(0o755)
    call([f"{installed}/bin/python3", "-m", "compileall", "-q", str(library)])
    home = folder / "home"
    home.mkdir()
    call(["chmod", "-R", "a+rX", str(installed)])
    os.chown(home, USER, USER)
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "JETTISON_HOME": str(home / "store")}
    return str(command), env


def as_user() -> list[str]:
    """What starts a command as the ordinary user."""
    return [tool("setpriv"), "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]


def call(command: Sequence[str], *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run to the end, untimed. Errors: RuntimeError with what it said."""
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join([*command, *arguments])}: status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def _storage(folder: Path) -> list[str]:
    return ["--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver", "overlay"]


def _wait_for(client: Sequence[str], daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    until_s = time.monotonic() + 60
    while subprocess.run([*client, "version"], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > until_s or daemon.poll() is not None:
            raise RuntimeError(f"dockerd does not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)
