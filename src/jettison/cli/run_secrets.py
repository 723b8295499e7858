"""`--secret` of `jettison run`: values that are in no image, no environment, no command line and on no disk.

An error names a key or an id, never what stands in the place of a value: it may be the secret.
"""

import os

from jettison.errors import UsageError
from jettison.sandbox.memory import MemoryFolder
from jettison.verbs.run import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = "/run/secrets"
_LIMIT_BYTES = 1 << 20
_FORM = "`--secret id=NAME,src=FILE` or `--secret id=NAME,env=VARIABLE`"
_KEYS = {"id": "id", "src": "src", "source": "src", "env": "env"}


def secrets(texts: "Sequence[str]") -> MemoryFolder:
    """The folder of all secrets. Errors: UsageError."""
    found: dict[str, bytes] = {}
    for text in texts:
        name, content = _secret(text)
        if name in found:
            raise UsageError(f"there are two secrets `{name}`", "each needs an id of its own")
        found[name] = content
    return MemoryFolder(FOLDER, "the secrets", list(found.items()), 0o400)


def _secret(text: str) -> "tuple[str, bytes]":
    fields = _fields(text)
    name = fields.get("id", "")
    if not is_name(name):
        raise UsageError("a secret's id is a file name of letters, digits, `_`, `.` and `-`, a letter or digit first", _FORM)
    if ("src" in fields) == ("env" in fields):
        raise UsageError(f"secret `{name}` needs a file or a variable, and not both", _FORM)
    content = _file(name, fields["src"]) if "src" in fields else _variable(name, fields["env"])
    if len(content) > _LIMIT_BYTES:
        raise UsageError(f"secret `{name}` is larger than 1 MiB", "a volume shows larger files: `-v FILE:/TARGET:ro`")
    return name, content


def _fields(text: str) -> "dict[str, str]":
    fields: dict[str, str] = {}
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals or not value:
            raise UsageError("a secret is given by keys with values", f"expected {_FORM}")
        if key not in _KEYS or _KEYS[key] in fields:
            raise UsageError(f"a secret has {'two keys' if key in _KEYS else 'no key'} `{key}`", f"expected {_FORM}")
        fields[_KEYS[key]] = value
    return fields


def _file(name: str, path: str) -> bytes:
    """Also a pipe, as of `src=<(pass show db)`."""
    try:
        with open(path, "rb") as stream:
            return stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the file of secret `{name}`: {error.strerror}", "`src=` names a file of this machine"
        ) from error


def _variable(name: str, variable: str) -> bytes:
    value = os.environb.get(os.fsencode(variable))
    if value is None:
        raise UsageError(f"the variable of secret `{name}` is not set", "`env=` names a variable of this shell; is it exported?")
    return value
