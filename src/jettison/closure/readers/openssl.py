"""OpenSSL's configuration with what it includes, the providers and engines that it switches on, and what a FIPS self-test reads.

The folders stand in the library: `openssl version -a` prints the same texts.
"""

import posixpath
import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from jettison.closure.facts import Finding, Subject
from jettison.closure.readers import certificates
from jettison.closure.why import Need, Reason
from jettison.tree.root import Root, resolve

_FOLDER = re.compile(rb'(OPENSSLDIR|MODULESDIR|ENGINESDIR): "(/[^"\0]{1,1000})"')
_SECTION = re.compile(r"\[\s*([^\]]+?)\s*\]")
_INCLUDE = re.compile(r"\.include\b\s*=?\s*(.+)")
_YES = ("1", "yes", "true", "on")
_BUILT_IN = ("default", "base", "null")
_LIMIT_FILES = 64
_LIMIT_BYTES = 1 << 20
# Beside a library that Red Hat's fipscheck or OpenSSL verifies when it is loaded.
_CHECKSUMS = (".{}.hmac", "fipscheck/{}.hmac", "hmaccalc/{}.hmac")


class Settings(NamedTuple):
    """The `files` that a configuration is in, and section → key → value; what stands before any section is of `default`."""

    files: tuple[str, ...]
    sections: dict[str, dict[str, str]]


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """What the library at the subject reads when a program starts."""
    read_folders = partial(_folders, subject)
    folders = subject.setting.facts.read("openssl", subject.root, subject.path, read_folders, dict)
    base, modules, engines = (folders.get(key, "") for key in ("OPENSSLDIR", "MODULESDIR", "ENGINESDIR"))
    if not base:
        return
    settings = read(subject.root, f"{base}/openssl.cnf")
    paths = [*settings.files, *_providers(settings, modules), *_engines(settings, engines)]
    yield from (Need(path, reason) for path in paths if _is_there(subject.root, path))
    if subject.root.lstat(f"{base}/certs") is not None:
        yield Need(f"{base}/certs", reason, follow_last=False)
    bundle = certificates.bundle(subject.root)
    if certificates.is_certificate(subject.root, f"{base}/cert.pem"):
        yield Need(f"{base}/cert.pem", reason)
    yield from certificates.named(subject.root, f"{base}/cert.pem", bundle, reason)
    folder, _, name = subject.path.rpartition("/")
    checksums = [f"{folder}/{pattern.format(name)}" for pattern in _CHECKSUMS]
    yield from (Need(path, reason) for path in checksums if _is_there(subject.root, path))


def _folders(subject: Subject) -> list[tuple[str, str]]:
    """What a library says of where it reads from."""
    pairs = _FOLDER.findall(subject.setting.facts.data(subject.root, subject.path))
    return [(key.decode(), folder.decode("utf-8", "surrogateescape")) for key, folder in pairs]


def read(root: Root, path: str) -> Settings:
    """A configuration with the files that it includes: config(5ssl)."""
    files: list[str] = []
    sections: dict[str, dict[str, str]] = {}
    todo = [path]
    while todo and len(files) < _LIMIT_FILES:
        here = todo.pop()
        if not _is_there(root, here) or here in files:
            continue
        files.append(here)
        section = "default"
        for line in _lines(root, here):
            key, _, value = line.partition("=")
            if included := _INCLUDE.match(line):
                todo += _included(root, posixpath.join(posixpath.dirname(here), included[1].strip()))
            elif found := _SECTION.match(line):
                section = found[1]
            elif value:
                sections.setdefault(section, {})[key.strip()] = value.strip()
    return Settings(tuple(files), sections)


def _providers(settings: Settings, folder: str) -> Iterator[str]:
    """The modules of the providers that are switched on, which may have a configuration of their own."""
    for name, values in _switched(settings, "providers"):
        if values.get("activate", "").lower() in _YES and name not in _BUILT_IN:
            yield posixpath.join(folder, values.get("module", f"{name}.so"))


def _engines(settings: Settings, folder: str) -> Iterator[str]:
    for name, values in _switched(settings, "engines"):
        yield posixpath.join(folder, values.get("dynamic_path", f"{values.get('engine_id', name)}.so"))


def _switched(settings: Settings, kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, its section) of what the section that `openssl_conf` names has of a kind."""
    start = settings.sections.get("default", {}).get("openssl_conf", "")
    listed = settings.sections.get(start, {}).get(kind, "")
    for name, section in settings.sections.get(listed, {}).items():
        yield name, settings.sections.get(section, {})


def _included(root: Root, path: str) -> list[str]:
    """A file, or the files of a folder that are configurations by their names."""
    found = resolve(root, path)
    if found.node is not None and found.node.kind == "dir":
        return [f"{path}/{name}" for name in root.listdir(found.path) if name.endswith((".cnf", ".conf"))]
    return [path]


def _lines(root: Root, path: str) -> Iterator[str]:
    with root.open(resolve(root, path).path) as file:
        text = file.read(_LIMIT_BYTES).decode("utf-8", "replace").replace("\\\n", "")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return (line for line in lines if line)


def _is_there(root: Root, path: str) -> bool:
    node = resolve(root, path).node if path.startswith("/") else None
    return node is not None and node.kind == "file"
