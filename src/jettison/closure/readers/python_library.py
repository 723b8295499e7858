"""The standard library of a Python: what every start takes is certain, the rest is what programs import."""

from collections.abc import Iterator

from jettison.closure import script_text
from jettison.closure.facts import Finding, Subject
from jettison.closure.python_layout import UNASKED, library_of, sites_of
from jettison.closure.why import Need, Reason
from jettison.tree.root import normalise

# What an interpreter reads before a program's first line: `python3 -X importtime`, and os.py as getpath's landmark.
_START = frozenset(
    "__future__.py _collections_abc.py _sitebuiltins.py _weakrefset.py abc.py codecs.py genericpath.py io.py os.py posixpath.py"
    " runpy.py site.py sitecustomize.py stat.py types.py warnings.py encodings/__init__.py encodings/aliases.py"
    " encodings/ascii.py encodings/latin_1.py encodings/utf_8.py importlib/__init__.py importlib/_abc.py importlib/_bootstrap.py"
    " importlib/_bootstrap_external.py importlib/machinery.py importlib/util.py".split()
)


def needs(subject: Subject, reason: Reason) -> Iterator[Finding]:
    """The library beside an interpreter, or beside a libpython; also the folders that code may be installed to."""
    library = library_of(subject.root, subject.path)
    if not library:
        return
    certain = reason._replace(confidence="certain", detail=f"{reason.detail}; it starts with it")
    for name in sorted(subject.root.listdir(library)):
        if name in UNASKED or name.startswith("config-") or name.endswith("-packages"):
            continue
        for path in script_text.below(subject.root, f"{library}/{name}"):
            yield Need(path, certain if path[len(library) + 1 :] in _START else reason)
    yield Need(f"{library}/lib-dynload", certain) if subject.root.lstat(f"{library}/lib-dynload") else Need(library, certain)
    for site in sites_of(library):
        if subject.root.listdir(site):
            yield Need(normalise(site), reason)
