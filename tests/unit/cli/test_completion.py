"""The completion scripts do in a real shell what they promise."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.cli import completion
from jettison.cli.flags import Command, Flag
from jettison.cli.main import VERBS

TABLE = [
    Command("pack", "APP", "Pack.", "", (Flag("tag", "the image's name", "NAME", short="t"), Flag("bare", "nothing 'but' it"))),
    Command("run", "IMAGE", "Run.", "", (Flag("env", "a variable", "K=V", short="e"),)),
]
LINES = {
    "jettison pa": ["pack"],
    "jettison pack --b": ["--bare"],
    "jettison --store x pack --ta": ["--tag"],
    "jettison run a": ["app:1", "app:2"],
    "jettison run app:": ["1", "2"],
    "jettison run -e A=b app:2": ["2"],
    "jettison run -": ["--env", "--store", "--quiet", "--verbose", "--help", "-e", "-q", "-v", "-h"],
    "jettison nonsense -": [],
}


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_every_verb_and_flag_is_in_the_script(shell: str) -> None:
    """Nothing of the command line is left out."""
    table = completion.commands()
    script = completion.SHELLS[shell](table)

    words = script.replace("'", " ").replace(":", " ").replace(" -l ", " --").split()
    assert [verb for verb in VERBS if verb not in words] == []
    assert [flag.name for command in table for flag in command.flags if f"--{flag.name}" not in words] == []


@pytest.mark.parametrize("line", LINES)
def test_bash_completes_the_line(line: str, tmp_path: Path) -> None:
    """Verbs, a verb's flags, the store's images, with bash's own way with colons."""
    store = "jettison() { printf '%s\\n' 'REPOSITORY TAG' 'app 1 x' 'app 2 y'; }"
    press_tab = "COMP_LINE=$1 COMP_POINT=${#1}; _jettison; echo ${COMPREPLY[*]}"
    program = f"{store}\n{completion.bash(TABLE)}\n{press_tab}"

    done = subprocess.run(["bash", "-uc", program, "bash", line], capture_output=True, text=True, check=True)

    assert (done.stdout.split(), done.stderr) == (LINES[line], "")


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_shell_understands_its_script(shell: str, require: Callable[[str], str], tmp_path: Path) -> None:
    """The shell itself finds no fault in the syntax."""
    script = tmp_path / "script"
    script.write_text(completion.SHELLS[shell](TABLE))

    done = subprocess.run([require(shell), "-n", str(script)], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_fish_completes_the_line(require: Callable[[str], str], tmp_path: Path) -> None:
    """Fish offers a verb's flags, with what they mean."""
    program = f"{completion.fish(TABLE)}\ncomplete -C 'jettison pack --b'"

    said = subprocess.run(
        [require("fish"), "-c", program], capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)}
    ).stdout

    assert said == "--bare\tnothing 'but' it\n"
