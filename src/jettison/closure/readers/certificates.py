"""Certificate authorities: the system's bundle under each of its usual names, and never a private key."""

import re
from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Make, Missing, Need, Reason
from jettison.tree.node import made_symlink
from jettison.tree.root import Root, resolve

# Debian's, Fedora's, SUSE's, Alpine's and BSD's names: crypto/x509/root_linux.go has the same.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
# Those by which programs of other distributions, or built elsewhere, look for it.
_USUAL = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
_BY_HASH = "/etc/ssl/certs/*.[0-9]"  # what openssl-rehash(1ssl) makes: each certificate once more, for -CApath alone
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_LIMIT_BYTES = 16 << 20


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The bundle with its names; by their hashes too where every hint counts."""
    if not subject.setting.is_new("certificates"):
        return
    found = bundle(subject.root)
    yield from (Need(path, reason) for path in _BUNDLES if found and is_certificate(subject.root, path))
    yield from (link for path in _USUAL for link in named(subject.root, path, found, reason))
    for path in _BUNDLES:
        if resolve(subject.root, path).node is not None and not is_certificate(subject.root, path):
            yield Missing(path, reason._replace(detail=f"{reason.detail}; it holds a private key, which no image gets"))
    if subject.setting.choices.admits("hint"):
        yield from _by_hash(subject, reason._replace(confidence="hint"))


def bundle(root: Root) -> str:
    """The name of the system's bundle; empty where there is none."""
    return next((path for path in _BUNDLES if is_certificate(root, path)), "")


def named(root: Root, path: str, target: str, reason: Reason) -> Iterator[Finding]:
    """The bundle by the name `path`, where the Root has nothing of that name."""
    if target and path != target and resolve(root, path).node is None and root.lstat(path) is None:
        yield Make(path, made_symlink(target), reason)


def is_certificate(root: Root, path: str) -> bool:
    """Whether there is a file for all to read, without a private key in it."""
    found = resolve(root, path)
    if found.node is None or found.node.kind != "file" or not found.node.mode & 0o004 or not found.node.size:
        return False
    with root.open(found.path) as file:
        return not _PRIVATE_KEY.search(file.read(_LIMIT_BYTES))


def _by_hash(subject: Subject, reason: Reason) -> Iterator[Finding]:
    from jettison.closure.rules import glob

    paths = sorted(glob(subject.root, _BY_HASH))
    yield from (Need(path, reason) for path in paths if is_certificate(subject.root, path))
