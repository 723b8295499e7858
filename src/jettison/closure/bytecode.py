"""What was read of our own data files, kept as Python keeps a module's bytecode: beside it, where that may be written.

Parsing the rules takes as long as all the rest of packing a small program.
"""

import importlib.util
import marshal
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any


def kept_or_made(
    files: Sequence[str], fields: tuple[str, ...], make: Callable[[], list[tuple[Any, ...]]]
) -> list[tuple[Any, ...]]:
    """What `make` gives of these files, which is made of plain values; what was kept of them counts while none has changed, and
    the values still have these `fields`.

    What is kept is trusted as bytecode is: who may write it may write our modules. Python's own settings hold for it.
    """
    if sys.implementation.cache_tag is None:  # a Python that keeps no bytecode
        return make()
    path = importlib.util.cache_from_source(os.path.join(os.path.dirname(files[0]), "all.py")) + ".kept"
    stamp = fields, [(os.path.basename(file), status.st_size, status.st_mtime_ns) for file in files for status in [os.stat(file)]]
    with suppress(OSError, ValueError, EOFError, TypeError):
        with open(path, "rb") as stream:
            known, value = marshal.load(stream)
        if known == stamp:
            return list(value)
    made = make()
    if not sys.dont_write_bytecode:
        _keep(path, marshal.dumps((stamp, made)))
    return made


def _keep(path: str, data: bytes) -> None:
    """Whole or not at all; where it cannot be written, it is made anew the next time."""
    temporary = f"{path}.{os.getpid()}"
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "wb") as stream:
            stream.write(data)
        os.replace(temporary, path)
