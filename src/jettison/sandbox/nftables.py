"""One table of nftables: loaded by the program `nft`, which writes its language; asked for and removed without it."""

import os
import shutil

from jettison.errors import HostError
from jettison.sandbox import netlink

# linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
_SUBSYSTEM, _BATCH_BEGIN, _BATCH_END = 10, 16, 17
_GET_TABLE, _DELETE_TABLE = _SUBSYSTEM << 8 | 1, _SUBSYSTEM << 8 | 2
_TABLE_NAME = 1
_INSTALL = "`apt-get install nftables`, or your distribution's package with `nft`; `--network host` needs none"
_NETFILTER = 12  # linux/netlink.h
_IPV4 = bytes([2, 0, 0, 0])  # struct nfgenmsg: family, version, resource
_BATCH = bytes([0, 0, 0, _SUBSYSTEM])


def load(rules: str) -> None:
    """Have `nft` load them, all or none. Errors: HostError with the mend."""
    program = require()
    descriptor = os.memfd_create("rules")
    said = os.memfd_create("said")
    os.write(descriptor, rules.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    streams = [(os.POSIX_SPAWN_DUP2, descriptor, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
    try:
        pid = os.posix_spawn(program, ["nft", "-f", "-"], {}, file_actions=streams)
        status = os.waitpid(pid, 0)[1]
        if status:
            message = os.pread(said, 4096, 0).decode("utf-8", "replace").strip().partition("\n")[0]
            raise HostError(
                f"`nft` refuses the private network's table: {message}", "the kernel needs nf_tables with nat and masq"
            )
    finally:
        os.close(descriptor)
        os.close(said)


def require() -> str:
    """The program `nft`. Errors: HostError where it is not installed."""
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not program:
        raise HostError("`nft` is not installed, and the private network's way out is a table of nftables", _INSTALL)
    return program


def has_table(name: str) -> bool:
    """Whether there is a table of the family `ip`."""
    try:
        netlink.send([netlink.message(_GET_TABLE, _IPV4 + netlink.name(_TABLE_NAME, name))], _NETFILTER)
    except OSError:
        return False
    return True


def remove_table(name: str) -> None:
    """Remove a table of the family `ip`; nothing where there is none."""
    middle = netlink.message(_DELETE_TABLE, _IPV4 + netlink.name(_TABLE_NAME, name))
    begin, end = (netlink.message(kind, _BATCH, is_answered=False) for kind in (_BATCH_BEGIN, _BATCH_END))
    try:
        netlink.send([begin + middle + end], _NETFILTER)
    except FileNotFoundError:
        return
