"""An ordinary user with subordinate ids, whom the machine's own /etc does not know: in a mount namespace of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import peers
from peers import OrdinaryUser

FIRST, COUNT = 300000, 65536


class UserOfMany(OrdinaryUser):
    """The same user, named, with a range of ids; and nothing that keeps newuidmap's privileges from it."""

    def __init__(self, home: Path, etc: Path) -> None:
        super().__init__(home)
        for tool in ("newuidmap", "newgidmap", "unshare", "mount"):
            peers.require(tool)
        etc.mkdir(mode=0o755)
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "hosts", "resolv.conf", "login.defs"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc / name)
        with (etc / "passwd").open("a") as stream:
            stream.write(f"many:x:{self.uid}:{self.gid}::{home}:/bin/sh\n")
        for name in ("subuid", "subgid"):
            (etc / name).write_text(f"other:100000:65536\nmany:{FIRST}:{COUNT}\n")
        enter = 'mount --bind "$0" /etc && exec "$@"'
        kept = [word for word in self.prefix if word != "--bounding-set=-all"]
        self.prefix = ["unshare", "--mount", "sh", "-c", enter, str(etc), *kept]


def user_of_many() -> Iterator[UserOfMany]:
    """With a home that is gone afterwards."""
    peers.require_root()
    folder = Path(tempfile.mkdtemp(prefix="jm.", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "home").mkdir()
    yield UserOfMany(folder / "home", folder / "etc")
    shutil.rmtree(folder, ignore_errors=True)
