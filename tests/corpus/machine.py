"""The machine's packages."""

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
