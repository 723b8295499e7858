"""Nodes as a tar stream: the same nodes give the same bytes, on any machine.

Entries are in byte order of their paths, in the POSIX ustar format, with a pax header only for what ustar cannot say. Holes of
sparse files are written as zeros: the tar-split of docker and podman cannot give a sparse entry back as it was.
"""

from collections.abc import Iterable, Iterator

from jettison.errors import HostError
from jettison.tree.node import Kind, Node
from jettison.tree.root import open_content, unreadable

BLOCK = 512
END = bytes(2 * BLOCK)
_PIECE_BYTES = 1 << 20

_TYPES: dict[Kind, bytes] = {"file": b"0", "symlink": b"2", "char": b"3", "block": b"4", "dir": b"5", "fifo": b"6"}
_HARD_LINK = b"1"
_PAX = b"x"
_NAME_BYTES = 100
_PREFIX_BYTES = 155
_OCTAL_LIMITS = {"uid": 8**7, "gid": 8**7, "size": 8**11, "mtime": 8**11}


def entries(nodes: Iterable[tuple[str, Node]]) -> Iterator[tuple[bytes, str, Node | None]]:
    """The tar stream in pieces: a header, and the path and Node whose content follows it (None where no content does).

    `nodes` are (path, Node), in any order. `/` itself is not written.
    """
    first_of: dict[tuple[int, int], bytes] = {}
    for path, node in sorted(nodes, key=lambda item: _name(item[0])):
        if path == "/":
            continue
        name = _name(path)
        if node.inode is not None:
            target = first_of.setdefault(node.inode, name)
            if target is not name:
                yield _header(name, node._replace(size=0), _HARD_LINK, target), path, None
                continue
        has_content = node.kind == "file" and node.size > 0
        yield _header(name, node, _TYPES[node.kind], _bytes(node.target)), path, node if has_content else None


def padding(size_bytes: int) -> bytes:
    """The zeros that fill a file's last block."""
    return bytes(-size_bytes % BLOCK)


def stream(nodes: Iterable[tuple[str, Node]]) -> Iterator[bytes]:
    """The tar stream in pieces of at most a mebibyte.

    Errors: HostError for a file that cannot be read, or became shorter than its node says while it was read.
    """
    for header, path, node in entries(nodes):
        yield header
        if node is not None:
            yield from _content(path, node)
            yield padding(node.size)
    yield END


def _content(path: str, node: Node) -> Iterator[bytes]:
    left = node.size
    with open_content(path, node) as file:
        while left:
            try:
                data = file.read(min(left, _PIECE_BYTES))
            except OSError as error:
                raise unreadable(path, error) from error
            if not data:
                raise HostError(f"`{path}` became shorter while it was read", "pack again when nothing writes to it")
            left -= len(data)
            yield data


def _name(path: str) -> bytes:
    return _bytes(path[1:])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _header(name: bytes, node: Node, type_flag: bytes, link: bytes) -> bytes:
    """A ustar header, with a pax header before it where ustar cannot say everything."""
    if type_flag == b"5":
        name += b"/"
    pax: list[tuple[bytes, bytes]] = []
    prefix, short_name = _split(name)
    if short_name is None:
        pax.append((b"path", name))
        short_name = name[:_NAME_BYTES]
    if len(link) > _NAME_BYTES:
        pax.append((b"linkpath", link))
    numbers = {"uid": node.uid, "gid": node.gid, "size": node.size, "mtime": node.mtime}
    for key, number in numbers.items():
        if not 0 <= number < _OCTAL_LIMITS[key]:
            pax.append((key.encode(), str(number).encode()))
            numbers[key] = 0
    if type_flag != _HARD_LINK:  # a hard link's attributes are its target's
        pax += [(b"SCHILY.xattr." + _bytes(key), value) for key, value in node.xattrs]
    block = _ustar(short_name, prefix, type_flag, link[:_NAME_BYTES], node, numbers)
    if not pax:
        return block
    records = b"".join(_record(key, value) for key, value in sorted(pax))
    size = {"uid": 0, "gid": 0, "size": len(records), "mtime": 0}
    extended = _ustar(b"PaxHeaders/" + short_name[:88].rstrip(b"/"), b"", _PAX, b"", Node("file", 0o644), size)
    return extended + records + padding(len(records)) + block


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """ustar's prefix and name; the name is None where they cannot hold it."""
    if len(name) <= _NAME_BYTES:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME_BYTES - 1, _PREFIX_BYTES + 1)
    if 0 < cut < len(name) - 1:
        return name[:cut], name[cut + 1 :]
    return b"", None


def _ustar(name: bytes, prefix: bytes, type_flag: bytes, link: bytes, node: Node, numbers: dict[str, int]) -> bytes:
    major, minor = node.device if node.kind in ("char", "block") else (0, 0)
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % node.mode,
        b"%07o\0" % numbers["uid"],
        b"%07o\0" % numbers["gid"],
        b"%011o\0" % numbers["size"],
        b"%011o\0" % numbers["mtime"],
        b" " * 8,
        type_flag,
        link.ljust(100, b"\0"),
        b"ustar\x0000",
        bytes(64),  # names of user and group: the numbers alone count
        b"%07o\0" % major,
        b"%07o\0" % minor,
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
