"""weigh and why: over packed images, over other people's, over folders."""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

import programs
from peers import Jettison, Peer


def fat_root(folder: Path) -> Path:
    """A root with one program that is needed, its library, and a lot that is not."""
    program = programs.with_private_library(folder / "opt/app")
    loader = Path(os.path.realpath("/lib64/ld-linux-x86-64.so.2"))
    for library in (loader, loader.parent / "libc.so.6"):
        target = folder / "lib/x86_64-linux-gnu" / library.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (folder / "lib64").mkdir()
    (folder / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    (folder / "usr/bin").mkdir(parents=True)
    shutil.copy(program, folder / "usr/bin/other")
    (folder / "usr/share/doc").mkdir(parents=True)
    (folder / "usr/share/doc/book").write_bytes(b"x" * 1_000_000)
    os.link(folder / "usr/share/doc/book", folder / "usr/share/doc/again")
    return folder


def total(path: Path) -> int:
    """The bytes of all files below, hard links once."""
    sizes = {}
    for file in path.rglob("*"):
        info = file.lstat()
        if file.is_file() and not file.is_symlink():
            sizes[info.st_ino] = info.st_size
    return sum(sizes.values())


def weights(jettison: Jettison, *arguments: str) -> dict[str, Any]:
    """What weigh says, as a value."""
    value: dict[str, Any] = json.loads(jettison("weigh", "--json", *arguments))
    return value


def test_a_folder_is_weighed_against_a_program_in_it(jettison: Jettison, tmp_path: Path) -> None:
    """Net and tare add up to what is there, by folder, package and reason; a hard link weighs once."""
    root = fat_root(tmp_path / "root")

    said = weights(jettison, "--entry", "/opt/app/bin/greet", str(root))

    assert said["total"]["netBytes"] + said["total"]["tareBytes"] == total(root)
    for table in ("byFolder", "byPackage", "byReason"):
        for key in ("netBytes", "tareBytes", "netFiles", "tareFiles"):
            assert sum(part[key] for part in said[table]) == said["total"][key]
    folders = {part["name"]: part for part in said["byFolder"]}
    assert (folders["/usr/share"]["netBytes"], folders["/usr/share"]["tareBytes"]) == (0, 1_000_000)
    assert folders["/opt/app"]["tareBytes"] == 0


def test_without_an_entry_all_is_tare(jettison: Jettison, tmp_path: Path) -> None:
    """And the table says what to do."""
    root = fat_root(tmp_path / "root")

    assert weights(jettison, str(root))["total"]["netBytes"] == 0
    assert "--entry" in jettison("weigh", str(root))


def test_why_and_why_not_in_a_folder(jettison: Jettison, tmp_path: Path) -> None:
    """A chain to the entry; for dead weight what would need it."""
    root = str(fat_root(tmp_path / "root"))
    entry = ["--entry", "/opt/app/bin/greet"]

    chain = jettison("why", *entry, root, "/lib/x86_64-linux-gnu/libc.so.6")
    refused = jettison.call("why", *entry, root, "/usr/bin/other")
    library = jettison("why", "--not", "--entry", "/lib/x86_64-linux-gnu/libc.so.6", root, "/opt/app/lib/libgreeting.so.1")

    assert chain.splitlines()[-1].strip().startswith("entry")
    assert (refused.returncode, "dead weight" in refused.stderr) == (1, True)
    assert "/opt/app/bin/greet would need it" in library


def test_an_image_of_anyone_is_weighed(jettison: Jettison, podman: Peer, tmp_path: Path) -> None:
    """A fat image that podman imported and saved: its own command is the entry, and its documentation is tare."""
    root = fat_root(tmp_path / "root")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(root, arcname="/")
    podman("import", "--change", 'CMD ["/opt/app/bin/greet"]', str(tmp_path / "root.tar"), "fat:1")
    podman("save", "-o", str(tmp_path / "fat.tar"), "fat:1")
    name = jettison("load", "-q", "-i", str(tmp_path / "fat.tar")).strip()

    said = weights(jettison, name)

    assert said["total"]["netBytes"] + said["total"]["tareBytes"] == total(root)
    assert said["total"]["tareBytes"] > 1_000_000
    assert "RUNPATH $ORIGIN/../lib" in jettison("why", name, "/opt/app/lib/libgreeting.so.1")
    assert jettison("run", name) == "hello from a library\n"


@pytest.mark.parametrize("path", ["/usr/lib", "/etc/hosts", "/lib64"])
def test_why_answers_for_folders_and_made_files(jettison: Jettison, path: str) -> None:
    """A folder is there for something in it; a made file has its reason too."""
    jettison("pack", "-t", "ls", "/bin/ls")

    assert "the program that was packed" in jettison("why", "ls", path)


def test_answers_are_the_same_twice_as_json(jettison: Jettison) -> None:
    """`why --json` is stable and has its version."""
    jettison("pack", "-t", "ls", "/bin/ls")

    first = json.loads(jettison("why", "--json", "ls", "/etc/passwd"))

    assert first["version"] == 1
    assert [set(link) for link in first["chain"]] == [{"path", "kind", "by", "detail", "confidence"}] * 2


def test_the_weights_of_a_debian_folder_are_in_its_packages(jettison: Jettison, tmp_path: Path) -> None:
    """Owners come from the folder's own database."""
    info = tmp_path / "root/var/lib/dpkg/info"
    info.mkdir(parents=True)
    fat_root(tmp_path / "root")
    (info / "app.list").write_text("/.\n/opt\n/opt/app\n/opt/app/bin/greet\n/opt/app/lib/libgreeting.so.1\n")
    (info.parent / "status").write_text("Package: app\nStatus: install ok installed\nVersion: 7\nArchitecture: amd64\n")

    said = weights(jettison, "--entry", "/opt/app/bin/greet", str(tmp_path / "root"))

    assert {part["name"]: part["netFiles"] for part in said["byPackage"]}["app 7"] == 2
