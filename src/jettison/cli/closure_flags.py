"""The flags of the verbs that compute a closure, and make an image of it."""

from jettison.cli.flags import Flag, Values
from jettison.closure.choices import CHARSETS, LEVELS, Charsets, Choices, Level
from jettison.errors import UsageError
from jettison.image.layers import COMPRESSIONS, Compression

CLOSURE_FLAGS = (
    Flag("level", "what comes along: minimal what is certain, balanced (default) what is likely, safe every hint", "LEVEL"),
    Flag("locale", "add a locale besides C.UTF-8, like de_DE.UTF-8", "LOCALE", repeats=True),
    Flag("charsets", "iconv's charsets: common (default), all or none", "WHICH"),
    Flag("shell", "the shell for programs that start one: auto (default), none, or a path", "SHELL"),
    Flag("rules", "follow the rules of this file too", "FILE", repeats=True),
)


def choices(values: Values) -> Choices:
    """What the flags say. Errors: UsageError."""
    shell = values.text("shell", "auto")
    if shell not in ("auto", "none") and not shell.startswith("/"):
        raise UsageError(f"`--shell {shell}`: expected auto, none or an absolute path")
    return Choices(
        _level(values.text("level", "balanced")),
        tuple(values.texts("locale")),
        _charsets(values.text("charsets", "common")),
        shell,
        tuple(values.texts("rules")),
    )


def _level(text: str) -> Level:
    for name in LEVELS:
        if text == name:
            return name
    raise UsageError(f"`--level {text}`: expected {', '.join(LEVELS)}")


def _charsets(text: str) -> Charsets:
    for name in CHARSETS:
        if text == name:
            return name
    raise UsageError(f"`--charsets {text}`: expected {', '.join(CHARSETS)}")


def compression(values: Values) -> Compression:
    """What `--compression` says. Errors: UsageError."""
    text = values.text("compression", "gzip")
    for name in COMPRESSIONS:
        if text == name:
            return name
    raise UsageError(f"`--compression {text}`: expected {', '.join(COMPRESSIONS)}")
