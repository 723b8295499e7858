"""glibc's charsets: which module converts which, and which of them most texts are in. Facts: the comments in gconv-modules."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from jettison.tree.node import Node, made_file
from jettison.tree.root import Root, resolve

CONFIGURATION = "gconv-modules"
CACHE = "gconv-modules.cache"
INTERNAL = "INTERNAL"  # what every module converts from or to: glibc's wide characters
_LIMIT_BYTES = 4 << 20
_FOLDERS = re.compile(r"/(usr/)?lib(32|64|x32)?(/[^/]+-linux-[^/]+)?/gconv")

# Charsets that today's texts, mails and file names are in: Unicode's forms, ISO 8859, those of Windows, DOS and the Macintosh,
# Cyrillic ones, and those of Chinese, Japanese, Korean, Thai and Vietnamese. The rest is EBCDIC and national ASCIIs.
_COMMON = re.compile(
    r"UTF-(7|16|32)|UNICODE|ISO8859-\d+|CP125\d|CP(737|775|932)|IBM(437|850|852|855|857|858|86[0-6]|869|874)|MACINTOSH"
    r"|KOI8-(R|U|RU|T)|SJIS|EUC-(JP|JP-MS|KR|CN|TW)|ISO-2022-(JP|KR|CN)|GBK|GB18030|BIG5|BIG5HKSCS"
    r"|UHC|JOHAB|TIS-620|TCVN5712-1|VISCII|ARMSCII-8|GEORGIAN-(PS|ACADEMY)|HP-ROMAN8"
)


class Configuration(NamedTuple):
    """`modules` are (from, to, name of the module without `.so`); `aliases` name → charset; the first line of a name counts."""

    modules: tuple[tuple[str, str, str], ...]
    aliases: dict[str, str]


def folders(root: Root) -> list[str]:
    """The folders of modules, by their real paths."""
    from jettison.closure.rules import glob

    patterns = ("/usr/lib/*/gconv", "/usr/lib*/gconv", "/lib/*/gconv", "/lib*/gconv")
    found = {resolve(root, path).path for pattern in patterns for path in glob(root, pattern)}
    return sorted(path for path in found if _FOLDERS.fullmatch(path) and files(root, path))


def files(root: Root, folder: str) -> list[str]:
    """The files that configure a folder of modules."""
    paths = [f"{folder}/{CONFIGURATION}"]
    paths += [f"{folder}/{CONFIGURATION}.d/{name}" for name in root.listdir(f"{folder}/{CONFIGURATION}.d")]
    nodes = [(path, root.lstat(path)) for path in paths]
    return [path for path, node in nodes if node is not None and node.kind == "file"]


def configuration(root: Root, folder: str) -> Configuration:
    """What a folder's files say."""
    return _parse(line for path in files(root, folder) for line in _lines(root, path))


def is_common(module: str) -> bool:
    """Whether many texts are in a charset that the module converts."""
    return bool(_COMMON.fullmatch(module))


def modules_of(found: Configuration, charset: str) -> set[str]:
    """The modules of a charset by any of its names, as iconv(1) takes them."""
    name = charset.upper().rstrip("/") + "//"
    name = found.aliases.get(name, name)
    return {module for start, end, module in found.modules if name in (start, end) and INTERNAL in (start, end)}


def restricted(found: Configuration, modules: Collection[str]) -> Configuration:
    """What is left where there are these modules only, and what is built in."""
    kept = tuple(row for row in found.modules if row[2] in modules)
    gone = {name for row in found.modules for name in row[:2]} - {name for row in kept for name in row[:2]}
    return Configuration(kept, {alias: name for alias, name in found.aliases.items() if name not in gone})


def node(found: Configuration) -> Node:
    """A gconv-modules that says so."""
    lines = [f"alias {alias} {name}\n" for alias, name in found.aliases.items()]
    lines += [f"module {start} {end} {module} 1\n" for start, end, module in found.modules]
    return made_file("".join(lines).encode("utf-8", "surrogateescape"))


def _lines(root: Root, path: str) -> Iterator[list[str]]:
    """The words of each line that says something, `module FROM TO NAME [COST]` or `alias NAME CHARSET`, in capitals."""
    with root.open(path) as file:
        text = file.read(_LIMIT_BYTES).decode("utf-8", "surrogateescape")
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 4 and words[0] == "module":
            yield ["module", words[1].upper(), words[2].upper(), *words[3:5]]
        elif len(words) >= 3 and words[0] == "alias":
            yield ["alias", words[1].upper(), words[2].upper()]


def _parse(lines: Iterable[list[str]]) -> Configuration:
    modules: dict[tuple[str, str], str] = {}
    aliases: dict[str, str] = {}
    for words in lines:
        if words[0] == "module":
            modules.setdefault((words[1], words[2]), words[3].removesuffix(".so"))
        else:
            aliases.setdefault(words[1], words[2])
    return Configuration(tuple((*pair, name) for pair, name in modules.items()), aliases)
