"""`jettison doctor`."""

import json
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.main import is_coloured
from jettison.errors import UsageError
from jettison.verbs.doctor import Finding, can_work, doctor
from jettison.verbs.run import store_path

COMMAND = Command(
    "doctor",
    "[FLAGS]",
    "Tell what this machine can and cannot do, and the mend. The status is 0 if pack and run can work.",
    "jettison doctor",
    (Flag("json", "print the findings as JSON"),),
)

_COLOURS = {"ok": "32", "limited": "33", "missing": "31"}


def main(values: Values, rest: list[str]) -> int:
    """Print the findings."""
    if rest:
        raise UsageError("`jettison doctor` takes no arguments")
    findings = doctor(store_path(values.text("store")))
    if values.on("json"):
        sys.stdout.write(json.dumps(_as_json(findings), indent=2) + "\n")
    else:
        sys.stdout.write(_render(findings))
    return 0 if can_work(findings) else 1


def _render(findings: list[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_paint(finding.state)}  {finding.name:{width}}  {finding.meaning}")
        if finding.mend:
            lines.append(f"{'':9}{'':{width}}  mend: {finding.mend}")
    return "\n".join(lines) + "\n"


def _paint(state: str) -> str:
    return f"\033[{_COLOURS[state]}m{state:7}\033[0m" if is_coloured(sys.stdout) else f"{state:7}"


def _as_json(findings: list[Finding]) -> dict[str, object]:
    return {"version": 1, "can_work": can_work(findings), "findings": [finding._asdict() for finding in findings]}
