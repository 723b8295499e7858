"""Images made by hand: the layers are written by Python's own tarfile, not by jettison."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jettison.closure.choices import Choices
from jettison.closure.facts import Facts, Setting
from jettison.image.image import Image, Layer, assemble
from jettison.image.store import LocalStore
from jettison.oci.config import ImageConfig
from jettison.oci.digest import Digest
from jettison.oci.manifest import OCI_LAYER, Descriptor
from jettison.oci.platform import Platform
from jettison.packages.package import Packages
from jettison.tree.root import Root

TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


class Item(NamedTuple):
    """An entry of an archive: `text` is a file's content or a link's target."""

    kind: str
    name: str
    text: str | bytes = ""
    mode: int | None = None
    owner: tuple[int, int] = (0, 0)
    mtime: float = 0
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] = {}


def tar(*items: Item) -> bytes:
    """An archive of these entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in items:
            info = tarfile.TarInfo(item.name)
            info.type = TYPES[item.kind]
            info.mode = item.mode if item.mode is not None else 0o755 if item.kind == "dir" else 0o644
            info.uid, info.gid = item.owner
            info.mtime = item.mtime
            info.devmajor, info.devminor = item.device
            info.pax_headers = dict(item.pax)
            content = b""
            if item.kind in ("symlink", "hardlink"):
                info.linkname = str(item.text)
            else:
                content = item.text.encode() if isinstance(item.text, str) else item.text
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def dirs(*names: str) -> list[Item]:
    return [Item("dir", name) for name in names]


def image(
    store: LocalStore,
    *layers: bytes,
    config: ImageConfig | None = None,
    compress: bool = True,
    annotations: tuple[tuple[str, str], ...] = (),
) -> Image:
    """An image of these archives in the store, without a name."""
    with store.batch() as batch:
        made = []
        for data in layers:
            blob = gzip.compress(data, mtime=0) if compress else data
            diff_id = Digest("sha256", hashlib.sha256(data).hexdigest())
            descriptor = Descriptor(OCI_LAYER + ("+gzip" if compress else ""), batch.put(blob), len(blob))
            made.append(Layer(descriptor, diff_id))
        result = assemble(config or ImageConfig(Platform.host()), tuple(made), annotations)
        batch.put(result.raw_config)
        batch.put(result.raw_manifest)
    return result


def archive(path: Path, layers: Iterable[bytes], config: Mapping[str, Any] | None, architecture: str = "amd64") -> Path:
    """A docker archive with the image fat:1 of these layers."""
    blobs = list(layers)
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(_plain(blob)).hexdigest()}" for blob in blobs]},
    }
    names = [f"{number}/layer.tar" for number in range(len(blobs))]
    files = {"config.json": json.dumps(document).encode(), **dict(zip(names, blobs, strict=True))}
    files["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": ["fat:1"], "Layers": names}]).encode()
    with tarfile.open(path, "w") as writer:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            writer.addfile(info, io.BytesIO(data))
    return path


def _plain(blob: bytes) -> bytes:
    return gzip.decompress(blob) if blob.startswith(b"\x1f\x8b") else blob


class Notices:
    """A Reporter that keeps the notices, and passes over the rest."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, verb: str, subject: str, detail: str = "") -> None:
        pass

    def notice(self, text: str, hint: str = "") -> None:
        self.said.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        pass


def setting(root: Root, choices: Choices | None = None) -> Setting:
    """The setting of a closure over `root`."""
    return Setting(Packages(root), Facts(), choices=choices or Choices())
