"""The machine's packages."""

import os
import subprocess
from collections.abc import Sequence


def not_installed(packages: Sequence[str]) -> list[str]:
    """Those of these packages that dpkg does not have installed."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package}\n", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    there = {name.partition(":")[0] for status, name in lines if status == "installed"}
    return [package for package in packages if package not in there]


def install(packages: Sequence[str]) -> None:
    """Install them as root, waiting for whoever holds apt's lock."""
    words = "apt-get -o DPkg::Lock::Timeout=300 -q -y --no-install-recommends install".split()
    subprocess.run(
        [*words, *packages], check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    )


def owner(path: str) -> str:
    """The package that owns a path, by its own name or by where it leads; empty where dpkg knows none.

    dpkg knows a file of merged /usr by the name that its package has for it, which may be without /usr.
    """
    names = [path, os.path.realpath(path)]
    names += [name.removeprefix("/usr") for name in names if name.startswith("/usr/")]
    for name in dict.fromkeys(names):
        done = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if not line.startswith("diversion by")]
        if lines:
            return lines[0].partition(":")[0].partition(",")[0]
    return ""
