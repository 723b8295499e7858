"""The same input gives the same digest. CI runs this a second time, for the wheel, by $JETTISON_COMMAND."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

import programs
from peers import Jettison, OrdinaryUser

CHECKOUT = str(Path(sys.executable).parent / "jettison")
LONG_AGO_S = 86400
SCRIPT = "#!/bin/sh\nexec echo from a script\n"


def static_program(folder: Path) -> list[str]:
    """A static program."""
    return [str(programs.static_hello(folder))]


def dynamic_program(folder: Path) -> list[str]:
    """A program with a library of its own beside it."""
    return [str(programs.with_private_library(folder))]


def system_program(_: Path) -> list[str]:
    """A program of the system."""
    return ["ls"]


def script(folder: Path) -> list[str]:
    """A script; its interpreter is the system's."""
    (folder / "greet.sh").write_text(SCRIPT)
    (folder / "greet.sh").chmod(0o755)
    return [str(folder / "greet.sh")]


def with_folder(folder: Path) -> list[str]:
    """A program and a folder of data."""
    data = folder / "data"
    (data / "deep/er").mkdir(parents=True)
    for name in ("b", "a", "deep/c", "deep/er/d"):
        (data / name).write_text(name * 1000)
    (data / "link").symlink_to("deep/c")
    return [*static_program(folder), "--include", str(data)]


SUBJECTS = [static_program, dynamic_program, system_program, script, with_folder]


def elsewhere(folder: Path) -> Path:
    """The same files in another folder."""
    return Path(shutil.copytree(folder, folder.parent / "quite/another/place", symlinks=True))


def created_backwards(folder: Path) -> Path:
    """The same files in a folder where they were made in the opposite order."""
    copy = folder.parent / "backwards"
    for path in sorted(folder.rglob("*"), reverse=True):
        target = copy / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir() or path.is_symlink():
            shutil.copy2(path, target, follow_symlinks=False)
    return copy


def touched(folder: Path) -> Path:
    """Other times."""
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO_S, LONG_AGO_S), follow_symlinks=False)
    return folder


def closed(folder: Path) -> Path:
    """What a build under umask 077 leaves: nothing for group and others."""
    return _with_modes(folder, 0o700)


def open_to_the_group(folder: Path) -> Path:
    """What a build under umask 002 leaves."""
    return _with_modes(folder, 0o775)


def as_it_is(folder: Path) -> Path:
    """Nothing changed."""
    return folder


# What is done to the files, what comes before the command, and what is added to its environment.
WAYS: Mapping[str, tuple[Callable[[Path], Path], Sequence[str], Mapping[str, str]]] = {
    "another folder": (elsewhere, (), {}),
    "another order of creation": (created_backwards, (), {}),
    "another working directory": (as_it_is, ("env", "-C", "/"), {}),
    "other times": (touched, (), {}),
    "modes of umask 077": (closed, (), {}),
    "modes of umask 002": (open_to_the_group, (), {}),
    "umask 077": (as_it_is, ("sh", "-c", 'umask 077; exec "$@"', "sh"), {}),
    "umask 000": (as_it_is, ("sh", "-c", 'umask 000; exec "$@"', "sh"), {}),
    "another time zone": (as_it_is, (), {"TZ": "Asia/Kathmandu"}),
    "another language": (as_it_is, (), {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}),
    "no language": (as_it_is, (), {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "another hash seed": (as_it_is, (), {"PYTHONHASHSEED": "42"}),
    "another home": (as_it_is, (), {"HOME": "/nonexistent"}),
    "one processor": (as_it_is, ("taskset", "-c", "0"), {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__)
def test_the_digest_is_the_same_whatever_is_different(tmp_path: Path, subject: Callable[[Path], list[str]], way: str) -> None:
    """Each way with a store of its own; the first digest is the checkout's."""
    change, prefix, env = WAYS[way]
    folder = tmp_path / "app"
    folder.mkdir()
    arguments = subject(folder)
    expected = digest(Jettison(tmp_path / "first", command=[CHECKOUT]), arguments, {})

    place = change(folder)
    moved = [argument.replace(str(folder), str(place)) for argument in arguments]

    assert digest(Jettison(tmp_path / "second", prefix), moved, env) == expected


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__)
def test_the_digest_is_the_same_in_the_same_store(
    jettison: Jettison, tmp_path: Path, subject: Callable[[Path], list[str]]
) -> None:
    """What is remembered from the first time changes nothing."""
    arguments = subject(tmp_path)

    assert digest(jettison, arguments, {}) == digest(jettison, arguments, {})


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__)
def test_the_digest_is_the_same_for_every_user(
    tmp_path: Path, ordinary_user: OrdinaryUser, readable_packages: Path, subject: Callable[[Path], list[str]]
) -> None:
    """Whoever owns the files and whoever packs them."""
    folder = tmp_path / "app"
    folder.mkdir()
    arguments = subject(folder)
    expected = digest(Jettison(tmp_path / "first", command=[CHECKOUT]), arguments, {})

    theirs = ordinary_user.give(Path(shutil.copytree(folder, ordinary_user.home / "app", symlinks=True)))
    moved = [argument.replace(str(folder), str(theirs)) for argument in arguments]

    assert digest(ordinary_user.jettison(readable_packages), moved, {}) == expected


def test_another_file_is_another_digest(jettison: Jettison, tmp_path: Path) -> None:
    """So that the tests above can fail."""
    arguments = with_folder(tmp_path)
    before = digest(jettison, arguments, {})

    (tmp_path / "data/a").write_text("b" * 1000)

    assert digest(jettison, arguments, {}) != before


def test_the_date_that_is_asked_for_is_kept(jettison: Jettison, tmp_path: Path) -> None:
    """SOURCE_DATE_EPOCH is part of the input: the same one gives the same digest, another one another."""
    arguments = static_program(tmp_path)

    first, again, other = (digest(jettison, arguments, {"SOURCE_DATE_EPOCH": text}) for text in ("1", "1", "1000000000"))

    assert first == again != other


def digest(jettison: Jettison, arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """The packed image's manifest digest."""
    done = jettison.call("pack", "--json", "-t", "app", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["digest"])


def _with_modes(folder: Path, most: int) -> Path:
    """As a build under that umask leaves them: a file is executable where it was."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            is_executable = path.stat().st_mode & 0o100
            path.chmod(most if is_executable else most & 0o666)
    return folder
