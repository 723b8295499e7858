"""Secrets, names of machines and groups that the caller gives a world, as root and as an ordinary user."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from worlds import World

SECRET = "s3cr3t-of-the-tests"


def secret_file(world: World, content: str = SECRET) -> Path:
    """A file of the caller's alone."""
    path = world.folder("private") / "password"
    path.write_text(content)
    path.chmod(0o600)
    if world.user and os.geteuid() == 0:
        world.user.give(path)
    return path


# Secrets


@pytest.mark.parametrize("flags", [[], ["--read-only"], ["--tmpfs", "/run"], ["-u", "101:102"]])
def test_a_secret_is_a_file_of_the_programs_user(world: World, flags: list[str]) -> None:
    """Of nobody else, in memory, and not to be written."""
    user = "101 102" if "-u" in flags else "0 0"
    script = (
        "cat /run/secrets/db; stat -c '%a %u %g' /run/secrets /run/secrets/db; grep -c ' /run/secrets ramfs ro,' /proc/mounts;"
        "echo x > /run/secrets/db; echo x > /run/secrets/new; chmod 600 /run/secrets/db; echo end"
    )

    done = world.call(*flags, "--secret", f"id=db,src={secret_file(world)}", "box", "sh", "-c", script)

    assert done.stdout == f"{SECRET}500 {user}\n400 {user}\n1\nend\n"
    assert done.stderr.count("Read-only file system") == 3


def test_secrets_come_from_variables_files_and_pipes(world: World) -> None:
    """Bytes are kept as they are; the variable itself does not come in."""
    prefix = world.user.prefix if world.user else []
    words = ["--secret", "id=a,env=TOKEN_OF_MINE", "--secret", "id=b,source=/dev/stdin"]
    setting = ["env", f"TOKEN_OF_MINE={SECRET}", f"JETTISON_HOME={world.store}"]
    own_pipe = ["sh", "-c", 'printf "\\0\\n\\377" | env "$@"', "sh", *world.command, "run"]
    script = "cd /run/secrets; cat a b; env | grep -c TOKEN; true"

    done = subprocess.run([*prefix, *setting, *own_pipe, *words, "box", "sh", "-c", script], capture_output=True)

    assert (done.stdout, done.returncode) == (SECRET.encode() + b"\0\n\xff0\n", 0), done.stderr


def test_a_secret_is_told_to_nobody(world: World) -> None:
    """Neither by the plan nor by an error."""
    path = secret_file(world)

    steps = world("--explain", "--secret", f"id=db,src={path}", "box", "true")

    assert "show the secrets `db` in `/run/secrets`, read-only\n" in steps
    assert SECRET not in steps


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (SECRET, "keys with values"),
        (f"id=db,{SECRET}", "keys with values"),
        (f"id=db,value={SECRET}", "no key `value`"),
        (f"id={SECRET}/x,env=HOME", "a secret's id"),
        ("id=../db,env=HOME", "a secret's id"),
        ("env=HOME", "a secret's id"),
        ("id=db", "needs a file or a variable"),
        ("id=db,src=/x,env=HOME", "needs a file or a variable"),
        ("id=db,id=x,env=HOME", "two keys `id`"),
        (f"id=db,src=/{SECRET}", "cannot read the file of secret `db`: No such file"),
        ("id=db,src=/", "cannot read the file of secret `db`: Is a directory"),
        (f"id=db,env={SECRET}", "the variable of secret `db` is not set"),
        ("id=db,src=/dev/zero", "larger than 1 MiB"),
    ],
)
def test_secrets_that_are_refused(world: World, secret: str, message: str) -> None:
    """Before anything is started; what may be the secret itself is not repeated."""
    done = world.call("--secret", secret, "box", "true")

    assert (done.returncode, message in done.stderr) == (125, True), done.stderr
    assert SECRET not in done.stderr


def test_secrets_have_one_place(world: World) -> None:
    """An id twice, and a mount in the secrets' place, are refused."""
    secret = ["--secret", "id=db,env=HOME"]

    assert "two secrets `db`" in world.call(*secret, *secret, "box", "true").stderr
    assert "`/run/secrets/x` would lie in" in world.call(*secret, "--tmpfs", "/run/secrets/x", "box", "true").stderr


def test_the_largest_secret(world: World) -> None:
    """1 MiB, and not a byte more."""
    path = secret_file(world, "x" * (1 << 20))
    flags = ["--secret", f"id=big,src={path}"]

    assert world.shell("wc -c < /run/secrets/big", *flags) == f"{1 << 20}\n"
    path.write_text("x" * ((1 << 20) + 1))
    assert "larger than 1 MiB" in world.call(*flags, "box", "true").stderr


# Certificates

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
BUNDLE = "/run/jettison/ca.pem"


@pytest.mark.parametrize("user", ["0", "101:102"])
def test_certificates_are_shown_and_named(world: World, user: str) -> None:
    """Every program may read them; what the caller says of a variable counts more, what the image says less."""
    world.image(env=["SSL_CERT_FILE=/image", "CURL_CA_BUNDLE=/image"])
    path = world.folder("tls") / "ca.pem"
    path.write_text(CERTIFICATE)
    script = f"cat {BUNDLE}; stat -c %a {BUNDLE}; echo $SSL_CERT_FILE $CURL_CA_BUNDLE $NODE_EXTRA_CA_CERTS $DENO_CERT"

    done = world.call("--ca", str(path), "-u", user, "-e", "CURL_CA_BUNDLE=/mine", "-e", "DENO_CERT", "box", "sh", "-c", script)

    assert done.stdout == f"{CERTIFICATE}444\n{BUNDLE} /mine {BUNDLE}\n"
    assert "Read-only file system" in world.call("--ca", str(path), "box", "sh", "-c", f"echo x > {BUNDLE}").stderr
    assert world.shell("echo $SSL_CERT_FILE") == "/image\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n", "has a private key in it"),
        (f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n", "has a private key in it"),
        (SECRET, "no certificate in the PEM form"),
        ("", "no certificate in the PEM form"),
        (None, "No such file"),
    ],
)
def test_certificates_that_are_refused(world: World, content: str | None, message: str) -> None:
    """Before anything is started; what stands in the file is not repeated."""
    path = world.folder("tls") / "ca.pem"
    if content is not None:
        path.write_text(content)

    done = world.call("--ca", str(path), "box", "true")

    assert (done.returncode, message in done.stderr) == (125, True), done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("world", ["root"], indirect=True)
def test_openssl_trusts_the_certificates(world: World, require: Callable[[str], str], tmp_path: Path) -> None:
    """A program's own library takes them from the variable."""
    openssl = require("openssl")
    key, path = tmp_path / "key.pem", tmp_path / "ca.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test", "-keyout"]
    subprocess.run([openssl, *words, key, "-out", path], check=True, capture_output=True)
    image = world.jettison("pack", "-q", "openssl").strip()
    verify = ["verify", "/leaf.pem"]

    trusted = world.call("-v", f"{path}:/leaf.pem:ro", "--ca", str(path), image, *verify)
    stranger = world.call("-v", f"{path}:/leaf.pem:ro", image, *verify)

    assert (trusted.returncode, trusted.stdout) == (0, "/leaf.pem: OK\n"), trusted.stderr
    assert stranger.returncode != 0


# Names of machines


@pytest.mark.parametrize("network", ["host", "none"])
def test_hosts_are_added(world: World, network: str) -> None:
    """As docker writes them; a name that is there already is given anew."""
    flags = [
        "--network",
        network,
        "--add-host",
        "db:192.0.2.7",
        "--add-host",
        "six=[2001:db8::7]",
        "--add-host",
        "localhost:192.0.2.9",
    ]

    lines = world.shell("cat /etc/hosts", *flags).splitlines()

    assert lines[:3] == ["192.0.2.7\tdb", "2001:db8::7\tsix", "192.0.2.9\tlocalhost"]
    assert [line for line in lines[3:] if "localhost" in line.split()] == []


@pytest.mark.parametrize("network", ["host", "none"])
def test_name_servers_are_given(world: World, network: str) -> None:
    """In place of the machine's."""
    flags = ["--dns", "192.0.2.53", "--dns", "2001:db8::53", "--dns-search", "example.org", "--dns-option", "ndots:2"]

    lines = world.shell("grep -E '^(name|search|domain|options)' /etc/resolv.conf", "--network", network, *flags).splitlines()

    assert lines == ["nameserver 192.0.2.53", "nameserver 2001:db8::53", "search example.org", "options ndots:2"]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--add-host", "db", "names no host"),
        ("--add-host", ":192.0.2.7", "names no host"),
        ("--add-host", "a b:192.0.2.7", "names no host"),
        ("--add-host", "db:host-gateway", "no gateway to the host"),
        ("--add-host", "db:192.0.2", "no IP address"),
        ("--add-host", "db:192.0.2.07", "no IP address"),
        ("--dns", "192.0.2.7\nnameserver 1.1.1.1", "no IP address"),
        ("--dns", "fe80::1%a b", "impossible interface"),
        ("--dns-search", "a b", "no domain"),
        ("--dns-option", "a\nb", "no option"),
    ],
)
def test_names_that_are_refused(world: World, flag: str, value: str, message: str) -> None:
    """What is no name or address would be a line of its own."""
    done = world.call(flag, value, "box", "true")

    assert (done.returncode, message in done.stderr) == (125, True), done.stderr


# Groups


def test_groups_are_added(world: World) -> None:
    """By number, and by a name of the image; an ordinary user has none to give, and says so."""

    def fill(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc/group").write_text("video:x:44:\n7:x:0:\n")

    world.image(fill)

    done = world.call("--group-add", "video", "--group-add=7", "-u", "101:102", "box", "grep", "^Groups:", "/proc/self/status")

    if world.user:
        assert (done.returncode, "cannot add the groups 44 7: an ordinary user's world" in done.stderr) == (125, True)
    else:
        assert sorted(done.stdout.split()[1:], key=int) == ["7", "44", "102"]


@pytest.mark.parametrize("group", ["absent", "-1", "+5", " 1", "1e3", "٣", "4294967295", "9" * 20, "a:b", ""])
def test_groups_that_are_refused(world: World, group: str) -> None:
    """A number is never a name, and what is neither is an error."""

    def fill(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc/group").write_text("".join(f"{name}:x:0:\n" for name in ("-1", "+5", " 1", "1e3", "٣", "9" * 20, "")))

    world.image(fill)

    assert world.call(f"--group-add={group}", "box", "true").returncode == 125
