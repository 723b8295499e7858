"""What a program in a world can do, told by a program in a world: `sandbox/probe.py` with the system's Python around it."""

import json
import os
import sys
from collections.abc import Mapping
from typing import NamedTuple

from jettison.closure.choices import Choices
from jettison.errors import HostError
from jettison.events import SILENT, Reporter
from jettison.image.store import LocalStore
from jettison.oci.digest import Digest
from jettison.sandbox import calls, probe
from jettison.verbs.pack import Recipe, make

_PLACE = "/probe.py"


class Inside(NamedTuple):
    """The probe's report; and of each namespace, whether the world has its own."""

    facts: Mapping[str, object]
    own_namespaces: Mapping[str, bool]


def probe_image(store: LocalStore, reporter: Reporter = SILENT) -> Digest:
    """The image of the probe, in the store without a name. Packing it again finds all in the store. Errors: as of `pack`."""
    recipe = Recipe(
        _interpreter(),
        ("-I", _PLACE, *call_words()),
        includes=(f"{os.path.realpath(probe.__file__)}:{_PLACE}",),
        choices=Choices(level="minimal"),
    )
    return make(recipe, store, reporter=reporter).image.digest


def _interpreter() -> str:
    """A Python of the system's: one in somebody's home is moved to `/`, where it does not find its library."""
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        if path.startswith("/usr/") and os.path.exists(path):
            return path
    raise HostError(
        "there is no Python of the system's to put around the probe", "install python3, as `apt-get install python3` does"
    )


def call_words() -> list[str]:
    """The probe's arguments: this machine's system calls. Errors: HostError where they are not known."""
    architecture = calls.this_architecture()
    if architecture is None:
        raise HostError("the system calls of this machine are not known: x86-64 and aarch64 are, and 64 bits")
    return [f"{name}={number}" for name, number in architecture.numbers().items()]


def read_report(text: str) -> Inside:
    """What the probe printed, seen from this process's namespaces. Errors: HostError where it is no report."""
    try:
        facts = json.loads(text)
    except ValueError as error:
        hint = "flags of `run` that keep its output from the caller, as `-d` does, cannot be used here"
        raise HostError("the program in the world gave no report", hint) from error
    machine = {name: _link(name) for name in facts["namespaces"]}
    return Inside(facts, {name: link != machine[name] for name, link in facts["namespaces"].items()})


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{name}")
    except OSError:
        return ""
