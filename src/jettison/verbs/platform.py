"""`run --platform`: that an image is for the platform that was asked for."""

from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.oci.platform import Platform


def require_platform(store: str, image: str, text: str) -> None:
    """Errors: UsageError where it is for another; NotFound, InvalidData."""
    wanted = Platform.parse(text)
    local = open_store(store)
    actual = local.image(local.resolve(image)[1]).platform
    # An image that says nothing of a variant is for each of them.
    if actual[:2] != wanted[:2] or (wanted.variant and actual.variant and wanted.variant != actual.variant):
        hint = "leave `--platform` out, or load the image that is for it"
        raise UsageError(f"image `{image}` is not for the platform that was asked for: expected {wanted}, found {actual}", hint)
