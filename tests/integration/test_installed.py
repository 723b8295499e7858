"""What users install does what the checkout does. CI runs this a second time, for the wheel, by $JETTISON_COMMAND."""

import sys
from pathlib import Path

from peers import Jettison

CHECKOUT = str(Path(sys.executable).parent / "jettison")


def test_a_packed_program_runs(jettison: Jettison, root: None) -> None:
    """pack prints a reference, run takes it and gives what the program gives."""
    reference = jettison("pack", "-q", "echo").strip()

    done = jettison.call("run", reference, "hello")

    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_the_digest_is_the_checkouts(jettison: Jettison, tmp_path: Path) -> None:
    """The same program gives the same image, whichever installation packs it."""
    checkout = Jettison(tmp_path / "other", command=[CHECKOUT])

    digests = [each("inspect", each("pack", "-q", "ls").strip()) for each in (jettison, checkout)]

    assert digests[0] == digests[1]


def test_it_says_what_it_is(jettison: Jettison) -> None:
    """The command is the package's own version."""
    from jettison import __version__

    assert jettison("--version") == f"jettison {__version__}\n"
