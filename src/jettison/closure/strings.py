"""What a program of a package says in its read-only data: the package's own folders and files that it opens by name."""

import re
from collections.abc import Iterator

from jettison.tree.root import Root, resolve

# A whole string, or one of a list with colons between, as search paths are.
_PATHS = re.compile(rb"(?<=[\0:])/(?:etc|lib|opt|usr|var)/[\x21-\x39\x3b-\x7e\x80-\xff]{2,255}(?=[\0:])")

# What packages bring for people and for compilers, and no program needs.
_FOR_PEOPLE = (
    "/usr/include/", "/usr/share/bug/", "/usr/share/doc/", "/usr/share/doc-base/", "/usr/share/gtk-doc/", "/usr/share/info/",
    "/usr/share/lintian/", "/usr/share/locale/", "/usr/share/man/",
)  # fmt: skip
# Folders of everybody: that a program names them says nothing.
_COMMON = re.compile(
    r"/(usr|lib|etc|var|opt|usr/lib/[^/]+-linux-[^/]+|var/\w+)|/usr/(local/)?(bin|sbin|lib|libexec|share|include|games)"
)


def named_paths(root: Root, data: bytes) -> Iterator[str]:
    """The absolute paths that a file's data name and that are there, real, each once; folders of everybody left out."""
    for text in sorted(set(_PATHS.findall(data))):
        name = text.decode("utf-8", "surrogateescape")
        found = resolve(root, name)
        if found.node is not None and not _COMMON.fullmatch(found.path):
            yield found.path


def is_for_people(path: str) -> bool:
    """Whether a file is documentation, a translation or a header."""
    return path.startswith(_FOR_PEOPLE) or path.endswith((".a", ".la"))
