"""What `jettison run` needs to know of an image, worked out when the image arrives: fields separated by NUL bytes."""

from collections.abc import Iterator, Sequence

from jettison.errors import InvalidData
from jettison.image.accounts import Account, find_account, find_groups
from jettison.image.image import Image
from jettison.image.merged import MergedLayers, is_opaque
from jettison.tree.root import Root, resolve

_DATABASE_LIMIT_BYTES = 1 << 20  # an image may ship an endless passwd (CVE-2024-9676)


def run_record(image: Image, folders: Sequence[str]) -> bytes:
    """The record of an image whose layers are unpacked in `folders`, the lowest first. Errors: InvalidData."""
    account = image_account(MergedLayers(folders), image.config.user)
    fields = [text for pair in _pairs(image, _mounted(folders), account) for text in pair]
    if any("\0" in text for text in fields):
        raise InvalidData(f"the config of {image.digest} has a NUL byte in a text")
    try:
        return "\0".join(fields).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:  # JSON can write half of a surrogate pair
        raise InvalidData(f"the config of {image.digest} has a text that is no Unicode") from error


def record_layers(record: bytes) -> list[str]:
    """The folder names of the layers in a record, the lowest first; none in what is no record."""
    fields = record.decode("utf-8", "surrogateescape").split("\0")
    return [value for key, value in zip(fields[::2], fields[1::2], strict=False) if key == "layer"]


def image_account(root: Root, user: str) -> Account:
    """Who `user` is in the image. Errors: InvalidData for a name that is not there."""
    return find_account(user, _database(root, "/etc/passwd"), _database(root, "/etc/group"))


def image_groups(root: Root, names: Sequence[str]) -> list[int]:
    """The numbers of groups of the image. Errors: InvalidData for a name that is not there."""
    return find_groups(names, _database(root, "/etc/group"))


def _pairs(image: Image, layers: Sequence[str], account: Account) -> Iterator[tuple[str, str]]:
    config = image.config
    yield "config-digest", str(image.manifest.config.digest)
    for layer in layers:
        yield "layer", layer
    for name, value in config.env:
        yield "env", f"{name}={value}"
    for word in config.entrypoint:
        yield "entrypoint", word
    for word in config.cmd:
        yield "cmd", word
    yield "user", config.user
    yield "uid", str(account.uid)
    yield "gid", str(account.gid)
    for gid in account.groups:
        yield "group", str(gid)
    yield "home", account.home
    yield "workdir", config.working_dir
    yield "stop-signal", config.stop_signal
    for volume in config.volumes:
        yield "volume", volume
    check = config.healthcheck
    for word in (*map(str, check[1:]), *check.test) if check else ():
        yield "health", word


def _mounted(folders: Sequence[str]) -> list[str]:
    """The names of the folders to mount. overlayfs refuses one folder twice: of equal layers the topmost says it all.

    It does not look whether a layer's root is opaque, so what is below such a layer is left out here.
    """
    top_first: dict[str, None] = {}
    for folder in reversed(folders):
        top_first[folder.rpartition("/")[2]] = None
        if is_opaque(folder):
            break
    return list(top_first)[::-1]


def _database(root: Root, path: str) -> str:
    """The beginning of a regular file of the image; empty where there is none."""
    try:
        found = resolve(root, path)
    except InvalidData:  # a loop of links
        return ""
    if found.node is None or found.node.kind != "file":
        return ""
    with root.open(found.path) as stream:
        return stream.read(_DATABASE_LIMIT_BYTES).decode("utf-8", "surrogateescape")
