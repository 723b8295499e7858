"""The local store: blobs by digest, names in an OCI layout on disk, safe under crashes and many writers.

    blobs/sha256/<hex>   what the digest names; under its final name it is whole
    tags/<name>          one small file a name, `sha256:<hex>` of a manifest: the truth about names
    index.json           derived from tags/ for other tools; never read here
    layers/<hex>/        an unpacked layer, by diff id; under its final name it is whole
    run/<hex>            what `jettison run` needs to know of an image, by its manifest's digest
    containers/<id>/     the state of a container, see sandbox/state.py; names/<name> links to it
    tmp/                 what is being written; a dead writer's leftovers do no harm
    lock                 writers hold it shared, a clean-up holds it alone

Every file is written in tmp/, synced, renamed into place, and its folder is synced: readers see the old state or the new one,
also after a power cut.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from jettison.errors import HostError, InvalidData, NotFound, UsageError
from jettison.image.batch import Batch as Batch
from jettison.image.batch import BlobWriter
from jettison.image.durable import create, locked, remove_tree, sync_folder, try_lock, unlink
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference
from jettison.tree.node import HostFile
from jettison.tree.root import unreadable

if TYPE_CHECKING:
    from jettison.image.image import Image

DOCUMENT_LIMIT_BYTES = 4 << 20
_PARTS = ("tmp", "tags", "blobs", "blobs/sha256", "layers", "run", "oci-layout")
_OWN_NAMES = {"blobs", "cache", "containers", "layers", "names", "run", "tags", "tmp", "volumes"}
_OWN_NAMES |= {"oci-layout", "lock", "index.lock", "index.json", "lost+found"}
_PLAIN = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_HEX = set("0123456789abcdef")
_NAME_LIMIT_BYTES = 255  # NAME_MAX of Linux's filesystems


class LocalStore:
    """Blobs, names and unpacked layers below one folder. Nothing is created before the first write."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)

    # Blobs

    def put(self, data: bytes) -> Digest:
        """Keep `data`. Idempotent: success means the blob is there, whoever put it."""
        with self.batch() as batch:
            return batch.put(data)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """A writer of one blob, which is there after the `with`; it has `digest` and `size` then."""
        with self.batch() as batch, batch.writer() as writer:
            yield writer

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Several blobs that appear together at the end of the `with`, or not at all when it is left by an error."""
        with self.writing():
            batch = Batch(self)
            try:
                yield batch
                batch.commit()
            finally:
                batch.discard()

    def open(self, digest: Digest) -> BinaryIO:
        """The blob's bytes, not verified. Errors: NotFound, HostError."""
        try:
            return HostFile(self.blob_path(digest)).open()
        except FileNotFoundError as error:
            raise NotFound(f"no blob {digest} in the store `{self.path}`", "`jettison fsck` tells what is affected") from error
        except OSError as error:
            raise unreadable(self.blob_path(digest), error) from error

    def read(self, digest: Digest, limit_bytes: int = DOCUMENT_LIMIT_BYTES) -> bytes:
        """A small blob's bytes, verified. Errors: NotFound, InvalidData."""
        with self.open(digest) as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise InvalidData(f"blob {digest} is larger than {limit_bytes} bytes, too large for a document")
        if Digest.of(data) != digest:
            raise InvalidData(f"blob {digest} has other bytes than its name says", "`jettison fsck` tells what is affected")
        return data

    def has(self, digest: Digest) -> bool:
        return os.path.exists(self.blob_path(digest))

    def size(self, digest: Digest) -> int:
        """The blob's length in bytes. Errors: NotFound."""
        try:
            return os.stat(self.blob_path(digest)).st_size
        except FileNotFoundError as error:
            raise NotFound(f"no blob {digest} in the store `{self.path}`") from error

    def delete(self, digest: Digest) -> int:
        """Remove a blob; how many bytes that freed. Idempotent: 0 where there is none."""
        try:
            return remove_tree(self.blob_path(digest))
        except FileNotFoundError:
            return 0

    def digests(self) -> list[Digest]:
        """All blobs, sorted. Files of other names are not ours and are passed over."""
        names = sorted(_names(f"{self.path}/blobs/sha256"))
        return [Digest("sha256", name) for name in names if is_hex(name)]

    def image(self, digest: Digest) -> "Image":
        """The image whose manifest has this digest, its documents verified. Errors: NotFound, InvalidData."""
        from jettison.image.image import Image
        from jettison.oci.documents import parse
        from jettison.oci.manifest import parse_manifest

        raw_manifest = self.read(digest)
        manifest = parse_manifest(parse(raw_manifest, f"manifest {digest}"), f"manifest {digest}")
        return Image(raw_manifest, self.read(manifest.config.digest))

    # Names

    def tag(self, reference: Reference, digest: Digest) -> None:
        """Let the name mean the image with this manifest, whatever it meant before. Errors: NotFound, UsageError."""
        path = self.tag_path(reference)
        with self.writing():
            if not self.has(digest):
                raise NotFound(f"no image {digest} in the store, so it cannot be named `{reference.familiar}`")
            self.replace(path, f"{digest}\n".encode())
            self.write_index()

    def untag(self, reference: Reference) -> bool:
        """Forget the name; False where it meant nothing."""
        with self.writing():
            try:
                os.unlink(self.tag_path(reference))
            except FileNotFoundError:
                return False
            sync_folder(f"{self.path}/tags")
            self.write_index()
        return True

    def tags(self) -> list[tuple[Reference, Digest]]:
        """All names and what they mean, sorted. Files that are no names of ours are passed over."""
        found = []
        for name in sorted(_names(f"{self.path}/tags")):
            try:
                reference = Reference.parse(_decode(name))
            except UsageError:
                continue
            digest = self._read_tag(name)
            if digest is not None and tag_name(reference) == name:
                found.append((reference, digest))
        return found

    def resolve(self, text: str) -> tuple[Reference | None, Digest]:
        """What a user's word means: a name, `name@digest`, a digest, or a unique beginning (four digits or more) of a
        manifest's or a configuration's digest. Errors: NotFound, UsageError where several images begin so.
        """
        digits = text.removeprefix("sha256:")
        is_digest = len(digits) >= 4 and _HEX.issuperset(digits)
        if not is_digest or (digits == text and len(digits) != 64):
            reference = _parse_or_none(text) if is_digest else Reference.parse(text)
            digest = self._meaning(reference) if reference else None
            if digest is not None:
                return reference, digest
        if is_digest:
            return None, self._find(text, digits)
        raise self._no_image(text)

    def tag_path(self, reference: Reference) -> str:
        """Where the name is kept, or would be. Errors: UsageError for a name that cannot be kept."""
        name = tag_name(reference)
        if reference.digest or not reference.tag:
            raise UsageError(f"`{reference.familiar}` names an image by digest, expected NAME[:TAG]")
        if len(name) > _NAME_LIMIT_BYTES:
            hint = f"at most {_NAME_LIMIT_BYTES} characters, where each `/` and `:` counts for three"
            raise UsageError(f"`{reference.familiar:.40}…` is too long for a name in the store", hint)
        return f"{self.path}/tags/{name}"

    def layer_path(self, diff_id: Digest) -> str:
        """Where the layer is unpacked, or would be."""
        return f"{self.path}/layers/{diff_id.hex}"

    def run_path(self, digest: Digest) -> str:
        """Where the run record of the image with this manifest is, or would be."""
        return f"{self.path}/run/{digest.hex}"

    def blob_path(self, digest: Digest) -> str:
        """Where the blob is, or would be."""
        return f"{self.path}/blobs/{digest.algorithm}/{digest.hex}"

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """No clean-up happens meanwhile. May be nested, and held by many processes and threads at once."""
        self._make_ready()
        with locked(f"{self.path}/lock", fcntl.LOCK_SH):
            yield

    @contextmanager
    def cleaning(self) -> Iterator[None]:
        """Nobody else writes meanwhile; waits for those who do. Not to be nested in `writing`."""
        self._make_ready()
        with locked(f"{self.path}/lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def cleaning_if_idle(self) -> Iterator[bool]:
        """As `cleaning`, without waiting: False where somebody writes."""
        self._make_ready()
        with locked(f"{self.path}/lock", 0) as descriptor:
            yield try_lock(descriptor)

    def temporary(self) -> str:
        """A path in tmp/ that nobody else uses. Only while `writing`."""
        return f"{self.path}/tmp/{os.getpid()}-{os.urandom(8).hex()}"

    def replace(self, path: str, data: bytes) -> None:
        """Give the file at `path` these bytes: readers see the old ones or the new ones. Only while `writing`."""
        temporary = self.temporary()
        try:
            with create(temporary) as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, path)
        except BaseException:
            unlink(temporary)
            raise
        sync_folder(os.path.dirname(path))

    def _make_ready(self) -> None:
        """Make what is missing of the store's folders. Errors: HostError, UsageError where the folder is something else."""
        if all(os.path.exists(f"{self.path}/{part}") for part in _PARTS):
            return
        _refuse_other_folder(self.path)
        try:
            _make_folder(self.path)
            with locked(f"{self.path}/lock", fcntl.LOCK_SH):
                for part in _PARTS[:-1]:
                    _make_folder(f"{self.path}/{part}")
                self.replace(f"{self.path}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        except (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError) as error:
            hint = "choose another with `--store DIR` or $JETTISON_HOME"
            raise HostError(f"cannot write to the store `{self.path}`: {error.strerror}", hint) from error

    def write_index(self) -> None:
        """Derive index.json from tags/. Under its own lock, so that an older view never replaces a newer one."""
        from jettison.image.layout import index_of

        with locked(f"{self.path}/index.lock", fcntl.LOCK_EX):
            temporary = self.temporary()
            try:
                with create(temporary) as stream:
                    stream.write(index_of(self))
                os.rename(temporary, f"{self.path}/index.json")
            except BaseException:
                unlink(temporary)
                raise

    # Looking up

    def _read_tag(self, name: str) -> Digest | None:
        try:
            with HostFile(f"{self.path}/tags/{name}").open() as stream:
                text = stream.read(100).decode("ascii", "replace").removesuffix("\n")
        except OSError:
            return None
        digits = text.removeprefix("sha256:")
        return Digest("sha256", digits) if is_hex(digits) and digits != text else None

    def _meaning(self, reference: Reference) -> Digest | None:
        if reference.digest is None:
            name = tag_name(reference)
            return self._read_tag(name) if len(name) <= _NAME_LIMIT_BYTES else None
        return reference.digest if self.has(reference.digest) else None

    def _find(self, text: str, digits: str) -> Digest:
        if len(digits) == 64 and os.path.exists(f"{self.path}/run/{digits}"):  # only manifests have run records
            return Digest("sha256", digits)
        from jettison.image.layout import find_manifests

        found = find_manifests(self, digits)
        if not found:
            raise self._no_image(text)
        if len(found) > 1:
            listing = ", ".join(f"`{digest.hex[:20]}`" for digest in sorted(found))
            raise UsageError(f"`{text}` is the beginning of several images: {listing}", "give more digits")
        return found.pop()

    def _no_image(self, text: str) -> NotFound:
        return NotFound(f"no image `{text}` in the store", "`jettison images` lists what is there")


def open_store(path: str | None = None) -> LocalStore:
    """The store at `path`, or the user's: $JETTISON_HOME, $XDG_DATA_HOME/jettison, ~/.local/share/jettison."""
    data_home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return LocalStore(path or os.environ.get("JETTISON_HOME") or f"{data_home}/jettison")


def tag_name(reference: Reference) -> str:
    """The file name in tags/ of a reference: what is not plain is percent-encoded."""
    return "".join(c if c in _PLAIN else f"%{ord(c):02X}" for c in str(reference))


def is_hex(text: str, length: int = 64) -> bool:
    """Whether `text` is so many lower-case hexadecimal digits."""
    return len(text) == length and _HEX.issuperset(text)


def _refuse_other_folder(path: str) -> None:
    """A clean-up removes what no name refers to: never let it loose on a folder that is not ours."""
    names = set(_names(path))
    if not names <= _OWN_NAMES:
        raise UsageError(f"`{path}` is no store: it holds `{min(names - _OWN_NAMES)}`", "name an empty or a new folder")
    if "index.json" in names and not names & {"tags", "lock", "tmp"}:
        raise UsageError(f"`{path}` is another tool's image folder, no store", f"`jettison load -i {path}` reads it")


def _make_folder(path: str) -> None:
    """A folder of ours alone: layers hold setuid programs with their owners (CVE-2021-41091)."""
    if not os.path.isdir(path):
        os.makedirs(path, 0o700, exist_ok=True)
    os.chmod(path, 0o700)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _decode(name: str) -> str:
    first, *rest = name.split("%")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] if is_hex(part[:2].lower(), 2) else "%" for part in rest)


def _parse_or_none(text: str) -> Reference | None:
    try:
        return Reference.parse(text)
    except UsageError:
        return None
