"""What the figures were measured on."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping

from bench.engines import tool

import jettison

_VERSIONS = {"docker": "--version", "podman": "--version", "buildah": "--version", "runc": "--version", "bwrap": "--version"}
_VERSIONS |= {"umoci": "--version"}


def facts() -> Mapping[str, str]:
    """Name → fact, for people."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "jettison": jettison.__version__,
        "python": sys.version.split()[0],
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{memory_bytes / (1 << 30):.0f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?"),
        **{name: _version(name, flag) for name, flag in _VERSIONS.items()},
    }


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str, flag: str) -> str:
    try:
        said = subprocess.run([tool(name), flag], capture_output=True, text=True, check=True).stdout
    except RuntimeError:
        return "not installed"
    return said.splitlines()[0].removeprefix(f"{name} version ").removeprefix(f"{name} ")
