"""What every program expects and no library names: accounts, /tmp, the places where a runtime mounts."""

from typing import NamedTuple

from jettison.tree.node import Node, made_dir, made_file

NONROOT_ID = 65532  # distroless and ko use the same number

PASSWD = f"""\
root:x:0:0:root:/root:/sbin/nologin
nonroot:x:{NONROOT_ID}:{NONROOT_ID}:nonroot:/home/nonroot:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
"""
GROUP = f"""\
root:x:0:
tty:x:5:
nonroot:x:{NONROOT_ID}:
nogroup:x:65534:
"""
# glibc reads this file to know that files and dns, which are built in since 2.34, are all there is.
_NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""


class Made(NamedTuple):
    """A path that we make, and why."""

    path: str
    node: Node
    detail: str


def made() -> tuple[Made, ...]:
    """The files and folders of every image that is not `--bare`."""
    mounted = "the runtime mounts here"
    return (
        Made("/dev", made_dir(), mounted),
        Made("/etc/group", made_file(GROUP.encode()), "getgrgid(3) names the groups of root and nonroot"),
        Made("/etc/hostname", made_file(b""), "the runtime writes the host's name here"),
        Made("/etc/hosts", made_file(b""), "the runtime writes the host's addresses here"),
        Made("/etc/nsswitch.conf", made_file(_NSSWITCH.encode()), "glibc's name service: files and dns, both built in"),
        Made("/etc/passwd", made_file(PASSWD.encode()), "getpwuid(3) names the users root and nonroot"),
        Made("/etc/resolv.conf", made_file(b""), "the runtime writes the name servers here"),
        Made("/home/nonroot", _home(NONROOT_ID), "the home of the user nonroot"),
        Made("/proc", made_dir(), mounted),
        Made("/root", made_dir(0o700), "the home of root"),
        Made("/run", made_dir(), "programs keep sockets and process ids here"),
        Made("/sys", made_dir(), mounted),
        Made("/tmp", made_dir(0o1777), "programs write temporary files here"),
        Made("/var/tmp", made_dir(0o1777), "programs write temporary files here"),
    )


def _home(uid: int) -> Node:
    return made_dir(0o700)._replace(uid=uid, gid=uid)
