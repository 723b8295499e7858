"""Judge the corpus, or some of it: PYTHONPATH=tests python -m corpus [NAME...]"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from corpus.entry import Entry, chosen, packages
from corpus.machine import install


def main() -> int:
    """Print the table, then what failed; status 1 where too few work."""
    parser = argparse.ArgumentParser(prog="python -m corpus", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="entries; `all` or `third` (the week's); $JETTISON_CORPUS if none"
    )
    parser.add_argument("--packages", action="store_true", help="print the Debian packages that they need, and do nothing")
    parser.add_argument("--install", action="store_true", help="install those packages first, as root")
    parser.add_argument("--level", default="balanced", choices=["minimal", "balanced", "safe"], help="the level to pack with")
    parser.add_argument("-v", "--verbose", action="store_true", help="show both outputs where they differ")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="entries at a time (2)")
    values = parser.parse_args()
    found = chosen(",".join(values.names))
    if values.packages:
        print("\n".join(packages(found)))
        return 0
    if values.install:
        install(packages(found))
    failures = 0
    for verdict in judged(found, values.level, values.jobs):
        failures += bool(verdict.problem)
        size = sum(image.size for image in verdict.images) / 2**20
        files = sum(image.files for image in verdict.images)
        print(
            f"{verdict.entry.name:20} {verdict.problem or 'works':24} {files:6} files {size:8.1f} MiB {verdict.seconds:6.1f} s",
            flush=True,
        )
        for line in verdict.causes:
            print(f"    {line}", flush=True)
        if values.verbose and verdict.detail:
            print(verdict.detail)
    print(f"{len(found) - failures} of {len(found)} work", file=sys.stderr)
    return 1 if failures else 0


def judged(found: Sequence[Entry], level: str, jobs: int) -> Iterator["Verdict"]:
    """Some at a time, in order."""
    with ThreadPoolExecutor(jobs) as threads:
        yield from threads.map(lambda entry: judge(entry, level), found)


if __name__ == "__main__":
    from corpus.judge import Verdict, judge

    raise SystemExit(main())
