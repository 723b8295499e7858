"""What a program's own package brings for it: its settings, its data folders and, where hints count, all but other programs."""

import re
from collections.abc import Iterator

from jettison.closure.facts import Subject
from jettison.closure.kin import Kin, is_program, is_useful, leads_to_data
from jettison.closure.place import within
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
# What another package puts there is data; elsewhere it is code, and for those who load it.
_DATA = ("/usr/share", "/etc")


def needs(subject: Subject) -> Iterator[Need]:
    """What the package of the program `subject` brings for it."""
    kin = Kin(subject.root, subject.setting.packages, subject.path)
    if kin.own is None:
        return
    yield from _settings(subject, kin.own)
    for folder in _folders(subject, kin.own):  # most are not there, or not of the kin
        yield from _data(subject, kin, folder)
    if subject.setting.choices.admits("hint") and subject.setting.is_new(f"all of {kin.own}"):
        yield from _everything(subject, kin.own)


def _settings(subject: Subject, package: Package) -> Iterator[Need]:
    reason = Reason("package", subject.path, f"configuration file of {package}, the package of {subject.path}", "likely")
    for path in subject.setting.packages.conffiles(package):
        if not _FOR_OTHERS.fullmatch(path) and is_useful(subject.root, path):
            yield Need(path, reason)


def _folders(subject: Subject, package: Package) -> list[str]:
    """The folders that have the name of the program or of its package, with a version or without."""
    names = {subject.path.rpartition("/")[2], package.name}
    names |= {_VERSION.sub("", name) for name in names}
    multiarch = [f"/usr/lib/{name}" for name in subject.root.listdir("/usr/lib") if "-linux-" in name]
    return sorted(f"{place}/{name}" for place in (*_PLACES, *multiarch) for name in names if name)


def _data(subject: Subject, kin: Kin, folder: str) -> Iterator[Need]:
    """What lies in a folder. Whatever starts programs there names them, or the folder; beside data they are for people."""
    is_data = within(folder, _DATA)
    for path, package in sorted(kin.below(folder)):
        is_tool = is_program(subject.root, path)
        if (package == kin.own or is_data) and not (is_tool and is_data):
            detail = f"`{folder}` has the name of the program or its package; {kin.words(package)}"
            yield Need(path, Reason("package", subject.path, detail, "hint" if is_tool else "likely"))


def _everything(subject: Subject, package: Package) -> Iterator[Need]:
    """What the package ships, without other programs: one that this program starts, it names, or the folder that it lies in."""
    reason = Reason("package", subject.path, f"shipped by {package}, the package of {subject.path}", "hint")
    for path in sorted(subject.setting.packages.files(package)):
        if is_useful(subject.root, path) and leads_to_data(subject.root, path):
            yield Need(path, reason)
