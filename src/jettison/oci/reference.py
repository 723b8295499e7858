"""An image's name, exactly as Docker normalises it."""

import re
from typing import NamedTuple

from jettison.errors import UsageError
from jettison.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

# The grammar of github.com/distribution/reference, re-stated.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
_HOST = rf"(?:{_DOMAIN}|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_NAME_LIMIT = 255


class Reference(NamedTuple):
    """`domain/path:tag@digest`; `tag` is empty when only a digest was given."""

    domain: str
    path: str
    tag: str
    digest: Digest | None = None

    def __str__(self) -> str:
        """The whole name, `docker.io/library/nginx:latest`."""
        return f"{self.domain}/{self.path}{self._suffix}"

    @property
    def familiar(self) -> str:
        """The name as a user types it, `nginx:latest`."""
        path = self.path.removeprefix("library/") if self.domain == DEFAULT_DOMAIN else f"{self.domain}/{self.path}"
        return path + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @staticmethod
    def parse(text: str) -> "Reference":
        """Read a name as docker does: `app` is `docker.io/library/app:latest`. Errors: UsageError."""
        name, at, digest_text = text.partition("@")
        digest = _parse_digest(text, digest_text) if at else None
        tag = ""
        if ":" in name.rpartition("/")[2]:
            name, _, tag = name.rpartition(":")
            if not _TAG.fullmatch(tag):
                raise UsageError(f"`{text}` is not an image name: `{tag}` is not a tag")
        domain, path = _split_domain(name)
        if path != path.lower():
            raise UsageError(f"`{text}` is not an image name: it must be lower case", f"try `{text.lower()}`")
        if not _PATH.fullmatch(path) or not (domain == DEFAULT_DOMAIN or re.fullmatch(_HOST, domain)):
            raise UsageError(f"`{text}` is not an image name", "a name is like `app`, `team/app:1.2` or `host:5000/app`")
        if len(domain) + 1 + len(path) > _NAME_LIMIT:
            raise UsageError(f"`{text:.40}…` is not an image name: it is longer than {_NAME_LIMIT} characters")
        return Reference(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)


def _parse_digest(text: str, digest_text: str) -> Digest:
    try:
        return Digest.parse(digest_text)
    except Exception as error:
        raise UsageError(f"`{text}` is not an image name: `{digest_text}` is not a digest") from error


def _split_domain(name: str) -> tuple[str, str]:
    """Docker's rule: the first component is a host if it has a dot, a colon or a capital, or is `localhost`."""
    first, slash, rest = name.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    domain, path = (first, rest) if is_host else (DEFAULT_DOMAIN, name)
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path
