"""Why does a program answer otherwise inside? The files that it found outside and did not find inside."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# What every program asks for and does without.
_HARMLESS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/usr/share/locale/",
    "/usr/lib/x86_64-linux-gnu/gconv/",
    "/proc/",
    "/sys/",
    "/dev/",
)
_CALL = re.compile(r'(?:^|\s)\w+\((?:AT_FDCWD, |\d+(?:<[^>]*>)?, )?"((?:[^"\\]|\\.)*)".*= (-?\d+)(?: (E\w+))?')
_SHOWN = 6


def cause_of(outside: Sequence[str], inside: Sequence[str], outside_env: Mapping[str, str], inside_env: Mapping[str, str]) -> str:
    """One line of paths, first asked for first; empty where nothing is missing or there is no strace."""
    if shutil.which("strace") is None:
        return ""
    found = {path for path, is_there in traced(outside, outside_env) if is_there}
    missing = dict.fromkeys(path for path, is_there in traced(inside, inside_env) if not is_there and path in found)
    paths = [path for path in missing if not path.startswith(_HARMLESS)]
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"missing {', '.join(paths[:_SHOWN])}{more}" if paths else ""


def traced(command: Sequence[str], env: Mapping[str, str]) -> list[tuple[str, bool]]:
    """(path, whether it was there) of every system call that names an absolute path, in order."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "trace"
        strace = ["strace", "-f", "-qq", "-s", "4096", "-e", "trace=file", "-e", "signal=none", "-o", str(log)]
        subprocess.run(
            [*strace, *command], env=env, cwd=folder, timeout=120, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return [(path, error != "ENOENT") for path, _, error in _CALL.findall(log.read_text(errors="replace")) if path[:1] == "/"]
