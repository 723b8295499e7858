"""What a program's own package brings for it: its settings, its data folders and, where every hint counts, all of it."""

import re
from collections.abc import Iterator

from jettison.closure.facts import Subject
from jettison.closure.kin import Kin, is_useful
from jettison.closure.why import Need, Reason
from jettison.packages.package import Package

# Conffiles that a package ships for other programs: for init, cron, the logs' rotation, the package manager, a shell, a desktop.
_FOR_OTHERS = re.compile(
    r"/etc/(init|init\.d|rc\S\.d|cron\.\w+|logrotate\.d|logcheck|apparmor\.d|apt|bash_completion\.d|default|dpkg|grub\.d|insserv"
    r"|kernel|network|ppp|profile\.d|rsyslog\.d|skel|sudoers\.d|systemd|udev|ufw|update-motd\.d|X11|xdg)/.*"
)
_VERSION = re.compile(r"[-.]?[0-9][0-9.]*$")
# hier(7): where a package puts the folder that has its name.
_PLACES = ("/usr/share", "/usr/lib", "/usr/libexec", "/etc", "/opt")


def needs(subject: Subject) -> Iterator[Need]:
    """What the package of the program `subject` brings for it."""
    kin = Kin(subject.root, subject.setting.packages, subject.path)
    if kin.own is None:
        return
    reason = Reason("package", subject.path, f"configuration file of {kin.own}, the package of {subject.path}", "likely")
    yield from (Need(path, reason) for path in _conffiles(subject, kin.own))
    for folder in _folders(subject, kin.own):  # that are none of the kin's ship nothing
        for path, package in sorted(kin.below(folder)):
            detail = f"`{folder}` has the name of the program or its package; {kin.words(package)}"
            yield Need(path, Reason("package", subject.path, detail, "likely" if _is_data(subject, path) else "hint"))
    if subject.setting.choices.admits("hint"):
        reason = Reason("package", subject.path, f"shipped by {kin.own}, the package of {subject.path}", "hint")
        files = sorted(subject.setting.packages.files(kin.own))
        yield from (Need(path, reason) for path in files if is_useful(subject.root, path))


def _conffiles(subject: Subject, package: Package) -> list[str]:
    conffiles = subject.setting.packages.conffiles(package)
    return [path for path in conffiles if not _FOR_OTHERS.fullmatch(path) and is_useful(subject.root, path)]


def _folders(subject: Subject, package: Package) -> list[str]:
    """The folders that have the name of the program or of its package, with a version or without."""
    names = {subject.path.rpartition("/")[2], package.name}
    names |= {_VERSION.sub("", name) for name in names}
    multiarch = [f"/usr/lib/{name}" for name in subject.root.listdir("/usr/lib") if "-linux-" in name]
    return sorted(f"{place}/{name}" for place in (*_PLACES, *multiarch) for name in names if name)


def _is_data(subject: Subject, path: str) -> bool:
    """Whether a path is no program: what starts those that lie beside a program's data names them or their folder."""
    node = subject.root.lstat(path)
    return node is not None and (node.kind != "file" or not node.mode & 0o111)
