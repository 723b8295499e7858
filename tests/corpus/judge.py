"""The judgement on an entry: the same inside as outside, or the cause why not."""

import subprocess
import time
from typing import NamedTuple

from corpus import cause
from corpus.entry import Entry
from corpus.image import Image, NotPacked, pack, stand_in, used
from corpus.world import Said, World


class Verdict(NamedTuple):
    """`problem` is empty where it works; `causes` explain it; `detail` shows both outputs where they differ."""

    entry: Entry
    level: str
    images: tuple[Image, ...]
    problem: str
    causes: tuple[str, ...]
    seconds: float
    detail: str = ""


def judge(entry: Entry, level: str = "balanced") -> Verdict:
    """Run outside, pack, run inside, compare."""
    start_s = time.monotonic()
    images: list[Image] = []
    with World(entry) as world:
        problem, causes, detail = _judged(world, level, images)
    return Verdict(entry, level, tuple(images), problem, tuple(causes), time.monotonic() - start_s, detail)


def _judged(world: World, level: str, images: list[Image]) -> tuple[str, list[str], str]:
    outside = world.run(is_inside=False)
    if outside.problem or not outside.stdout.strip():
        return "the entry's fault", [outside.problem or "nothing on stdout outside"], outside.stderr
    try:
        images += [pack(program, world, "--level", level) for program in world.entry.programs]
    except (NotPacked, subprocess.TimeoutExpired) as error:
        return "not packed", [str(error)], ""
    for image in images:
        stand_in(image, world)
    inside = world.run(is_inside=True)
    problem = difference(outside, inside)
    if not problem:
        unused = set(world.entry.programs) - used(world)
        return ("the entry's fault", [f"never calls {', '.join(sorted(unused))}"], "") if unused else ("", [], "")
    again = world.run(is_inside=False)
    if difference(outside, again):
        return "the entry's fault", ["it differs outside from run to run"], _both(outside, again)
    return problem, [*_traced(world, images), *_last_lines(inside.stderr)], _both(outside, inside)


def difference(outside: Said, inside: Said) -> str:
    """What differs first; empty where nothing does."""
    if inside.problem:
        return inside.problem
    if inside.status != outside.status:
        return f"status {inside.status}, not {outside.status}"
    if inside.stdout != outside.stdout:
        return "other stdout"
    return next((f"other {name}" for name, data in outside.files.items() if inside.files[name] != data), "")


def _traced(world: World, images: list[Image]) -> list[str]:
    notes = world.base / "trace"
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
