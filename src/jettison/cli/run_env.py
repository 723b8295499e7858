"""The environment of `run` and `exec`, in docker's words. Imported only where one is given."""

import os

from jettison.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jettison.cli.flags import Values


def variables(values: "Values") -> "list[str]":
    """What `--ca` says, then files, then flags: the last word counts. Errors: UsageError."""
    texts = []
    if values.has("ca"):
        from jettison.cli import run_ca

        texts += run_ca.variables()
    texts += [text for path in values.texts("env-file") for text in _env_file(path)]
    for text in values.texts("env"):
        if not text or text.startswith("="):
            raise UsageError(f"`{text}` is no variable: expected NAME=VALUE or NAME")
        texts.append(_with_value(text))
    return texts


def _with_value(text: str) -> str:
    """NAME alone takes the caller's value, and is no variable where the caller has none."""
    return text if "=" in text or text not in os.environ else f"{text}={os.environ[text]}"


def _env_file(path: str) -> "list[str]":
    """docker's format: NAME=VALUE or NAME a line, the value to the letter; `#` begins a comment."""
    try:
        with open(path, "rb") as stream:
            lines = stream.read().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    texts = []
    for number, line in enumerate(lines, 1):
        text = os.fsdecode(line.removesuffix(b"\r").lstrip())
        name = text.partition("=")[0]
        if not text or text.startswith("#"):
            continue
        if not name or "\0" in text or any(mark.isspace() for mark in name):
            raise UsageError(f"line {number} of `{path}` is no variable: `{text:.40}`", "expected NAME=VALUE or NAME")
        if "=" in text or name in os.environ:
            texts.append(_with_value(text))
    return texts
