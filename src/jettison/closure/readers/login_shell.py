"""What a program starts for a user who logs in: the shell that the Root's passwd gives root, who is known by it in the image."""

from collections.abc import Iterator

from jettison.closure.accounts import users
from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Account, Need, Reason

_USER = "root"


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The user, and the shell where the Root has it."""
    for row in users(subject.root, [_USER]):
        shell = row[6] or "/bin/sh"
        if subject.root.lstat(shell) is not None or shell.startswith("/bin/"):
            yield Account(_USER, reason)
            yield Need(shell, reason)
