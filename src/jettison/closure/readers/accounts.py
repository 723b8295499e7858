"""The users that a program names in its data: those that packages make for their servers."""

from collections.abc import Iterator

from jettison.closure.accounts import system_users
from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Account, Reason


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """A name that is a function's too, as bind(2) is, says nothing; what a library names is for few of its programs."""
    if subject.is_loaded:
        return
    facts = subject.setting.facts
    functions = facts.imported_symbols(subject.root, subject.path)
    named = facts.alone(subject.root, subject.path, tuple(system_users(subject.root)))
    yield from (Account(name, reason) for name in sorted(named - functions))
