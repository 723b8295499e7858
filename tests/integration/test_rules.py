"""Every rule, proven by a real program: it says the same inside as outside."""

import subprocess
from collections.abc import Callable

import pytest

from corpus.entry import entries
from jettison.closure.rules import rules
from peers import Jettison

# What a program prints only because the rule brought its files, by the rule's name.
PROOFS = {
    "locale": ["sort", "--version"],
    "apt": ["apt-get", "--version"],
    "xtables": ["ebtables-nft", "--version"],
    "gprofng": ["gp-display-text", "--version"],
    "java": ["java", "--version"],
    "gcc-lto": ["gcc-ar", "--version"],
    "cmake": ["cmake", "--version"],
    "tcl": ["tclsh", "/dev/null"],
    "tk": ["wish", "/dev/null"],
}

# The rules whose programs take more than a line to use: entries of tests/corpus that fail without them.
PROVEN_BY_CORPUS = {
    "accounts": "haproxy",
    "apache": "apache2",
    "aspell": "aspell",
    "autoconf": "autoconf",
    "autoconf-modules": "autoconf",
    "bats": "bats",
    "ca-certificates": "gnutls",
    "datamash": "datamash",
    "diff": "diffutils",
    "dpkg-deb": "dpkg-deb",
    "emacs": "emacs",
    "enscript": "a2ps",
    "fontconfig": "fontconfig",
    "fortune": "cowsay",
    "gawk": "gawk",
    "gcc": "gcc",
    "gconv": "iconv",
    "gdb": "gdb",
    "gdk-pixbuf": "gdk-pixbuf",
    "gforth": "gforth",
    "ghostscript": "ghostscript",
    "ghostscript-scripts": "ghostscript",
    "gio-tls": "gio-tls",
    "git": "git-ssh",
    "gnupg": "gnupg",
    "graphviz": "graphviz",
    "groff": "groff",
    "gsettings": "gio",
    "gstreamer": "gstreamer",
    "haproxy": "haproxy",
    "imagemagick": "imagemagick",
    "lesspipe": "less",
    "libgcc": "stunnel",
    "libpaper": "ghostscript",
    "locales": "sort-de",
    "luajit": "calculators",
    "magic": "file",
    "make": "make",
    "man": "man-db",
    "mime": "gio",
    "nginx": "nginx",
    "nmap": "nmap",
    "nss": "nss",
    "openssh-client": "scp",
    "openssh-server": "sshd-config",
    "openssh-server-user": "sshd-config",
    "openssl": "openssl-tls",
    "p11-kit": "p11-kit",
    "p7zip": "7zip",
    "pam": "pam",
    "pam-unix": "pam",
    "parallel": "parallel",
    "pci": "pciutils",
    "php": "php",
    "poppler": "poppler",
    "postgresql": "postgresql",
    "postgresql-dump": "postgresql",
    "postgresql-tools": "postgresql",
    "python": "python3",
    "python-find-library": "python3",
    "python-mimetypes": "python3",
    "qalculate": "calculators",
    "r": "r",
    "rpc": "getent",
    "rsync": "rsync-ssh",
    "ruby": "ruby",
    "sasl": "sasl",
    "services": "getent",
    "source-highlight": "gdb",
    "sox": "sox",
    "squid": "squid",
    "subsystem": "kerberos",
    "tar": "tar",
    "tcc": "tcc",
    "terminfo": "terminfo",
    "time-zones": "time-zones",
    "unixodbc": "unixodbc",
    "vim": "vim",
    "xargs": "findutils",
    "zip": "zip",
}

# Rules for files that Debian does not have, or has for another reason too: systems are made by
# tests/unit/closure/test_system_readers.py.
PROVEN_BY_UNIT_TESTS = {
    "addresses",
    "gnutls",
    "icu",
    "kerberos",
    "ldap",
    "media-types",
    "name-service",
    "openssl-engines",
    "openssl-providers",
    "p11-kit-trust",
    "preload",
    "time-zones-source",
}


def test_every_rule_has_its_proof() -> None:
    """A new rule comes with a program."""
    assert {rule.name for rule in rules()} == {*PROOFS, *PROVEN_BY_CORPUS, *PROVEN_BY_UNIT_TESTS}


def test_what_the_corpus_proves_is_in_the_corpus() -> None:
    """By the names of its entries."""
    assert set(PROVEN_BY_CORPUS.values()) <= {entry.name for entry in entries()}


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
