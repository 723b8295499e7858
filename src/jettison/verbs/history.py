"""What made each layer of an image."""

from typing import NamedTuple

from jettison.image.image import Layer
from jettison.image.store import LocalStore
from jettison.oci.config import History


class Step(NamedTuple):
    """A line of the history, and the layer it made; None where it changed the configuration only."""

    line: History
    layer: Layer | None


def history(store: LocalStore, name: str) -> list[Step]:
    """The steps that made an image, the last one first, as docker shows them. Errors: NotFound, InvalidData."""
    image = store.image(store.resolve(name)[1])
    layers = list(image.layers)[::-1]
    steps = [Step(line, None if line.empty_layer or not layers else layers.pop()) for line in image.config.history]
    steps += [Step(History(""), layer) for layer in reversed(layers)]  # not every builder tells
    return steps[::-1]
