"""The table of verdicts, its sum, and the same as JSON."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from corpus.image import Image
from corpus.judge import FAULT, Verdict
from corpus.machine import owner

TARGET_PERCENT = 97.0
TARGET_SHARE = 0.2
TARGET_RATIO = 1.3
HEAD = f"{'program':22} {'package':22} {'level':8} {'verdict':24} {'files':>6} {'MiB':>7} {'share':>6} {'s':>5}"

ShareOf = Callable[[Image], float | None]


class Sum(NamedTuple):
    """What the corpus shows: `shares` are of the images of programs that apt can install."""

    entries: int
    works: int
    faults: int
    programs: int
    files: int
    unreasoned: int
    shares: Sequence[float]
    ratios: Sequence[float]

    @property
    def is_met(self) -> bool:
        """Enough work, small enough, each file with its reason."""
        is_small = not self.shares or statistics.median(self.shares) <= TARGET_SHARE
        is_small = is_small and (not self.ratios or statistics.median(self.ratios) <= TARGET_RATIO)
        return self.works >= self.entries * TARGET_PERCENT / 100 and is_small and not self.unreasoned


def lines(verdict: Verdict, share_of: ShareOf) -> Iterator[str]:
    """A line a program, then the causes."""
    word = verdict.problem or "works"
    for image in verdict.images:
        share = share_of(image)
        names = f"{image.program:22} {owner(image.path):22} {verdict.level:8} {word:24}"
        sizes = f"{image.weight.files:6} {image.weight.size / 2**20:7.1f} {f'{share:.2f}' if share is not None else '-':>6}"
        yield f"{names} {sizes} {verdict.seconds:5.1f}{_beside_touched(image)}"
    if not verdict.images:
        yield f"{verdict.entry.name:22} {verdict.entry.packages[0]:22} {verdict.level:8} {word:24}"
    yield from (f"    {cause}" for cause in verdict.causes)
    yield from (f"    without a reason: {path}" for path in verdict.unreasoned[:5])


def _beside_touched(image: Image) -> str:
    if image.touched is None:
        return ""
    more, heavier = (mine / seen for mine, seen in zip(image.weight, image.touched, strict=True))
    return f"  {more:.2f} times the files and {heavier:.2f} times the bytes that it touched"


def ratio(image: Image) -> float:
    """How many times what was touched is in the image, by files or by bytes, whichever is worse; 0 where nobody looked."""
    if image.touched is None:
        return 0.0
    return max(mine / seen for mine, seen in zip(image.weight, image.touched, strict=True))


def summed(verdicts: Sequence[Verdict], share_of: ShareOf) -> Sum:
    """Over one level."""
    images = [image for verdict in verdicts for image in verdict.images]
    return Sum(
        len(verdicts),
        sum(not verdict.problem for verdict in verdicts),
        sum(verdict.problem == FAULT for verdict in verdicts),
        len(images),
        sum(image.weight.files for image in images),
        sum(len(verdict.unreasoned) for verdict in verdicts),
        [share for share in map(share_of, images) if share is not None],
        [ratio(image) for image in images if image.touched],
    )


def text(level: str, total: Sum) -> str:
    """A sentence or two."""
    percent = 100 * total.works / total.entries if total.entries else 0.0
    said = f"{level}: {total.works} of {total.entries} entries work ({percent:.1f} %, target {TARGET_PERCENT:.0f} %)"
    said += f", {total.faults} by the entry's own fault" if total.faults else ""
    said += f"; {total.programs} programs, {total.files} files, {total.unreasoned} without a reason"
    if total.shares:
        said += f"; median share of the usual way {statistics.median(total.shares):.3f} (target {TARGET_SHARE})"
    if total.ratios:
        said += f"; median of what was touched {statistics.median(total.ratios):.3f} (target {TARGET_RATIO}), "
        said += f"{sum(ratio <= TARGET_RATIO for ratio in total.ratios)} programs within it"
    return said


def unordered(verdicts: Sequence[Verdict]) -> list[str]:
    """Where a higher level has fewer files or bytes than a lower one."""
    weights = {(verdict.level, image.program): image.weight for verdict in verdicts for image in verdict.images}
    found = []
    for low, high in (("minimal", "balanced"), ("balanced", "safe")):
        for program in {program for level, program in weights if level == low}:
            lower, higher = weights[low, program], weights.get((high, program))
            if higher and (higher.files < lower.files or higher.size < lower.size):
                found.append(f"{program}: {high} has {higher}, {low} {lower}")
    return sorted(found)


def as_json(verdicts: Sequence[Verdict], share_of: ShareOf) -> dict[str, object]:
    """Everything."""
    return {"version": 1, "verdicts": [_verdict(verdict, share_of) for verdict in verdicts]}


def _verdict(verdict: Verdict, share_of: ShareOf) -> dict[str, object]:
    images = [_image(image, share_of) for image in verdict.images]
    value = {"entry": verdict.entry.name, "level": verdict.level, "problem": verdict.problem, "causes": verdict.causes}
    return {**value, "seconds": verdict.seconds, "unreasoned": verdict.unreasoned, "images": images}


def _image(image: Image, share_of: ShareOf) -> dict[str, object]:
    touched = image.touched._asdict() if image.touched else None
    value = {"program": image.program, "package": owner(image.path), "share": share_of(image)}
    return {**value, "weight": image.weight._asdict(), "touched": touched}
