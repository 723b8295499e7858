"""Judge the corpus, or some of it.

PYTHONPATH=tests python -m corpus [NAME...]    entries by name, `all`, or `third`: the week's, as CI takes it
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.entry import Entry, chosen, packages
from corpus.machine import install, owner

if TYPE_CHECKING:
    from corpus.image import Image
    from corpus.judge import Verdict

LEVELS = ("minimal", "balanced", "safe")


def main() -> int:
    """Print the table and its sum; status 1 where a target is missed."""
    values = _arguments()
    found = chosen(",".join(values.names))
    if values.packages:
        print("\n".join(packages(found)))
        return 0
    if values.install:
        install(packages(found))
    return _report(found, LEVELS if values.level == "all" else [values.level], values)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="corpus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="$JETTISON_CORPUS if none is given, else the week's third")
    parser.add_argument("--packages", action="store_true", help="print the Debian packages that they need, and do nothing")
    parser.add_argument("--install", action="store_true", help="install those packages first, as root")
    parser.add_argument(
        "--level", default="balanced", choices=[*LEVELS, "all", "observed"], help="the level to pack with (balanced)"
    )
    parser.add_argument("--shares", action="store_true", help="compare sizes with debootstrap and apt-get install, as root")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write everything to a file")
    parser.add_argument("--jobs", type=int, default=2, help="entries at a time (2)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show both outputs where they differ")
    return parser.parse_args()


def _report(found: Sequence[Entry], levels: Sequence[str], values: argparse.Namespace) -> int:
    from corpus import table  # not above: `--packages` works before there is an environment with our libraries

    share_of = _share if values.shares else lambda _: None
    verdicts = []
    print(table.HEAD, flush=True)
    for verdict in judged(found, levels, values.jobs):
        verdicts.append(verdict)
        print("\n".join(table.lines(verdict, share_of)), flush=True)
        if values.verbose and verdict.detail:
            print(verdict.detail, flush=True)
    sums = {level: table.summed([item for item in verdicts if item.level == level], share_of) for level in levels}
    disorder = table.unordered(verdicts)
    print("", *(table.text(level, total) for level, total in sums.items()), *disorder, sep="\n")
    if values.json:
        values.json.write_text(json.dumps(table.as_json(verdicts, share_of), indent=1) + "\n")
    is_met = all(total.is_met for level, total in sums.items() if level in ("balanced", "observed"))
    return 0 if is_met and not disorder else 1


def judged(found: Sequence[Entry], levels: Sequence[str], jobs: int) -> "Iterator[Verdict]":
    """Some at a time, in order."""
    from corpus.judge import judge

    with ThreadPoolExecutor(jobs) as threads:
        yield from threads.map(lambda task: judge(*task), [(entry, level) for entry in found for level in levels])


def _share(image: "Image") -> float | None:
    """The part of what the usual way takes; None for a program of no package."""
    from corpus.sizes import usual

    package = owner(image.path)
    return image.weight.size / usual(package).size if package else None


if __name__ == "__main__":
    sys.exit(main())
