"""A tar stream → entries, one after the other, in bounded memory; the stream may come from an enemy.

Read are ustar and its older brothers, pax (POSIX.1-2001) and GNU's additions as tar(5) describes them. Names are told as they
stand in the archive: what they may do is decided by who acts on them.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from jettison.errors import HostileData, InvalidData

EntryKind = Literal["file", "dir", "symlink", "hardlink", "char", "block", "fifo"]
Extents = tuple[tuple[int, int], ...]

ENTRY_LIMIT = 1_000_000
_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_CHUNK_BYTES = 1 << 20
_EXTENSION_LIMIT_BYTES = 1 << 20  # the limit of go's archive/tar, which docker, podman and containerd read with
_NAME_LIMIT_BYTES = 4096  # PATH_MAX, with the NUL at the end
_COMPONENT_LIMIT_BYTES = 255  # NAME_MAX
_XATTR_LIMIT_BYTES = 64 << 10  # XATTR_SIZE_MAX
_SIZE_LIMIT = 1 << 44  # the largest file of ext4
_ID_LIMIT = (1 << 32) - 2  # chown(2) takes the largest number as "leave it"
_TIME_LIMIT_S = 1 << 40  # go's zero time, the year 1, is in real images
_KINDS: dict[bytes, EntryKind] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
_GNU_NAMES = {b"L": "path", b"K": "linkpath"}
_XATTR = "SCHILY.xattr."


class Source(Protocol):
    """Where the stream comes from."""

    def read(self, count: int, /) -> bytes:
        """The next `count` bytes; fewer at the end only."""


@runtime_checkable
class Skipping(Source, Protocol):
    """A stream that need not read what nobody asks for."""

    def skip(self, count: int, /) -> int:
        """Pass over the next `count` bytes; how many there were."""


class Data:
    """A file's bytes, to be taken before the next entry is asked for, or not at all."""

    def __init__(self, stream: "_Stream", extents: Extents, name: str) -> None:
        stored = sum(length for _, length in extents)
        self._stream = stream
        self._name = name
        self._left = stored + -stored % _BLOCK
        self.extents = extents

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) in order; what lies between is zeros that are not stored."""
        for offset, length in self.extents:
            for chunk in self._take(length):
                yield offset, chunk
                offset += len(chunk)

    def read(self, limit_bytes: int) -> bytes:
        """The bytes of a small file. Errors: HostileData beyond the limit."""
        if self._left > limit_bytes + _BLOCK:
            raise HostileData(f"refusing {self._stream.what}: `{self._name}` has more than {limit_bytes} bytes")
        return b"".join(chunk for _, chunk in self)

    def skip(self) -> None:
        """Pass over what was not taken."""
        self._stream.skip(self._left, self._name)
        self._left = 0

    def _take(self, count: int) -> Iterator[bytes]:
        while count:
            chunk = self._stream.exactly(min(count, _CHUNK_BYTES), self._name)
            count -= len(chunk)
            self._left -= len(chunk)
            yield chunk


class Entry(NamedTuple):
    """One entry. `name` and `target` stand here as in the archive, not UTF-8 as surrogates; `size` counts the holes too."""

    name: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: str
    device: tuple[int, int]
    xattrs: tuple[tuple[str, bytes], ...]
    data: Data


class _Header(NamedTuple):
    """What the entries that only describe the next one have said about it."""

    records: dict[str, bytes]
    xattrs: dict[str, bytes]


def read_tar(stream: Source, what: str, entry_limit: int = ENTRY_LIMIT) -> Iterator[Entry]:
    """The entries of the archive `what`. What follows its end stays in `stream`. Errors: InvalidData, HostileData."""
    tar = _Stream(stream, what)
    told = _Header({}, {})
    count = 0
    while (block := tar.header()) is not None:
        count += 1
        if count > entry_limit:
            raise HostileData(f"refusing {what}: it has more than {entry_limit} entries")
        kind = block[156:157]
        if kind in b"xXgLK":
            told = _extension(tar, block, kind, told)
            continue
        entry = _entry(tar, block, told)
        yield entry
        entry.data.skip()
        told = _Header({}, {})
    if told.records or told.xattrs:
        raise InvalidData(f"{what} ends before the entry that an extended header announces")


class _Stream:
    """Whole blocks of a stream, or an error that says where it ended."""

    def __init__(self, stream: Source, what: str) -> None:
        self._read = stream.read
        self._skip = stream.skip if isinstance(stream, Skipping) else None
        self.what = what

    def exactly(self, count: int, name: str) -> bytes:
        data = self._read(count)
        if len(data) == count:
            return data
        parts = [data]
        while data and (missing := count - sum(map(len, parts))):
            data = self._read(missing)
            parts.append(data)
        if not data:
            raise InvalidData(f"{self.what} ends inside `{name}`: it is truncated")
        return b"".join(parts)

    def skip(self, count: int, name: str) -> None:
        """Pass over `count` bytes."""
        if self._skip is not None:
            count -= self._skip(count)
        while count:
            count -= len(self.exactly(min(count, _CHUNK_BYTES), name))

    def header(self) -> bytes | None:
        """The next header; None at the archive's end: two blocks of zeros, or the stream's end."""
        block = self._read(_BLOCK)
        if not block:
            return None
        if len(block) < _BLOCK:
            block += self.exactly(_BLOCK - len(block), "a header")
        if block == _ZEROS:
            second = self._read(_BLOCK)
            if second.strip(b"\0"):
                raise InvalidData(f"{self.what} goes on after a block of zeros, which is half an end")
            return None
        found = _octal(block[148:156])
        if found != sum(block) - sum(block[148:156]) + 256 and found != _signed_sum(block):
            raise InvalidData(f"{self.what} is no tar archive, or broken: a header's checksum is wrong")
        return block


def _signed_sum(block: bytes) -> int:
    """The checksum as old writers made it (tar(5))."""
    return sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])


def _extension(tar: _Stream, block: bytes, kind: bytes, told: _Header) -> _Header:
    """An entry that describes the next one. A global one is passed over, as docker, podman and containerd do."""
    size = _limited(None, block[124:136], f"an extended header of {tar.what}", "size", _SIZE_LIMIT)
    if size > _EXTENSION_LIMIT_BYTES:
        raise HostileData(f"refusing {tar.what}: an extended header of {size} bytes, the limit is {_EXTENSION_LIMIT_BYTES}")
    data = Data(tar, ((0, size),), "an extended header")
    text = data.read(_EXTENSION_LIMIT_BYTES)
    data.skip()
    if kind == b"g":
        return told
    if kind in _GNU_NAMES:
        return told._replace(records={**told.records, _GNU_NAMES[kind]: text.partition(b"\0")[0]})
    return _pax(text, tar.what, told)


def _pax(text: bytes, what: str, told: _Header) -> _Header:
    """The records of a pax header."""
    records, xattrs = dict(told.records), dict(told.xattrs)
    sparse: list[bytes] = []
    for key, value in _pax_records(text, what):
        name = _text(key)
        if name.startswith(_XATTR):
            xattrs[name.removeprefix(_XATTR)] = value
        elif name in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            sparse.append(value)
        else:
            records[name] = value
    if sparse:
        records["GNU.sparse.map"] = b",".join(sparse)
    return _Header(records, xattrs)


def _pax_records(text: bytes, what: str) -> Iterator[tuple[bytes, bytes]]:
    """Each is `LENGTH KEY=VALUE` and a line feed, all of it counted in LENGTH."""
    start = 0
    while start < len(text):
        digits, space, _ = text[start : start + 20].partition(b" ")
        end = start + (int(digits) if digits.isdigit() and space else 0)
        record = text[start + len(digits) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if not key or not equals or end > len(text) or record[-1:] != b"\n" or b"\0" in key:
            raise InvalidData(f"{what} has a malformed extended header: `{_text(text[start : start + 40])!r}`")
        yield key, value
        start = end


def _entry(tar: _Stream, block: bytes, told: _Header) -> Entry:
    records = told.records
    name = _name(records.get("GNU.sparse.name") or records.get("path") or _header_name(block), tar.what)
    where = f"entry `{name}` of {tar.what}"
    kind = _KINDS.get(block[156:157])
    if kind is None:
        raise InvalidData(f"{where} is of the unknown type `{_text(block[156:157])!r}`")
    if block[156:157] == b"\0" and name.endswith("/"):  # how tar wrote folders before POSIX
        kind = "dir"
    target = records.get("linkpath") or block[157:257].partition(b"\0")[0]
    stored = _limited(records.get("size"), block[124:136], where, "size", _SIZE_LIMIT) if kind == "file" else 0
    size, extents = _extents(tar, block, records, stored, where) if kind == "file" else (0, ())
    return Entry(
        name,
        kind,
        _number(block[100:108], where, "mode") & 0o7777,
        _limited(records.get("uid"), block[108:116], where, "uid", _ID_LIMIT),
        _limited(records.get("gid"), block[116:124], where, "gid", _ID_LIMIT),
        _time(records.get("mtime"), block[136:148], where),
        size,
        _name(target, tar.what, is_path=kind == "hardlink") if kind in ("symlink", "hardlink") else "",
        _device(block, where) if kind in ("char", "block") else (0, 0),
        _xattrs(told.xattrs, where),
        Data(tar, extents, name),
    )


def _header_name(block: bytes) -> bytes:
    """The name field, with the prefix where the format has one: POSIX has 155 bytes of it, star 131, GNU and older none."""
    name = block[:100].partition(b"\0")[0]
    if block[257:263] != b"ustar\0":
        return name
    prefix = block[345 : 476 if block[508:512] == b"tar\0" else 500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix else name


def _name(name: bytes, what: str, is_path: bool = True) -> str:
    """A name as text. A symbolic link's target need not be one that can exist."""
    text = _text(name)
    if b"\0" in name:
        raise HostileData(f"refusing {what}: the name `{text!r:.80}` has a NUL byte")
    longest = max(map(len, name.split(b"/"))) if is_path else 0
    if len(name) >= _NAME_LIMIT_BYTES or longest > _COMPONENT_LIMIT_BYTES:
        raise HostileData(f"refusing {what}: the name `{text:.40}…` is longer than Linux allows")
    return text


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0").partition(b"\0")[0]
    return None if digits.strip(b"01234567") else int(digits or b"0", 8)


def _number(field: bytes, where: str, what: str) -> int:
    """A header's number: octal, or since GNU tar two's complement after a set first bit."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        number: int | None = int.from_bytes(field, "big", signed=True) if field[0] & 0x40 else value
    else:
        number = _octal(field)
    if number is None:
        raise InvalidData(f"{where} has no usable {what}: `{_text(field)!r}`")
    return number


def _decimal(text: bytes, where: str, what: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise InvalidData(f"{where} has no usable {what}: `{_text(text)!r:.40}`")
    return int(text)


def _limited(record: bytes | None, field: bytes, where: str, what: str, limit: int) -> int:
    number = _decimal(record, where, what) if record else _number(field, where, what)
    if not 0 <= number <= limit:
        raise InvalidData(f"{where} has the {what} {number}, expected 0 to {limit}")
    return number


def _time(record: bytes | None, field: bytes, where: str) -> int:
    """Whole seconds, rounded down. Errors: InvalidData, also for what only `float` would read, such as nan."""
    if not record:
        number = _number(field, where, "mtime")
    else:
        whole, _, fraction = record.partition(b".")
        number = _decimal(whole.removeprefix(b"-"), where, "mtime")
        if whole.startswith(b"-"):
            number = -number - bool(fraction.strip(b"0"))
    if abs(number) > _TIME_LIMIT_S:
        raise InvalidData(f"{where} has the mtime {number}, expected at most {_TIME_LIMIT_S}")
    return number


def _device(block: bytes, where: str) -> tuple[int, int]:
    """Major and minor, within what Linux has (12 and 20 bits)."""
    return (
        _limited(None, block[329:337], where, "device major", 0xFFF),
        _limited(None, block[337:345], where, "device minor", 0xFFFFF),
    )


def _xattrs(xattrs: dict[str, bytes], where: str) -> tuple[tuple[str, bytes], ...]:
    for name, value in xattrs.items():
        if len(value) > _XATTR_LIMIT_BYTES or not 0 < len(name) <= _COMPONENT_LIMIT_BYTES:
            raise InvalidData(f"{where} has the attribute `{name:.40}` of {len(value)} bytes, more than Linux keeps")
    return tuple(sorted(xattrs.items()))


# Sparse files: GNU tar's manual, "Storing Sparse Files", describes the four forms.


def _extents(tar: _Stream, block: bytes, records: dict[str, bytes], stored: int, where: str) -> tuple[int, Extents]:
    """The file's size, and where in it the stored bytes belong."""
    if block[156:157] == b"S":
        numbers, size = _old_sparse(tar, block, where), _number(block[483:495], where, "size")
    elif records.get("GNU.sparse.major") == b"1":
        numbers, used = _sparse_map_before_data(tar, stored, where)
        size, stored = _decimal(records.get("GNU.sparse.realsize", b""), where, "size"), stored - used
    elif "GNU.sparse.map" in records:
        numbers = [_decimal(text, where, "sparse map") for text in records["GNU.sparse.map"].split(b",") if text]
        size = _decimal(records.get("GNU.sparse.size", b""), where, "size")
    else:
        return stored, ((0, stored),)
    if len(numbers) % 2:
        raise HostileData(f"refusing {where}: its sparse map ends in the middle of a pair")
    extents = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    _check_extents(extents, size, stored, where)
    return size, extents


def _check_extents(extents: Extents, size: int, stored: int, where: str) -> None:
    end = 0
    for offset, length in extents:
        if offset < end or length < 0:
            raise HostileData(f"refusing {where}: its sparse map is not in order")
        end = offset + length
    if end > size or sum(length for _, length in extents) != stored:
        raise HostileData(f"refusing {where}: its sparse map does not fit its size")
    if size > _SIZE_LIMIT:
        raise HostileData(f"refusing {where}: it is {size} bytes large, the limit is {_SIZE_LIMIT}")


def _old_sparse(tar: _Stream, block: bytes, where: str) -> list[int]:
    """GNU tar's own format: four pairs in the header, then blocks of 21 pairs."""
    numbers: list[int] = []
    fields, more = block[386:482], block[482]
    while True:
        for start in range(0, len(fields), 24):
            if fields[start] == 0:
                break
            numbers += [_number(fields[start + at : start + at + 12], where, "sparse map") for at in (0, 12)]
        if not more:
            return numbers
        if len(numbers) * 12 > _EXTENSION_LIMIT_BYTES:
            raise HostileData(f"refusing {where}: its sparse map is longer than {_EXTENSION_LIMIT_BYTES} bytes")
        extension = tar.exactly(_BLOCK, where)
        fields, more = extension[:504], extension[504]


def _sparse_map_before_data(tar: _Stream, stored: int, where: str) -> tuple[list[int], int]:
    """Format 1.0: lines of numbers before the data, the first how many pairs follow, padded to a block."""
    blocks: list[bytes] = []
    wanted, found = 1, 0
    while found < wanted:
        if len(blocks) * _BLOCK >= min(stored, _EXTENSION_LIMIT_BYTES):
            raise HostileData(f"refusing {where}: its sparse map does not end")
        blocks.append(tar.exactly(_BLOCK, where))
        found += blocks[-1].count(b"\n")
        wanted = 1 + 2 * _decimal(blocks[0].partition(b"\n")[0], where, "sparse map")
    lines = b"".join(blocks).split(b"\n")
    return [_decimal(line, where, "sparse map") for line in lines[1:wanted]], len(blocks) * _BLOCK
