"""What a program starts for a user who logs in: the shell of the Root's passwd.

A packed image knows root alone. Another's image knows all of its users, whoever of them may log in.
"""

from collections.abc import Iterator

from jettison.closure.accounts import everybody, users
from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Account, Need, Reason
from jettison.tree.root import DirectoryRoot

_USER = "root"
_LOCKED = ("nologin", "false", "sync")  # what keeps a user from logging in, and no shell


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The users, and their shells where the Root has them."""
    for row in users(subject.root, [_USER]):
        shell = row[6] or "/bin/sh"
        if subject.root.lstat(shell) is not None or shell.startswith("/bin/"):
            yield Account(_USER, reason)
            yield Need(shell, reason)
    others = () if isinstance(subject.root, DirectoryRoot) else everybody(subject.root)
    for shell in dict.fromkeys(row[6] for row in others if row[0] != _USER):
        if shell.rpartition("/")[2] not in _LOCKED and subject.root.lstat(shell) is not None:
            yield Need(shell, reason)
