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
    "[FLAGS] [--inside [-- FLAGS-OF-RUN]]",
    "Tell what this machine can and cannot do, and the mend. The status is 0 if pack and run can work.",
    "jettison doctor\njettison doctor --inside\njettison doctor --inside -- --network none -u 1000",
    (
        Flag("inside", "tell what a program can do that `jettison run` starts, with the flags of `run` after `--`"),
        Flag("json", "print the findings as JSON"),
    ),
)

_COLOURS = {"ok": "32", "limited": "33", "missing": "31"}


def main(values: Values, rest: list[str]) -> int:
    """Print the findings."""
    if values.on("inside"):
        return _inside(values, rest)
    if rest:
        raise UsageError("`jettison doctor` takes no arguments")
    findings = doctor(store_path(values.text("store")))
    if values.on("json"):
        sys.stdout.write(json.dumps(_as_json(findings), indent=2) + "\n")
    else:
        sys.stdout.write(_render(findings))
    return 0 if can_work(findings) else 1


def _inside(values: Values, rest: list[str]) -> int:
    from jettison.cli.inside import inside
    from jettison.cli.terminal import Terminal

    reporter = Terminal(values.on("quiet") or not sys.stderr.isatty(), values.on("verbose"))
    return inside(rest, values.text("store"), values.on("json"), reporter)


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
