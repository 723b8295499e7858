"""What a script or a module imports that a rule brought: only what a program starts is read by itself."""

from collections.abc import Iterable

from jettison.closure import languages
from jettison.closure.facts import Finding, Subject
from jettison.closure.why import Reason


def needs(subject: Subject, _: Reason) -> Iterable[Finding]:
    """Its imports, each with a reason of its own."""
    return languages.needs(subject)
