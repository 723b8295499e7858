"""The judgement on an entry: the same inside as outside, or the cause why not."""

import subprocess
import time
from typing import NamedTuple

from corpus import cause
from corpus.entry import Entry
from corpus.image import Image, NotPacked, pack, pack_observed, stand_in, stand_in_outside, used
from corpus.reasons import unreasoned
from corpus.world import Said, World

FAULT = "the entry's fault"
OBSERVED = "observed"  # the lowest level, with what the entry's own script was seen to touch


class Verdict(NamedTuple):
    """`problem` is empty where it works; `causes` explain it; `detail` shows both outputs where they differ.

    `unreasoned` are files of the images that have no reason for being there, which says nothing about working.
    """

    entry: Entry
    level: str
    images: tuple[Image, ...]
    problem: str
    causes: tuple[str, ...] = ()
    detail: str = ""
    unreasoned: tuple[str, ...] = ()
    seconds: float = 0.0


def judge(entry: Entry, level: str = "balanced") -> Verdict:
    """Run outside, pack, run inside, compare, at one level."""
    start_s = time.monotonic()
    with World(entry) as world:
        for program in entry.programs:
            stand_in_outside(program, world)
        outside = world.run(is_inside=False)
        fault = outside.problem or ("" if outside.stdout.strip() else "nothing on stdout outside")
        verdict = Verdict(entry, level, (), FAULT, (fault,), outside.stderr) if fault else _packed(world, level, outside)
    return verdict._replace(seconds=time.monotonic() - start_s)


def _packed(world: World, level: str, outside: Said) -> Verdict:
    entry = world.entry
    try:
        images = tuple(
            pack_observed(program, world) if level == OBSERVED else pack(program, world, level) for program in entry.programs
        )
    except (NotPacked, subprocess.TimeoutExpired) as error:
        return Verdict(entry, level, (), "not packed", (str(error),))
    for image in images:
        stand_in(image, world)
    inside = world.run(is_inside=True)
    without = tuple(path for image in images for path in unreasoned(image, world))
    verdict = Verdict(entry, level, images, difference(outside, inside), unreasoned=without)
    unused = {image.program for image in images} - used(world)
    if verdict.problem:
        return _explained(world, verdict, outside, inside)
    return verdict._replace(problem=FAULT, causes=(f"never calls {', '.join(sorted(unused))}",)) if unused else verdict


def difference(outside: Said, inside: Said) -> str:
    """What differs first; empty where nothing does."""
    if inside.problem:
        return inside.problem
    if inside.status != outside.status:
        return f"status {inside.status}, not {outside.status}"
    if inside.stdout != outside.stdout:
        return "other stdout"
    return next((f"other {name}" for name, data in outside.files.items() if inside.files[name] != data), "")


def _explained(world: World, verdict: Verdict, outside: Said, inside: Said) -> Verdict:
    """Blame the entry where it differs outside too; else look for what was asked for and is not inside."""
    again = world.run(is_inside=False)
    if difference(outside, again):
        return verdict._replace(problem=FAULT, causes=("it differs outside from run to run",), detail=_both(outside, again))
    causes = [*_traced(world, verdict.images), *_last_lines(inside.stderr)]
    return verdict._replace(causes=tuple(causes), detail=_both(outside, inside))


def _traced(world: World, images: tuple[Image, ...]) -> list[str]:
    notes = world.notes / "traces"
    notes.mkdir()
    notes.chmod(0o777)
    for image in images:
        stand_in(image, world, notes)
    world.run(is_inside=True)
    return [f"missing {path}" for path in cause.missing(notes)]


def _last_lines(text: str) -> list[str]:
    return [f"says {line[:200]}" for line in text.strip().splitlines()[-2:]]


def _both(outside: Said, inside: Said) -> str:
    texts = [said.stdout.decode("utf-8", "replace") + said.stderr for said in (outside, inside)]
    return f"--- outside\n{texts[0][:2000]}\n--- inside\n{texts[1][:2000]}"
