"""Slim five fat images, and show that the thin ones behave the same: under docker and under `jettison run`, by the same clients.

.venv/bin/python -m bench.slim [IMAGE ...]    as root; the fat images are built once, and kept below /var/tmp

Prints sizes and ratios (each at most 0.5, their mean at most 0.3) and the time beside that of `skopeo copy` of the same archive.
Client programs of the machine: curl, redis-cli, psql, git, ssh.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench import engines
from bench.engines import INSTALLED
from bench.fat import IMAGES, Fat, built, cache_folder, client_key

CLIENTS = {
    "nginx": """
curl -s http://127.0.0.1:18081/
curl -s -o page -w '%{http_code} %{content_type}\\n' http://127.0.0.1:18081/missing
cat page
""",
    "postgres": """
psql() { command psql -X -h 127.0.0.1 -p 15432 -U postgres -v ON_ERROR_STOP=1 "$@"; }
psql -c "create table t (n int primary key, s text)" -c "insert into t select n, md5(n::text) from generate_series(1, 1000) n"
psql -c "select count(*), min(s) from t" -c "select to_tsvector('english', 'the quick foxes were jumping')"
psql -c "select timestamptz '2024-07-01 12:00 UTC' at time zone 'Europe/Kyiv'" -c "do 'begin raise notice ''plpgsql''; end'" 2>&1
psql -c "create database u template template0 encoding 'UTF8' locale 'C.UTF-8'"
psql -d u -c "select upper('straße' collate \\"de-x-icu\\")" -c "create extension if not exists plpgsql" 2>/dev/null
psql -l -A -t | cut -d'|' -f1
""",
    "flask": """
curl -s 'http://127.0.0.1:18080/'
curl -s 'http://127.0.0.1:18080/?name=%3Cb%3E'
curl -s http://127.0.0.1:18080/json
curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:18080/missing
""",
    "redis": """
redis-cli -p 16379 ping
redis-cli -p 16379 set a 1
redis-cli -p 16379 incr a
redis-cli -p 16379 eval "return redis.call('get', KEYS[1]) .. cjson.encode({1, 2})" 1 a
redis-cli -p 16379 lpush l 1 2 3
redis-cli -p 16379 sort l desc
""",
    "git": """
export GIT_SSH_COMMAND="$SSH"
git clone --quiet git@127.0.0.1:/srv/git/project.git work
cat work/README
cd work
echo more >> README
git -c user.name=a -c user.email=a@b commit --quiet --all -m second
git push --quiet origin HEAD:main
git ls-remote origin | wc -l
git log --format=%s origin/main
$SSH git@127.0.0.1 2>&1 || true
""",
}
SSH_OPTIONS = "-F /dev/null -p 18022 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
READY = {
    "nginx": "curl -sf http://127.0.0.1:18081/",
    "postgres": "psql -X -h 127.0.0.1 -p 15432 -U postgres -c 'select 1'",
    "flask": "curl -sf http://127.0.0.1:18080/",
    "redis": "redis-cli -p 16379 ping | grep PONG",
    "git": "exec 3<>/dev/tcp/127.0.0.1/18022",
}
# `jettison run` gives nobody a capability, so what becomes another user under docker is that user from the start.
UNPRIVILEGED = {
    "nginx": ["-u", "www-data", *(f"--tmpfs={folder}:mode=1777" for folder in ("/var/lib/nginx", "/run", "/var/log/nginx"))],
    "postgres": ["-u", "postgres"],
    "git": ["-u", "git"],
}
LARGEST_RATIO = 0.5
LARGEST_MEAN = 0.3
_WAIT_S = 20


class Result(NamedTuple):
    """What came out for one image: bytes of files before and after, seconds, and where it behaved otherwise."""

    name: str
    fat_bytes: int
    thin_bytes: int
    slim_s: float
    skopeo_s: float
    differences: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return self.thin_bytes / self.fat_bytes


class Said(NamedTuple):
    """What the clients said."""

    status: int
    text: str


def main() -> int:
    """Measure and print; status 1 where something is missed."""
    wanted = [fat for fat in IMAGES if fat.name in sys.argv[1:] or not sys.argv[1:]]
    folder = Path(tempfile.mkdtemp(prefix="jb.", dir="/var/tmp"))
    folder.chmod(0o755)
    os.environ["JETTISON_HOME"] = str(folder / "store")
    try:
        with engines.docker(folder) as docker:
            results = [_measured(fat, docker, folder) for fat in wanted]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    mean = sum(result.ratio for result in results) / len(results)
    print(_table(results, mean))
    good = all(
        result.ratio <= LARGEST_RATIO and result.slim_s <= result.skopeo_s and not result.differences for result in results
    )
    return 0 if good and mean <= LARGEST_MEAN else 1


def _measured(fat: Fat, docker: Sequence[str], folder: Path) -> Result:
    print(f"{fat.name} …", file=sys.stderr)
    archive = built(fat, cache_folder())
    slim_s, said = _timed([INSTALLED, "slim", str(archive), "-t", f"{fat.name}:thin", "--json"])
    copied = folder / "copied"
    skopeo_s, _ = _timed([engines.tool("skopeo"), "--insecure-policy", "copy", f"docker-archive:{archive}", f"oci:{copied}:1"])
    shutil.rmtree(copied)
    _run(INSTALLED, "load", "-q", "-i", str(archive))
    _run(*docker, "load", "-q", "-i", str(archive))
    _run(INSTALLED, "save", f"{fat.name}:thin", "-o", str(folder / "thin.tar"))
    _run(*docker, "load", "-q", "-i", str(folder / "thin.tar"))
    names = {"fat": f"fat-{fat.name}:1", "thin": f"{fat.name}:thin"}
    starts = {
        f"{kind} in {engine}": [*command, name]
        for kind, name in names.items()
        for engine, command in (
            ("docker", [*docker, "run", "--rm", "--network", "host"]),
            ("jettison", [INSTALLED, "run", "--network", "host", *UNPRIVILEGED.get(fat.name, [])]),
        )
    }
    answers = {title: _answers(fat, command, archive, folder) for title, command in starts.items()}
    expected = answers["fat in docker"]
    if expected.status:
        raise RuntimeError(f"the clients fail with the fat {fat.name} in docker: {expected}")
    differences = tuple(f"{title}: {said!r}, expected {expected!r}" for title, said in answers.items() if said != expected)
    weights = json.loads(said)
    return Result(fat.name, weights["from"]["bytes"], weights["bytes"], slim_s, skopeo_s, differences)


def _answers(fat: Fat, command: Sequence[str], archive: Path, folder: Path) -> Said:
    """What the clients say while the image runs."""
    scratch = Path(tempfile.mkdtemp(dir=folder))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "SSH": f"ssh -i {client_key(archive)} {SSH_OPTIONS}",
        "LC_ALL": "C.UTF-8",
    }
    with _running(command, scratch) as log:
        until_s = time.monotonic() + _WAIT_S
        while subprocess.run(["bash", "-c", READY[fat.name]], env=env, capture_output=True, timeout=30).returncode != 0:
            if time.monotonic() > until_s:
                return Said(-1, f"does not answer: {log.read_text()[-1500:]}")
            time.sleep(0.2)
        done = subprocess.run(
            ["bash", "-ec", CLIENTS[fat.name]], cwd=scratch, env=env, capture_output=True, text=True, timeout=120
        )
        return Said(done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr + log.read_text()[-1500:])


@contextmanager
def _running(command: Sequence[str], scratch: Path) -> Iterator[Path]:
    """The image's command, until the clients are done; its output is in the log."""
    log = scratch / "log"
    with open(log, "wb") as stream:
        process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _timed(command: Sequence[str]) -> tuple[float, str]:
    began_s = time.monotonic()
    said = _run(*command)
    return time.monotonic() - began_s, said


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def _table(results: Sequence[Result], mean: float) -> str:
    lines = ["| image | fat MB | thin MB | ratio | slim s | skopeo copy s | behaves the same |", "| --- " * 7 + "|"]
    for result in results:
        sizes = f"{result.fat_bytes / 1e6:.0f} | {result.thin_bytes / 1e6:.1f} | {result.ratio:.3f}"
        same = "yes" if not result.differences else "no"
        lines.append(f"| {result.name} | {sizes} | {result.slim_s:.1f} | {result.skopeo_s:.1f} | {same} |")
    lines.append(f"\nmean ratio {mean:.3f}, at most {LARGEST_MEAN}; each at most {LARGEST_RATIO}")
    return "\n".join([*lines, *(f"\n{result.name}: {text}" for result in results for text in result.differences)])


if __name__ == "__main__":
    raise SystemExit(main())
