"""`jettison ps`."""

import json
import shlex
import sys
from datetime import UTC, datetime

from jettison.cli.ago import ago
from jettison.cli.flags import Command, Flag, Values
from jettison.cli.terminal import table
from jettison.cli.upkeep_flags import whole
from jettison.errors import UsageError
from jettison.image.store import open_store
from jettison.verbs.containers import Listed, ps

COMMAND = Command(
    "ps",
    "[FLAGS]",
    "List the containers that run.",
    "jettison ps\njettison ps -a --filter status=exited\njettison rm $(jettison ps -aq)",
    (
        Flag("all", "those that have ended too", short="a"),
        Flag("filter", "name=, id=, status=, label=, ancestor=, exited= or health=", "KEY=VALUE", short="f", repeats=True),
        Flag("last", "the youngest ones alone, whatever their state", "NUMBER", short="n"),
        Flag("latest", "the youngest one alone, whatever its state", short="l"),
        Flag("no-trunc", "whole ids and commands"),
        Flag("json", "print the list as JSON"),
        Flag("format", "docker's templates: `{{.ID}} {{.Names}}`, `table {{.ID}}\\t{{.Status}}`, `json`", "TEMPLATE"),
    ),
)
_COMMAND_LENGTH = 20  # docker's


def main(values: Values, rest: list[str]) -> int:
    """Print the list."""
    if rest:
        raise UsageError("`jettison ps` takes no argument", "`--filter name=NAME` chooses")
    count = 1 if values.on("latest") else whole("last", values.text("last", "0"))
    listed = ps(open_store(values.text("store") or None), values.on("all") or count > 0, values.texts("filter"))
    listed = listed[:count] if count else listed
    is_whole = values.on("no-trunc")
    if values.on("json"):
        sys.stdout.write(json.dumps({"version": 1, "containers": [_as_json(each) for each in listed]}, indent=2) + "\n")
    elif values.on("quiet"):
        sys.stdout.write("".join(f"{each.id if is_whole else each.id[:12]}\n" for each in listed))
    elif values.has("format"):
        sys.stdout.write(_formatted(values.text("format"), [_as_docker(each, is_whole) for each in listed]))
    else:
        sys.stdout.write(table([_TITLES, *(_row(each, is_whole) for each in listed)]))
    return 0


def _formatted(text: str, listed: list[dict[str, str]]) -> str:
    from jettison.cli.template import parse, render, unescaped

    if text == "json":
        return "".join(f"{json.dumps(each)}\n" for each in listed)
    is_table = text.startswith("table ")
    template = parse(unescaped(text.removeprefix("table ").strip(" ")))
    lines = [render(template, each) for each in ([_COLUMNS, *listed] if is_table else listed)]
    return table([line.split("\t") for line in lines]) if is_table else "".join(f"{line}\n" for line in lines)


_TITLES = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]


def _row(listed: Listed, is_whole: bool) -> list[str]:
    command = shlex.join(listed.argv)
    if not is_whole and len(command) > _COMMAND_LENGTH:
        command = command[: _COMMAND_LENGTH - 1] + "…"
    created = ago(_stamp(listed.created_ns))
    return [
        listed.id if is_whole else listed.id[:12],
        listed.image,
        f'"{command}"',
        created,
        _status(listed),
        ", ".join(listed.ports),
        listed.name,
    ]


# docker's names of what a template may show, and their titles.
_COLUMNS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "RunningFor": "CREATED",
    "CreatedAt": "CREATED AT",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Labels": "LABELS",
}


def _as_docker(listed: Listed, is_whole: bool) -> dict[str, str]:
    identity, image, command, created, status, ports, name = _row(listed, is_whole)
    created_at = datetime.fromtimestamp(listed.created_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S %z UTC")
    labels = ",".join(sorted(listed.labels))
    values = [identity, image, command, created, created_at, status, listed.status, ports, name, labels]
    return dict(zip(_COLUMNS, values, strict=True))


def _status(listed: Listed) -> str:
    """docker's: `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`."""
    since = ago(_stamp(listed.since_ns))
    if listed.exit_status is not None:
        return f"Exited ({listed.exit_status}) {since}"
    health = f" ({listed.health})" if listed.health else ""
    words = {"running": f"Up {since.removesuffix(' ago')}{health}", "restarting": "Restarting", "created": "Created"}
    return words[listed.status]


def _as_json(listed: Listed) -> dict[str, object]:
    return {
        "id": listed.id,
        "name": listed.name or None,
        "image": listed.image,
        "command": list(listed.argv),
        "created": _stamp(listed.created_ns),
        "labels": dict(label.partition("=")[::2] for label in listed.labels),
        "status": listed.status,
        "since": _stamp(listed.since_ns),
        "exitStatus": listed.exit_status,
        "health": listed.health or None,
        "ports": list(listed.ports),
    }


def _stamp(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat()
