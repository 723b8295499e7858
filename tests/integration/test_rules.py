"""Every rule, proven by a real program: it says the same inside as outside."""

import subprocess
from collections.abc import Callable

import pytest

from jettison.closure.rules import rules
from peers import Jettison

# What a program prints only because the rule brought its files, by the rule's name.
PROOFS = {
    "locale": ["sort", "--version"],
    "apt": ["apt-get", "--version"],
    "ca-certificates": ["curl", "--version"],
    "xtables": ["ebtables-nft", "--version"],
    "gprofng": ["gp-display-text", "--version"],
    "java": ["java", "--version"],
    "gcc-lto": ["gcc-ar", "--version"],
    "cmake": ["cmake", "--version"],
    "tcl": ["tclsh", "/dev/null"],
    "tk": ["wish", "/dev/null"],
}


def test_every_rule_has_its_proof() -> None:
    """A new rule comes with a program."""
    assert {rule.name for rule in rules()} == set(PROOFS)


@pytest.mark.parametrize("rule", PROOFS)
def test_a_program_says_the_same_inside_as_outside(jettison: Jettison, require: Callable[[str], str], rule: str) -> None:
    """Status, stdout and stderr."""
    name, *arguments = PROOFS[rule]
    program = require(name)
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8"}
    outside = subprocess.run([program, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    jettison("pack", "-q", "-t", "app", program)
    inside = jettison.call("run", "app", *arguments)

    assert (inside.returncode, inside.stdout, inside.stderr) == (outside.returncode, outside.stdout, outside.stderr)


def test_certificate_authorities_come_with_a_tls_library(jettison: Jettison, require: Callable[[str], str]) -> None:
    """The bundle, and no private key."""
    jettison("pack", "-q", "-t", "curl", require("curl"))

    said = jettison("why", "curl", "/etc/ssl/certs/ca-certificates.crt")

    assert "rule by" in said
    assert "private" not in jettison("pack", "--explain", "-t", "curl", require("curl"))
