"""`slim --observe` and `--verify`: what only running tells of a fat image, and the proof that the thin one does the same."""

from pathlib import Path

import pytest

from peers import Jettison

# `cat` of a name that the shell computes: nothing in the image says which file it opens.
COMMAND = 'word=iss; cat "/etc/${word}ue"'


@pytest.fixture
def fat(jettison: Jettison) -> str:
    """A shell with cat and a file that only the arguments name."""
    include = ["--include", "/etc/issue", "--include", "/etc/issue.net", "--include", "/usr/bin/cat"]
    jettison("pack", "-q", "-t", "fat", "/bin/sh", *include)
    return "fat"


def test_what_was_observed_stays(jettison: Jettison, fat: str, root: None) -> None:
    """With its reason; what nobody touched is gone."""
    jettison("slim", fat, "-t", "thin", "--entry", "/usr/bin/cat", "--observe", COMMAND, "-q")

    assert jettison("run", "thin", "-c", COMMAND) == Path("/etc/issue").read_text()
    assert "observed by /usr/bin/cat: opened by" in jettison("why", "thin", "/etc/issue")
    assert jettison.call("why", "thin", "/etc/issue.net").returncode == 1


def test_a_thin_image_that_does_something_else_gets_no_name(jettison: Jettison, fat: str, root: None) -> None:
    """And the report names the file that lacks; with --fix it is added."""
    arguments = ["slim", fat, "-t", "thin", "--entry", "/usr/bin/cat", "--verify", COMMAND]
    failed = jettison.call(*arguments)

    assert failed.returncode == 1
    assert "looked for `/etc/issue`" in failed.stderr
    assert "thin" not in jettison("images", "-q")

    jettison(*arguments, "--fix")
    assert jettison("run", "thin", "-c", COMMAND) == Path("/etc/issue").read_text()


def test_a_saved_observation_gives_the_same_image(jettison: Jettison, fat: str, root: None, tmp_path: Path) -> None:
    """Nothing runs the second time, and an archive serves as well as a name."""
    trace, archive = str(tmp_path / "trace"), str(tmp_path / "fat.tar")
    jettison("save", fat, "-o", archive)
    common = ["--entry", "/usr/bin/cat", "--json"]

    observed = jettison("slim", archive, "-t", "thin", *common, "--observe", COMMAND, "--save-observation", trace)
    loaded = jettison("slim", fat, "-t", "thin", *common, "--observation", trace)

    assert observed == loaded
