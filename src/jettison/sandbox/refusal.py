"""Why this machine refuses a world, and the exact mend. Imported only when it did."""

from jettison.errors import TOO_FEW_DESCRIPTORS

_EMFILE = 24


def _setting(path: str) -> str:
    """A setting of the kernel, empty where it has none."""
    try:
        with open(f"/proc/sys/{path}") as stream:
            return stream.read().strip()
    except OSError:
        return ""


# (setting, its value that refuses, who set it so, the mend)
_SETTINGS = (
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (Ubuntu 23.10 and later)",
        "`sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "Debian's kernel forbids user namespaces",
        "`sudo sysctl -w kernel.unprivileged_userns_clone=1`",
    ),
    (
        "user/max_user_namespaces",
        "0",
        "this machine allows no user namespaces",
        "`sudo sysctl -w user.max_user_namespaces=15000`",
    ),
)
_CONFINED = (
    "this process is confined, as in a container: docker and podman allow it with"
    " `--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
)


def mend(number: int) -> str:
    """The cause of the kernel's error `number` and what to do about it; empty where nothing is known."""
    if number == _EMFILE:
        return TOO_FEW_DESCRIPTORS
    for path, refusing, cause, remedy in _SETTINGS:
        if _setting(path) == refusing:
            return f"{cause}: {remedy}, and the same in /etc/sysctl.d to keep it"
    return _CONFINED if _is_confined() else ""


def _is_confined() -> bool:
    """Whether a seccomp filter is at work on this process, proc(5)."""
    with open("/proc/self/status") as stream:
        return any(line.split() == ["Seccomp:", "2"] for line in stream)
