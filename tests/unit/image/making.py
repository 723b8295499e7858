"""Images made by hand for tests: layers are written by Python's own tarfile, not by jettison."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable

from jettison.image.image import Image, Layer, assemble
from jettison.image.store import LocalStore
from jettison.oci.config import ImageConfig
from jettison.oci.digest import Digest
from jettison.oci.manifest import OCI_LAYER, Descriptor
from jettison.oci.platform import Platform

Item = tuple[str, str] | tuple[str, str, bytes | str] | tuple[str, str, bytes | str, dict[str, object]]

TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def tar(items: Iterable[Item]) -> bytes:
    """An archive of (kind, name[, bytes or target[, attributes of TarInfo]])."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for kind, name, *rest in items:
            info = tarfile.TarInfo(name)
            info.type = TYPES[kind]
            info.mode = 0o755 if kind == "dir" else 0o644
            content = rest[0] if rest else b""
            if isinstance(content, str):
                info.linkname, content = content, b""
            info.size = len(content)
            for key, value in (rest[1] if len(rest) > 1 else {}).items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def image(store: LocalStore, *layers: bytes, config: ImageConfig | None = None, compress: bool = True) -> Image:
    """An image of these tar archives in the store, without a name."""
    with store.batch() as batch:
        made = []
        for data in layers:
            blob = gzip.compress(data, mtime=0) if compress else data
            media_type = OCI_LAYER + ("+gzip" if compress else "")
            diff_id = Digest("sha256", hashlib.sha256(data).hexdigest())
            made.append(Layer(Descriptor(media_type, batch.put(blob), len(blob)), diff_id))
        result = assemble(config or ImageConfig(Platform.host()), tuple(made))
        batch.put(result.raw_config)
        batch.put(result.raw_manifest)
    return result
