"""Measure jettison beside its peers, in one run on one machine, and say which targets are met.

make bench                           everything: about twenty minutes, as root, with the peers of bench/README.md
.venv/bin/python -m bench.run run    one case or more: run pack git tree sizes programs corpus unpack starts throughput
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench import cases, machine, report
from bench.cases import Bench, Result
from bench.starts import starts
from bench.throughput import throughput
from bench.unpack import unpack

CASES = {**cases.CASES, "unpack": unpack, "starts": starts, "throughput": throughput}
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Measure, print and write results/bench.{md,json}; status 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument(
        "--runs", type=int, default=15, help="rounds of the short cases; the long ones take a fifth of it, at most 3"
    )
    values = parser.parse_args()
    unknown = set(values.cases) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    results = [_measured(name, values.runs) for name in values.cases or CASES]
    text = report.markdown(machine.facts(), results)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bench.md").write_text(text)
    (RESULTS / "bench.json").write_text(json.dumps(report.as_json(machine.facts(), results), indent=2) + "\n")
    print(text)
    return 0 if all(figure.is_met for result in results for figure in result.figures) else 1


def _measured(name: str, runs: int) -> Result:
    """One case in a folder of its own, on a disk; the store is empty and this process's bytecode setting does not count."""
    print(f"{name} …", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="jettison-bench.", dir="/var/tmp"))
    folder.chmod(0o755)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    try:
        return CASES[name](Bench(folder, runs, {**env, "JETTISON_HOME": str(folder / "store")}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
