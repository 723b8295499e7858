"""`pack --observe` and `pack --verify`: what no reader of files finds, found by running, and the proof that the image works."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from peers import Jettison, lacking
from programs import build

# Its data is named by what it is told, so that no file says what it opens.
READER = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    char name[4096], line[256];
    snprintf(name, sizeof name, "%s%s", argv[1], "-data.txt");
    FILE *file = fopen(name, "r");
    if (!file || !fgets(line, sizeof line, file)) { fputs("no data\n", stderr); return 3; }
    fputs(line, stdout);
    return 0;
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program that reads data beside it; the current folder is another."""
    folder = tmp_path / "project"
    build(folder, "reader", READER)
    (folder / "usual-data.txt").write_text("the usual\n")
    (folder / "secret-data.txt").write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n")
    (folder / "never-data.txt").write_text("nobody reads it\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return folder


def reasons(answer: str, kind: str = "observed") -> dict[str, list[dict[str, str]]]:
    """path → its reasons of a kind, of a `pack --json --explain`."""
    found = json.loads(answer)["reasons"]
    return {path: [item for item in each if item["kind"] == kind] for path, each in found.items()}


def test_what_was_observed_is_packed_with_its_reason(jettison: Jettison, project: Path) -> None:
    """The file that the program opened is in the image, beside it as it was; the one that it did not is not."""
    command = f"{project}/reader {project}/usual"

    answer = jettison("pack", "-t", "app", f"{project}/reader", "--observe", command, "--json", "--explain")

    found = reasons(answer)
    assert found["/usual-data.txt"][0]["detail"].startswith("opened by `")
    assert found["/usual-data.txt"][0]["by"] == "/reader"
    assert found["/usual-data.txt"][0]["confidence"] == "certain"
    assert "/never-data.txt" not in found
    assert "observed by /reader" in jettison("why", "app", "/usual-data.txt")


def test_the_image_works_with_what_was_observed(jettison: Jettison, project: Path, root: None) -> None:
    """Without the observation it lacks its data."""
    jettison("pack", "-q", "-t", "blind", f"{project}/reader")
    jettison("pack", "-q", "-t", "app", f"{project}/reader", "--observe", f"{project}/reader {project}/usual")

    assert jettison.call("run", "blind", "/usual").returncode == 3
    assert jettison("run", "app", "/usual") == "the usual\n"


def test_a_private_key_is_left_out_and_told(jettison: Jettison, project: Path) -> None:
    """Whatever its name: nobody else shall have it."""
    done = jettison.call("pack", "-q", "-t", "app", f"{project}/reader", "--observe", f"{project}/reader {project}/secret")

    assert done.returncode == 0, done.stderr
    assert f"left out as a private key: `{project}/secret-data.txt`" in done.stderr
    assert jettison.call("why", "app", "/secret-data.txt").returncode == 1


def test_a_saved_observation_gives_the_same_image(jettison: Jettison, project: Path, tmp_path: Path) -> None:
    """Nothing is run the second time; the document is the same however often it is made, and names no folder of the user's."""
    observe = ["--observe", f"cd {project}; ./reader usual"]
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    program = f"{project}/reader"
    save = "--save-observation"
    digests = [json.loads(jettison("pack", "-t", "app", program, *observe, save, str(file), "--json")) for file in files]

    again = json.loads(jettison("pack", "-t", "app", program, "--observation", str(files[0]), "--json"))

    assert files[0].read_bytes() == files[1].read_bytes()
    assert again["digest"] == digests[0]["digest"] == digests[1]["digest"]
    paths = {**json.loads(files[0].read_text())["read"]}
    assert "./usual-data.txt" in paths
    assert not any(str(tmp_path) in path for path in paths)


def test_a_command_that_never_starts_the_program_is_an_error(jettison: Jettison, project: Path) -> None:
    """Nothing was observed: the call is mended, not the image made."""
    done = jettison.call("pack", f"{project}/reader", "--observe", "true")

    assert (done.returncode, "did not start" in done.stderr) == (2, True)


def test_the_commands_output_is_not_the_answer(jettison: Jettison, project: Path) -> None:
    """stdout is the image's name alone."""
    assert (
        jettison("pack", "-q", "-t", "app", f"{project}/reader", "--observe", f"{project}/reader {project}/usual")
        == "app:latest\n"
    )


def test_a_broken_document_is_refused(jettison: Jettison, project: Path, tmp_path: Path) -> None:
    """It says which document, and what is wrong with it."""
    for text in ("{", "[]", '{"version": 2}', '{"version": 1}', '{"version": 1, "commands": [], "executed": {"etc": ""}}'):
        (tmp_path / "broken.json").write_text(text)

        done = jettison.call("pack", f"{project}/reader", "--observation", str(tmp_path / "broken.json"))

        assert (done.returncode, "broken.json" in done.stderr) == (1, True), done.stderr


def test_what_is_written_proposes_a_volume(jettison: Jettison, project: Path, root: None) -> None:
    """The folder comes empty, with its mode; how to run it is told."""
    folder = Path("/var/lib/jettison-test")
    folder.mkdir(mode=0o750)
    try:
        (folder / "state").write_text("old")
        script = project / "writes"
        script.write_text(f"#!/bin/sh\necho new > {folder}/state\n")
        script.chmod(0o755)

        done = jettison.call("pack", "-t", "app", str(script), "--observe", str(script), "--json", "--explain")
    finally:
        for path in (folder / "state", folder):
            path.unlink() if path.is_file() else path.rmdir()

    assert json.loads(done.stdout)["writes"] == [str(folder)]
    assert f"-v ./jettison-test:{folder}" in done.stderr
    assert str(folder) in reasons(done.stdout)
    assert f"{folder}/state" not in reasons(done.stdout)


def test_a_server_under_observation_ends_by_a_signal(jettison: Jettison, project: Path) -> None:
    """Ctrl-C ends the server, and the image is made of what was seen."""
    script = project / "serve"
    script.write_text("#!/usr/bin/python3 -I\nimport time\nopen('/etc/hostname'); open('/etc/debian_version')\ntime.sleep(600)\n")
    script.chmod(0o755)
    ready = project / "ready"
    command = [*jettison.command, "pack", "-q", "-t", "app", str(script), "--observe", f"touch {ready}; exec {script}"]
    process = subprocess.Popen(command, env={**os.environ, "JETTISON_HOME": str(jettison.store)}, stdout=subprocess.PIPE)
    while not ready.exists():
        time.sleep(0.05)
    time.sleep(1)

    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=60)[0] == b"app:latest\n"
    assert "observed" in jettison("why", "app", "/etc/debian_version")


def test_a_verified_image_has_a_name(jettison: Jettison, project: Path, root: None) -> None:
    """The same status and output inside as outside."""
    done = jettison.call("pack", "cat", "-t", "cat", "--verify", "echo hi > f; cat f; cat none || echo status $?")

    assert (done.returncode, done.stdout) == (0, "cat:latest\n"), done.stderr
    assert "verified" in done.stderr


def test_an_image_that_fails_has_none(jettison: Jettison, project: Path, root: None) -> None:
    """The report says what differs, and what lacks."""
    program = f"{project}/reader"

    done = jettison.call("pack", program, "-t", "app", "--verify", f"cd {project}/..; {program} {project}/usual")

    assert done.returncode == 1
    assert "exit status is 3 inside, 0 outside: `no data`" in done.stderr
    assert jettison.call("inspect", "app").returncode == 1
    digest = done.stderr.partition("jettison run ")[2].partition("`")[0]
    assert jettison.call("run", digest, "x").returncode == 3


def test_what_lacks_is_named_with_its_package(
    jettison: Jettison, project: Path, root: None, require: Callable[[str], str]
) -> None:
    """A script that reads a system's file, whose name it computes."""
    script = project / "types"
    script.write_text("#!/bin/sh\nexec 3< /etc/m$1 && read -r line <&3 && echo $line\n")
    script.chmod(0o755)

    if not Path("/etc/mime.types").exists():
        lacking("no /etc/mime.types on this machine")
    done = jettison.call("pack", str(script), "--level", "minimal", "--verify", f"{script} ime.types")

    assert done.returncode == 1
    assert "looked for `/etc/mime.types`, which exists outside (package media-types" in done.stderr


@pytest.mark.parametrize("fix", ["--fix", "--verify=fix"])
def test_fix_adds_what_lacks_until_it_works(jettison: Jettison, project: Path, root: None, fix: str) -> None:
    """git without its helpers and templates works in the end, and each addition has its reason."""
    command = (
        "rm -rf a b; git init -q a; git -C a config user.name x; git -C a config core.editor true; git clone -q a b; ls b/.git"
    )
    assert jettison.call("pack", "git", "-t", "git", "--level", "minimal", "--verify", command).returncode == 1

    answer = jettison("pack", "git", "-t", "git", "--level", "minimal", "--verify", command, fix, "--json", "--explain")

    assert any(each for each in reasons(answer).values())
    assert jettison("run", "git", "--version").startswith("git version")


def test_variables_of_the_command_reach_the_image(jettison: Jettison, project: Path, root: None) -> None:
    """An assignment in front of the program counts inside too."""
    done = jettison.call("pack", "printenv", "-t", "x", "--verify", "COLOUR='a b' printenv COLOUR; printenv SECRET || true")

    assert done.returncode == 0, done.stderr


def test_the_machines_program_is_not_that_of_another_root(jettison: Jettison, tmp_path: Path) -> None:
    """`--root` names files that this machine may not even be able to run."""
    for flag in ("--observe", "--verify"):
        done = jettison.call("pack", "/bin/true", "--root", "/", flag, "/bin/true")
        assert done.returncode == 0, done.stderr
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/true").write_bytes(Path("/bin/true").read_bytes())
        (tmp_path / "bin/true").chmod(0o755)
        done = jettison.call("pack", "/bin/true", "--root", str(tmp_path), flag, "/bin/true")
        assert (done.returncode, "--root" in done.stderr) == (2, True), done.stderr


def test_it_all_works_for_an_ordinary_user(rootless: Jettison) -> None:
    """Neither observing nor verifying takes a privilege."""
    command = "/bin/sh -c 'echo 1 > f; cat f'; cat f none; echo $?"

    answer = rootless("pack", "cat", "-t", "cat", "--observe", command, "--verify", command, "--json", "--explain")

    assert reasons(answer)["/usr/bin/cat"] == [] and json.loads(answer)["reference"] == "cat:latest"


def test_a_fat_image_is_observed_and_compared(jettison: Jettison, project: Path, root: None) -> None:
    """What runs in an image is seen by the image's own paths, from its program on."""
    from jettison.image.store import open_store
    from jettison.verbs.observe import observe_image
    from jettison.verbs.verify import verify_image

    include = ["--include", "/etc/debian_version", "--include", "/usr/bin/cat"]
    jettison("pack", "-q", "-t", "fat", "/bin/sh", *include)
    jettison("pack", "-q", "-t", "thin", "/bin/sh", "--include", "/usr/bin/cat")
    store = open_store(str(jettison.store))
    fat, thin = (store.resolve(name)[1] for name in ("fat", "thin"))
    command = "echo x > /tmp/mine; cat /etc/debian_version /tmp/mine"

    seen = observe_image(store, fat, command, "/usr/bin/cat")
    verdict = verify_image(store, fat, thin, command)
    same = verify_image(store, fat, fat, command)

    assert set(seen.executed) == {"/usr/bin/cat"}
    assert "/etc/debian_version" in seen.read
    assert not verdict.passed
    assert [(lack.path, lack.by) for lack in verdict.lacks] == [("/etc/debian_version", "/usr/bin/cat")]
    assert same.passed


def test_fix_without_a_command_is_refused(jettison: Jettison, project: Path) -> None:
    """There is nothing that would find what lacks."""
    refused = jettison.call("pack", f"{project}/reader", "--fix")

    assert refused.returncode == 2
    assert "--verify" in refused.stderr
