"""Real programs, packed with no hint, do inside what they do outside: the week's third of them, or what $JETTISON_CORPUS says."""

import datetime
from pathlib import Path

import pytest

from corpus.entry import InvalidEntry, chosen, entries, read
from corpus.judge import judge
from corpus.machine import not_installed
from peers import lacking


@pytest.mark.parametrize("name", [entry.name for entry in chosen()])
def test_a_program_of_the_corpus_works(root: None, name: str) -> None:
    """Status, stdout and the files it writes are the same."""
    [entry] = chosen(name)
    absent = not_installed(entry.packages)
    if absent:
        lacking(f"not installed: {', '.join(absent)}")

    verdict = judge(entry)

    assert not verdict.problem, "\n".join([verdict.problem, *verdict.causes, verdict.detail])


def test_three_weeks_judge_all_of_it() -> None:
    """Each entry's turn comes, once."""
    monday = datetime.date(2024, 12, 23)
    thirds = [chosen("third", monday + datetime.timedelta(weeks=number)) for number in range(3)]

    assert sorted(entry.name for third in thirds for entry in third) == [entry.name for entry in entries()]
    assert chosen("third", monday) == chosen("third", monday + datetime.timedelta(days=6))


@pytest.mark.parametrize(
    "text",
    [
        "packages = ",
        'packages = ["a"]\nprograms = ["a"]',
        'packages = ["a"]\nprograms = []\nrun = "a"',
        'packages = ["a"]\nprograms = ["a"]\nrun = "a"\nnetwork = "host"',
        'packages = ["a"]\nprograms = ["a"]\nrun = "a"\nprogams = 1',
    ],
)
def test_an_entry_that_says_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    """Instead of being a test that tests nothing."""
    (tmp_path / "entry.toml").write_text(text)

    with pytest.raises(InvalidEntry):
        read(tmp_path / "entry.toml")
