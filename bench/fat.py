"""Five fat images as people make them: a distribution's base, packages by apt, a few lines of one's own. Built once and kept.

They are made by debootstrap and chroot, as root, and written as docker archives by Python's own tarfile.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from bench.engines import tool

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES_ENTRYPOINT = """\
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb -D "$PGDATA" -U postgres --auth=trust >&2
fi
exec "$@"
"""
FLASK_APP = """\
import datetime
import zoneinfo

import flask

app = flask.Flask(__name__)


@app.route("/")
def index():
    return flask.render_template("index.html", name=flask.request.args.get("name", "world"))


@app.route("/json")
def answer():
    day = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Kyiv"))
    return flask.jsonify(answer=42, day=day.isoformat())


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=18080)
"""
FLASK_PAGE = "<h1>Hello, {{ name }}!</h1>\n"
SSHD_CONFIG = """\
Port 18022
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no
UsePAM no
PidFile none
"""
GIT_SETUP = """\
set -e
useradd --system --create-home --home-dir /srv/git --shell /usr/bin/git-shell git
rm -f /etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd /srv/git/.ssh
ssh-keygen -q -t ed25519 -N '' -C client -f /root/client
cat /root/client.pub > /srv/git/.ssh/authorized_keys
git init --quiet --bare --initial-branch=main /srv/git/project.git
git -c safe.directory='*' clone --quiet /srv/git/project.git /root/work
cd /root/work
echo hello > README
git add README
git -c user.name=a -c user.email=a@b commit --quiet -m first
git push --quiet origin HEAD:main
rm -rf /root/work
usermod -p '*' git
chown -R git:git /srv/git
chown git /etc/ssh/ssh_host_ed25519_key
chmod 700 /srv/git/.ssh
"""
FLASK_SETUP = "useradd --uid 1000 --no-create-home app\nchown -R app /app\n"
POSTGRES_SETUP = "mkdir /var/lib/postgresql/data\nchown postgres /var/lib/postgresql/data\n"
NGINX_SETUP = (
    "sed -i 's/listen 80 default_server/listen 127.0.0.1:18081 default_server/; /\\[::\\]/d' /etc/nginx/sites-enabled/default\n"
)


class Fat(NamedTuple):
    """An image: Debian's packages, files of one's own, a script in its root, and its configuration."""

    name: str
    packages: tuple[str, ...]
    config: dict[str, Any]
    files: tuple[tuple[str, str, int], ...] = ()
    setup: str = ""


IMAGES = (
    Fat(
        "nginx",
        ("nginx",),
        {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"},
        setup=NGINX_SETUP,
    ),
    Fat(
        "postgres",
        ("postgresql", "postgresql-client"),
        {
            "Entrypoint": ["docker-entrypoint.sh"],
            "Cmd": ["postgres", "-p", "15432"],
            "Env": [f"PATH={PATH}:/usr/lib/postgresql/15/bin", "PGDATA=/var/lib/postgresql/data"],
            "Volumes": {"/var/lib/postgresql/data": {}},
            "ExposedPorts": {"5432/tcp": {}},
            "StopSignal": "SIGINT",
        },
        (("/usr/local/bin/docker-entrypoint.sh", POSTGRES_ENTRYPOINT, 0o755),),
        POSTGRES_SETUP,
    ),
    Fat(
        "flask",
        ("python3", "python3-flask", "tzdata"),
        {"Cmd": ["python3", "app.py"], "WorkingDir": "/app", "User": "app", "ExposedPorts": {"18080/tcp": {}}},
        (("/app/app.py", FLASK_APP, 0o644), ("/app/templates/index.html", FLASK_PAGE, 0o644)),
        FLASK_SETUP,
    ),
    Fat(
        "redis",
        ("redis-server",),
        {
            "Cmd": ["redis-server", "--protected-mode", "no", "--port", "16379", "--bind", "127.0.0.1", "--save", ""],
            "User": "redis",
            "WorkingDir": "/var/lib/redis",
            "Volumes": {"/var/lib/redis": {}},
        },
    ),
    Fat(
        "git",
        ("git", "openssh-server"),
        {"Cmd": ["/usr/sbin/sshd", "-D", "-e"], "ExposedPorts": {"22/tcp": {}}},
        (("/etc/ssh/sshd_config", SSHD_CONFIG, 0o644),),
        GIT_SETUP,
    ),
)


def cache_folder() -> Path:
    """Where the built ones are kept: outside of the repository, on a disk."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home or "/var/tmp") / "jettison-fat-images"


def built(fat: Fat, folder: Path) -> Path:
    """The docker archive of an image, which is built now if it is not there; its recipe is part of its name."""
    recipe = hashlib.sha256(repr(fat).encode()).hexdigest()[:12]
    archive = folder / f"{fat.name}-{recipe}.tar"
    if not archive.exists():
        root = folder / f"{fat.name}-{recipe}.root"
        shutil.rmtree(root, ignore_errors=True)
        _run("cp", "-a", str(_base(folder)), str(root))
        _install(root, fat)
        if (root / "root/client").exists():
            shutil.move(root / "root/client", client_key(archive))
        _write_archive(root, fat, archive)
        shutil.rmtree(root)
    return archive


def client_key(archive: Path) -> Path:
    """The key that the image with an ssh server lets in."""
    return archive.with_suffix(".key")


def _base(folder: Path) -> Path:
    base = folder / "base"
    if not base.exists():
        folder.mkdir(parents=True, exist_ok=True)
        staging = folder / "base.new"
        shutil.rmtree(staging, ignore_errors=True)
        _run(tool("debootstrap"), "--variant=minbase", "--include=ca-certificates", "bookworm", str(staging))
        staging.rename(base)
    return base


def _install(root: Path, fat: Fat) -> None:
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")  # no service is started while packages are installed
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    install = ["apt-get", "install", "-y", "--no-install-recommends"]
    _run("chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", *install, *fat.packages)
    policy.unlink()
    for name, text, mode in fat.files:
        path = root / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    if fat.setup:
        _run("chroot", str(root), "sh", "-c", fat.setup)
    _run("chroot", str(root), "apt-get", "clean")


def _write_archive(root: Path, fat: Fat, archive: Path) -> None:
    """What `docker save` writes: the layer as a plain tar, a configuration, and manifest.json."""
    layer = archive.with_suffix(".layer")
    _run("tar", "--create", "--file", str(layer), "--numeric-owner", "--sort=name", "--one-file-system", "-C", str(root), ".")
    with open(layer, "rb") as stream:
        diff_id = hashlib.file_digest(stream, "sha256").hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], **fat.config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created_by": f"debootstrap and apt-get install {' '.join(fat.packages)}"}],
    }
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [f"fat-{fat.name}:1"], "Layers": [f"{diff_id}/layer.tar"]}]
    with tarfile.open(archive.with_suffix(".new"), "w") as tar:
        for path, data in ((name, text), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.add(layer, f"{diff_id}/layer.tar")
    layer.unlink()
    archive.with_suffix(".new").rename(archive)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> None:
    """Build them all."""
    for fat in IMAGES:
        print(built(fat, cache_folder()))


if __name__ == "__main__":
    main()
