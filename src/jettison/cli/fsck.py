"""jettison fsck."""

import json
import sys

from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import reporter, size
from jettison.errors import UsageError
from jettison.image.check import Finding, Health
from jettison.image.store import open_store
from jettison.verbs.fsck import fsck

COMMAND = Command(
    "fsck",
    "[FLAGS]",
    "Check every blob, name and unpacked layer of the store; status 1 where something is broken.",
    "jettison fsck\njettison fsck --repair",
    (
        Flag("repair", "remove what is broken and can come anew"),
        Flag("json", "print the findings as JSON"),
    ),
)


def main(values: Values, rest: list[str]) -> int:
    """Print the findings."""
    if rest:
        raise UsageError("`jettison fsck` takes no argument", "see `jettison fsck --help`")
    health, removed = fsck(open_store(values.text("store") or None), values.on("repair"), reporter(values))
    if values.on("json"):
        sys.stdout.write(json.dumps(_as_json(health, removed), indent=2) + "\n")
    else:
        sys.stdout.write(_render(health, removed))
    return 1 if len(health.findings) > len(removed) else 0


def _render(health: Health, removed: list[Finding]) -> str:
    lines = []
    for finding in health.findings:
        lines.append(f"{finding.subject}: {finding.problem}\n")
        lines.append("  removed\n" if finding in removed else f"  hint: {finding.hint}\n")
    what = f"{health.blobs} blobs ({size(health.size_bytes)}), {health.images} images"
    lines.append(f"checked {what}: {len(health.findings) or 'no'} finding{'' if len(health.findings) == 1 else 's'}\n")
    return "".join(lines)


def _as_json(health: Health, removed: list[Finding]) -> dict[str, object]:
    findings = [
        {"subject": finding.subject, "problem": finding.problem, "hint": finding.hint, "removed": finding in removed}
        for finding in health.findings
    ]
    return {
        "version": 1,
        "blobs": health.blobs,
        "sizeBytes": health.size_bytes,
        "images": health.images,
        "findings": findings,
    }
