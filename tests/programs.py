"""Real programs for tests, built on the spot."""

import subprocess
from pathlib import Path

from peers import require

HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'
GREET = 'const char *greeting(void) { return "hello from a library"; }\n'
CALLER = "#include <stdio.h>\nconst char *greeting(void);\nint main(void) { puts(greeting()); return 0; }\n"


def build(folder: Path, name: str, source: str, *options: str) -> Path:
    """Compile a C source to `folder/name` with the system's compiler."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    file = folder / f"{target.name}.c"
    file.write_text(source)
    subprocess.run([require("gcc"), "-O1", "-s", "-o", str(target), str(file), *options], check=True)
    file.unlink()
    return target


def static_hello(folder: Path) -> Path:
    """A static program that prints "hello"."""
    return build(folder, "hello", HELLO, "-static")


def dynamic_hello(folder: Path) -> Path:
    """A program that needs libc alone."""
    return build(folder, "hello", HELLO)


def with_private_library(folder: Path) -> Path:
    """`bin/greet`, which finds `lib/libgreeting.so.1` by `$ORIGIN/../lib`."""
    library = build(folder, "lib/libgreeting.so.1", GREET, "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1")
    return build(folder, "bin/greet", CALLER, str(library), "-Wl,-rpath,$ORIGIN/../lib")
