"""A world's plan as others read it: the config.json of an OCI runtime bundle, which runc starts with the defaults of `run`.

Pure, and of the image alone: nothing of the machine that writes it is in it, but whether a user has all ids or one.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from jettison.errors import HostError, InvalidData
from jettison.oci.process import Process
from jettison.sandbox.bpf import ALLOW, ENOSYS, Condition, Rule
from jettison.sandbox.calls import ARCHITECTURES, Architecture
from jettison.sandbox.capabilities import NAMES, USUAL, holds
from jettison.sandbox.plan import HIDDEN_PROC, HIDDEN_SYS, READ_ONLY_PROC
from jettison.sandbox.seccomp import rules

# Options of whole trees of mounts (`rro`) came with this one.
SPECIFICATION = "1.1.0"

_CAPABILITIES = [f"CAP_{name}" for name in NAMES if holds(USUAL, name)]
_NAMESPACES = ("user", "mount", "pid", "ipc", "uts", "cgroup")
_SECCOMP_NAMES = {"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}
_ERRNO = 0xFFFF
_QUIET = ["nosuid", "nodev", "noexec"]
_UMASK = 0o022

# (place, type, source, options), in the order in which they are mounted.
_MOUNTS = (
    ("/proc", "proc", "proc", _QUIET),
    # The network is the machine's, so no new sysfs may be mounted: the machine's own is shown, to be read.
    ("/sys", "none", "/sys", ["rbind", *_QUIET, "ro", "rnosuid", "rnodev", "rnoexec", "rro", "rprivate"]),
    # runc's own kind `cgroup` would show the hierarchies of version 1 too.
    ("/sys/fs/cgroup", "cgroup2", "cgroup2", [*_QUIET, "ro"]),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "noexec", "mode=0755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
    ("/dev/shm", "tmpfs", "shm", [*_QUIET, "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", _QUIET),
    # A program with the machine's network has the machine's names too. They are its files, so they are to be read.
    *((path, "none", path, ["bind", *_QUIET, "ro", "rprivate"]) for path in ("/etc/hosts", "/etc/resolv.conf")),
)


class Identity(NamedTuple):
    """An ordinary user who writes a bundle, for himself."""

    uid: int
    gid: int


def configuration(
    process: Process, architecture: str, annotations: dict[str, str], owner: Identity | None = None
) -> dict[str, Any]:
    """The document. `architecture`: the image's, in docker's word. `owner`: who will start it, if that is not root.

    Errors: HostError where runc cannot do what `run` does, InvalidData for texts that are no Unicode.
    """
    if owner and (process.user.uid, process.user.gid) != (0, 0):
        raise HostError(
            f"the image's user is {process.user.uid}, and runc starts bundles of an ordinary user for user 0 alone",
            "`jettison run` starts it; a bundle that root writes and starts has the user",
        )
    document = {
        "ociVersion": SPECIFICATION,
        "process": _process(process, owner),
        "root": {"path": "rootfs", "readonly": False},
        "mounts": list(_mounts(owner)),
        "linux": {
            **_mappings(owner),
            **_resources(owner),
            "namespaces": [{"type": kind} for kind in _NAMESPACES],
            "maskedPaths": [*(f"/proc/{path}" for path in HIDDEN_PROC), *(f"/sys/{path}" for path in HIDDEN_SYS)],
            "readonlyPaths": [f"/proc/{path}" for path in READ_ONLY_PROC],
            "seccomp": _seccomp(architecture),
        },
        "annotations": annotations,
    }
    _require_unicode(document)
    return document


def _process(process: Process, owner: Identity | None) -> dict[str, Any]:
    user: dict[str, Any] = {"uid": process.user.uid, "gid": process.user.gid, "umask": _UMASK}
    if not owner:  # whose groups cannot be changed
        user["additionalGids"] = list(dict.fromkeys([process.user.gid, *process.user.groups]))
    return {
        "terminal": False,
        "user": user,
        "args": list(process.argv),
        "env": list(process.env),
        "cwd": process.cwd,
        "capabilities": {
            "bounding": _CAPABILITIES,
            **{kind: [] if process.user.uid else _CAPABILITIES for kind in ("effective", "permitted")},
        },
        "noNewPrivileges": True,
    }


def _mounts(owner: Identity | None) -> Iterator[dict[str, Any]]:
    for place, kind, source, options in _MOUNTS:
        own = ["gid=5"] if kind == "devpts" and not owner else []  # `tty` of every distribution
        yield {"destination": place, "type": kind, "source": source, "options": [*options, *own]}


def _mappings(owner: Identity | None) -> dict[str, Any]:
    """Root has all users, under their own numbers; an ordinary user is root inside."""
    if owner:
        pairs = (("uidMappings", owner.uid), ("gidMappings", owner.gid))
        return {name: [{"containerID": 0, "hostID": number, "size": 1}] for name, number in pairs}
    return {name: [{"containerID": 0, "hostID": 0, "size": (1 << 32) - 1}] for name in ("uidMappings", "gidMappings")}


def _resources(owner: Identity | None) -> dict[str, Any]:
    """No device but those of /dev: an image may bring some, and its root folder cannot be mounted with `nodev`.

    An ordinary user may set nothing here, and can make no device.
    """
    return {} if owner else {"resources": {"devices": [{"allow": False, "access": "rwm"}]}}


# System calls


def _seccomp(architecture: str) -> dict[str, Any]:
    """Our filter in the words of libseccomp.

    It knows no "else" after conditions, so a call whose arguments are not allowed gives ENOSYS, as one that nobody knows.
    """
    known = next((each for each in ARCHITECTURES.values() if each.docker == architecture), None)
    if known is None:
        raise HostError(f"the system calls of {architecture or 'an unknown architecture'} are not known: amd64 and arm64 are")
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS & _ERRNO,
        "architectures": [_SECCOMP_NAMES[architecture]],
        "syscalls": list(_calls(known)),
    }


def _calls(architecture: Architecture) -> Iterator[dict[str, Any]]:
    """Calls that are treated alike, whatever their arguments; then those with conditions."""
    groups: dict[int, list[str]] = {}
    conditional = []
    for name, found in rules(architecture.numbers()).items():
        if found[0].conditions:
            conditional += [_conditional(name, rule) for rule in found if rule.conditions]
        else:
            groups.setdefault(found[0].answer, []).append(name)
    for answer, names in groups.items():
        yield {"names": sorted(names), **_answer(answer)}
    yield from conditional


def _conditional(name: str, rule: Rule) -> dict[str, Any]:
    return {"names": [name], **_answer(rule.answer), "args": [_condition(each) for each in rule.conditions]}


def _condition(condition: Condition) -> dict[str, Any]:
    return {"index": condition.argument, "op": "SCMP_CMP_MASKED_EQ", "value": condition.mask, "valueTwo": condition.value}


def _answer(answer: int) -> dict[str, Any]:
    return {"action": "SCMP_ACT_ALLOW"} if answer == ALLOW else {"action": "SCMP_ACT_ERRNO", "errnoRet": answer & _ERRNO}


def _require_unicode(value: object) -> None:
    """JSON has no bytes that are no Unicode: to write them as something else would start another program."""
    for text in _texts(value):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidData(f"a text of the image's configuration is no Unicode, and a bundle cannot hold it: {text!r:.80}")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
