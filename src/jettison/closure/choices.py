"""What the user chooses about a closure: how sure it has to be, and what it brings of locales, charsets and shells."""

from typing import Literal, NamedTuple

from jettison.closure.why import Confidence

Level = Literal["minimal", "balanced", "safe"]
Charsets = Literal["all", "common", "none"]

# The confidences that each level takes.
LEVELS: dict[Level, tuple[Confidence, ...]] = {
    "minimal": ("certain",),
    "balanced": ("certain", "likely"),
    "safe": ("certain", "likely", "hint"),
}
CHARSETS: tuple[Charsets, ...] = ("all", "common", "none")


class Choices(NamedTuple):
    """`level`: minimal takes what is certain, balanced what is likely too, safe every hint.

    `locales`: those that the image has besides C.UTF-8. `charsets`: which of glibc's gconv modules come with iconv. `shell`:
    `auto` brings /bin/sh where a program starts one, `none` never, a path always. `rules`: files of the user's own rules.
    """

    level: Level = "balanced"
    locales: tuple[str, ...] = ()
    charsets: Charsets = "common"
    shell: str = "auto"
    rules: tuple[str, ...] = ()

    def admits(self, confidence: Confidence) -> bool:
        """Whether the level takes what is known with this confidence."""
        return confidence in LEVELS[self.level]
