"""An image's manifest and configuration, in docker's words."""

from typing import Any

from jettison.image.store import LocalStore
from jettison.oci.documents import parse


def inspect(store: LocalStore, name: str) -> dict[str, Any]:
    """What `docker inspect` tells of an image, and its manifest. Errors: NotFound, InvalidData."""
    _, digest = store.resolve(name)
    image = store.image(digest)
    config = parse(image.raw_config, "config")
    names = [reference for reference, meaning in store.tags() if meaning == digest]
    return {
        "Id": str(image.manifest.config.digest),
        "Digest": str(digest),
        "RepoTags": [reference.familiar for reference in names],
        "RepoDigests": [f"{reference._replace(tag='', digest=digest).familiar}" for reference in names],
        "Created": image.config.created,
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": sum(layer.size for layer in image.manifest.layers),
        "Config": config.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.config.diff_ids]},
        "Manifest": parse(image.raw_manifest, "manifest"),
    }
