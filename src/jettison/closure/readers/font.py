"""A font: without one a program that draws text draws none. The one that fontconfig's configuration prefers for sans-serif."""

from collections.abc import Iterator

from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Need, Reason

# The order of `sans-serif` in fontconfig's 60-latin.conf, by the names of the families' files; then what else there is.
_PREFERRED = (
    "NotoSans-Regular.*", "DejaVuSans.ttf", "Verdana.ttf", "Arial.ttf", "LiberationSans-Regular.ttf", "FreeSans.*", "n019003l.*",
    "NimbusSans-Regular.*", "*Sans-Regular.*", "*-Regular.*", "*.[to]tf", "*.ttc", "*.pfb",
)  # fmt: skip
_FOLDERS = tuple(f"/usr{local}/share/fonts{levels}" for levels in ("/*/*", "/*", "", "/*/*/*") for local in ("", "/local"))


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The first font of the machine, by the order of preference."""
    from jettison.closure.rules import glob

    if subject.setting.is_new("font"):
        paths = (path for name in _PREFERRED for folder in _FOLDERS for path in sorted(glob(subject.root, f"{folder}/{name}")))
        yield from (Need(path, reason) for path in [next(paths, "")] if path)
