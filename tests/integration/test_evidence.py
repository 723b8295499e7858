"""What programs name in their data and call, proven by programs of Debian that need it."""

import json
from collections.abc import Callable

import pytest

from jettison.tree.root import parents
from peers import Jettison

Require = Callable[[str], str]


def reasons(jettison: Jettison, program: str, *flags: str) -> dict[str, list[dict[str, str]]]:
    """The reasons of every file of a packed program."""
    packed: dict[str, dict[str, list[dict[str, str]]]] = json.loads(jettison("pack", program, "--explain", "--json", *flags))
    return packed["reasons"]


def test_a_library_brings_the_plugins_in_the_folder_that_it_names(jettison: Jettison, require: Require) -> None:
    """libcrypto names its folder of providers, which its own package fills: old hashes work, but not at the level minimal."""
    require("openssl")
    digest = ("dgst", "-md4", "-provider", "legacy", "-provider", "default", "/etc/passwd")
    jettison("pack", "openssl", "-t", "balanced")
    jettison("pack", "openssl", "-t", "minimal", "--level", "minimal")

    assert "MD4" in jettison("run", "balanced", *digest)
    assert jettison.call("run", "minimal", *digest).returncode == 1


@pytest.mark.parametrize(("shell", "said"), [("auto", "hello\n"), ("none", "")])
def test_a_program_that_calls_system_finds_a_shell(jettison: Jettison, require: Require, shell: str, said: str) -> None:
    """Unless the user wants none."""
    require("mawk")
    jettison("pack", "mawk", "-t", "awk", "--shell", shell)

    assert jettison.call("run", "awk", 'BEGIN { system("echo hello") }').stdout == said


def test_a_chosen_shell_is_what_programs_start(jettison: Jettison, require: Require) -> None:
    """bash says that it is bash, also as /bin/sh."""
    require("mawk")
    jettison("pack", "mawk", "-t", "awk", "--shell", require("bash"))

    assert jettison("run", "awk", 'BEGIN { system("echo ${BASH_VERSION:+bash}") }') == "bash\n"


def test_git_brings_its_helpers_and_says_why(jettison: Jettison, require: Require) -> None:
    """git names the folder of its subcommands."""
    git = require("git")

    found = reasons(jettison, "git", "-t", "git")["/usr/lib/git-core/git-remote-http"][0]

    assert (found["kind"], found["by"]) == ("string", git)
    assert "`/usr/lib/git-core` in its data" in found["detail"]


def test_no_reason_says_only_package(jettison: Jettison, require: Require) -> None:
    """It says what of the package it is, and whose package."""
    require("bash")

    found = [reason for items in reasons(jettison, "bash", "-t", "bash").values() for reason in items]

    details = {reason["detail"] for reason in found if reason["kind"] == "package"}
    assert details
    assert all("configuration file of bash" in detail or "the name of the program" in detail for detail in details)


@pytest.mark.parametrize("program", ["less", "git", "openssl", "bash", "perl", "tar"])
def test_levels_grow(jettison: Jettison, require: Require, program: str) -> None:
    """Each level has everything that the one below it has, and no file without a chain of reasons to the program."""
    path = require(program)
    found = [reasons(jettison, program, "-t", program, "--level", level) for level in LEVELS]

    minimal, balanced, safe = ({name for file in level for name in (file, *parents(file))} for level in found)
    assert minimal < balanced <= safe
    assert all(
        reason["by"] in ("", path) or reason["by"] in safe for level in found for items in level.values() for reason in items
    )


def test_safe_is_not_half_of_the_machine(jettison: Jettison, require: Require) -> None:
    """openssl's package has scripts in Perl, which libcrypto's folder has links to; nothing that openssl does starts one."""
    require("openssl")

    found = reasons(jettison, "openssl", "-t", "openssl", "--level", "safe")

    assert "/etc/ssl/certs/ca-certificates.crt" in found
    assert not [path for path in found if "perl" in path]


LEVELS = ("minimal", "balanced", "safe")


def test_a_second_pack_reads_no_program_again(jettison: Jettison, require: Require) -> None:
    """What was read is in the store's cache, and the image is the same."""
    require("less")
    first = json.loads(jettison("pack", "less", "-t", "first", "--json"))

    second = json.loads(jettison("pack", "less", "-t", "second", "--json"))

    assert list(jettison.store.glob("cache/*.notes"))
    assert first["digest"] == second["digest"]
