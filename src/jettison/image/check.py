"""Is the store whole? Every blob is hashed, every name followed to the last layer, every unpacked layer compared."""

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from jettison.errors import JettisonError
from jettison.events import SILENT, Reporter
from jettison.image.changes import Changes, Folder, Put
from jettison.image.durable import remove_tree
from jettison.image.image import Image
from jettison.image.merged import MergedLayers
from jettison.image.record import record_layers
from jettison.image.rootfs import layer_names
from jettison.image.store import LocalStore, is_hex
from jettison.image.verified import layer_entries
from jettison.oci.digest import Digest
from jettison.tree.node import HostFile, Node
from jettison.tree.root import node_of
from jettison.tree.untar import Data, read_tar

_READ_BYTES = 1 << 20


class Finding(NamedTuple):
    """Something that is not as it should be. `path` is what a repair removes, so that it can come anew; empty for nothing."""

    subject: str
    problem: str
    hint: str
    path: str = ""


class Health(NamedTuple):
    """What was checked, and what was found."""

    blobs: int
    size_bytes: int
    images: int
    findings: tuple[Finding, ...]


def check_store(store: LocalStore, reporter: Reporter = SILENT) -> Health:
    """Check everything in the store; changes nothing."""
    digests = store.digests()
    sizes = [store.size(digest) for digest in digests]
    findings = [*_check_access(store)]
    broken: set[Digest] = set()
    done = 0
    for digest, size in zip(digests, sizes, strict=True):
        if not _is_whole(store, digest):
            broken.add(digest)
            hint = "`jettison fsck --repair` removes it; then pack, load or pull the image again"
            findings.append(Finding(f"blob {digest}", "has other bytes than its name says", hint, store.blob_path(digest)))
        done += size
        reporter.progress("checking", done, sum(sizes))
    names: dict[Digest, list[str]] = {}
    for reference, digest in store.tags():
        names.setdefault(digest, []).append(reference.familiar)
    for digest, images in names.items():
        findings += _check_image(store, digest, ", ".join(images), broken)
    findings += _check_tags(store)
    findings += _check_records(store)
    return Health(len(digests), sum(sizes), len(names), tuple(findings))


def repair(store: LocalStore, health: Health) -> list[Finding]:
    """Remove what is broken and can come anew; what was removed. Only while `cleaning`."""
    removed = [finding for finding in health.findings if finding.path and os.path.lexists(finding.path)]
    for path in {finding.path for finding in removed}:
        remove_tree(path)
    return removed


def _is_whole(store: LocalStore, digest: Digest) -> bool:
    found = hashlib.sha256()
    try:
        with store.open(digest) as stream:
            while data := stream.read(_READ_BYTES):
                found.update(data)
    except (JettisonError, OSError):
        return False
    return found.hexdigest() == digest.hex


def _check_access(store: LocalStore) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(os.stat(store.path).st_mode)
    except FileNotFoundError:
        return
    if mode & 0o077:
        problem = f"has the mode {mode:04o}: others can reach setuid programs of unpacked images"
        yield Finding(f"store `{store.path}`", problem, f"`chmod 0700 {store.path}`")


def _check_image(store: LocalStore, digest: Digest, names: str, broken: set[Digest]) -> Iterator[Finding]:
    hint = "pack, load or pull it again, or forget it by `jettison rmi`"
    try:
        image = store.image(digest)
    except JettisonError as error:
        yield Finding(f"image {names}", error.message, hint)
        return
    folders: list[str] = []
    for number, (layer, keys) in enumerate(zip(image.layers, layer_names(image), strict=True), 1):
        what = f"layer {number} of {names}"
        folder = next((store.layer_path(key) for key in keys if os.path.isdir(store.layer_path(key))), "")
        if layer.descriptor.digest in broken:
            yield Finding(what, f"its blob {layer.descriptor.digest} is broken", hint)
        else:
            yield from _check_layer(store, image, number, folder, folders, what, hint)
        folders += [folder] if folder else []


def _check_layer(
    store: LocalStore, image: Image, number: int, folder: str, below: list[str], what: str, hint: str
) -> Iterator[Finding]:
    layer = image.layers[number - 1]
    changes = Changes(MergedLayers(below), what)
    contents: dict[int, str] = {}
    try:
        with layer_entries(store, layer, what) as tar:
            for change in changes.of(read_tar(tar, what)) if folder else ():
                if isinstance(change, Put) and change.data is not None and change.node.kind == "file":
                    contents[id(change.node)] = _hash_data(change.data, change.node.size)
            tar.verify(layer.diff_id)
    except JettisonError as error:
        yield Finding(what, error.message, hint)
        return
    different = _first_difference(folder, changes.root, contents) if folder else ""
    if different:
        hint = "`jettison fsck --repair` removes it; it is unpacked again at the next run"
        yield Finding(f"unpacked {what}", f"`{different}` is not as in the layer", hint, folder)


def _first_difference(folder: str, root: Folder, contents: dict[int, str]) -> str:
    """A path that is not in the folder as it is in the layer. Devices are passed over: only root unpacks them."""
    todo: list[tuple[str, Folder | Node]] = [("", root)]
    while todo:
        path, item = todo.pop()
        node = item.node if isinstance(item, Folder) else item
        if node.kind in ("char", "block"):
            continue
        found = node_of(folder + path)
        if found is None or (found.kind, found.size, found.target) != (node.kind, node.size, node.target):
            return path or "/"
        if id(node) in contents and _hash_file(folder + path) not in ("", contents[id(node)]):
            return path
        if isinstance(item, Folder):
            todo += [(f"{path}/{name}", child) for name, child in item.children.items()]
    return ""


def _hash_data(data: Data, size: int) -> str:
    """The digest of a file, its holes as zeros."""
    found = hashlib.sha256()
    end = 0
    for offset, chunk in data:
        _hash_zeros(found, offset - end)
        found.update(chunk)
        end = offset + len(chunk)
    _hash_zeros(found, size - end)
    return found.hexdigest()


def _hash_zeros(found: "hashlib._Hash", count: int) -> None:
    zeros = bytes(min(count, _READ_BYTES))
    while count > 0:
        found.update(zeros[: min(count, _READ_BYTES)])
        count -= _READ_BYTES


def _hash_file(path: str) -> str:
    """The digest of a file's bytes; empty where we may not read it."""
    found = hashlib.sha256()
    try:
        with HostFile(path).open() as stream:
            while data := stream.read(_READ_BYTES):
                found.update(data)
    except PermissionError:
        return ""
    return found.hexdigest()


def _check_tags(store: LocalStore) -> Iterator[Finding]:
    known = {store.tag_path(reference) for reference, _ in store.tags()}
    for name in sorted(os.listdir(f"{store.path}/tags")) if os.path.isdir(f"{store.path}/tags") else ():
        path = f"{store.path}/tags/{name}"
        if path not in known:
            yield Finding(f"name `{name}`", "is no name of an image", "`jettison fsck --repair` removes it", path)


def _check_records(store: LocalStore) -> Iterator[Finding]:
    for name in sorted(os.listdir(f"{store.path}/run")) if os.path.isdir(f"{store.path}/run") else ():
        path = f"{store.path}/run/{name}"
        try:
            with HostFile(path).open() as stream:
                layers = record_layers(stream.read())
        except OSError:
            layers = [""]
        missing = [layer for layer in layers if not (is_hex(layer) and os.path.isdir(f"{store.path}/layers/{layer}"))]
        if missing or not is_hex(name):
            hint = "`jettison fsck --repair` removes it; it is made again at the next run"
            yield Finding(f"run record `{name}`", "leads to layers that are not there", hint, path)
