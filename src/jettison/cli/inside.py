"""`jettison doctor --inside`: run the probe in a world, and show what it tells."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jettison.cli import flags, main, run
from jettison.errors import HostError, UsageError
from jettison.events import Reporter
from jettison.image.store import open_store
from jettison.oci.digest import Digest
from jettison.verbs.inside import Inside, probe_image, read_report
from jettison.verbs.run import store_path

_SHOWN = 8


def inside(words: Sequence[str], store: str, as_json: bool, reporter: Reporter) -> int:
    """Print the report of a world that is started with these flags of `run`; the status."""
    _, rest = flags.parse(run.COMMAND, words)
    if rest:
        raise UsageError(f"`--inside` has an image of its own: `{rest[0]}` is no flag of `jettison run`")
    local = open_store(store_path(store))
    with local.writing():  # so that `prune` does not take the image before it starts
        text = _said([f"--store={local.path}", *words], probe_image(local, reporter))
    report = read_report(text)
    sys.stdout.write(json.dumps(_as_json(report), indent=2) + "\n" if as_json else render(report))
    return 0


def _said(words: Sequence[str], image: Digest) -> str:
    """What `jettison run` of the image prints. Errors: HostError where it ends with an error, which it has told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os._exit(main.main(["run", *words, str(image)]))
    os.close(writer)
    with open(reader, encoding="utf-8", errors="surrogateescape") as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise HostError(f"the program in the world ended with status {status}", "`jettison doctor` tells what is missing")
    return text


def _as_json(report: Inside) -> dict[str, object]:
    return {"version": 1, **report.facts, "own_namespaces": report.own_namespaces}


def render(report: Inside) -> str:
    """A line for each matter."""
    rows = _rows(dict(report.facts), report.own_namespaces)
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:{width}}  {main.readable(text)}\n" for name, text in rows)


def _rows(facts: dict[str, Any], own: Mapping[str, bool]) -> list[tuple[str, str]]:
    calls = facts["system_calls"]
    answers = sorted(set(calls.values()) - {"allowed"})
    user = facts["user"]
    return [
        ("user", f"{user['uid']}, group {user['gid']}, groups {_list(user['groups'])}"),
        ("users", _list(facts["user_map"], "; ")),
        *((f"capabilities, {name}", _list(names)) for name, names in facts["capabilities"].items()),
        ("no new privileges", "yes" if facts["no_new_privileges"] else "no"),
        ("own namespaces", _list([name for name in own if own[name]])),
        ("shared namespaces", _list([name for name in own if not own[name]])),
        ("security profile", facts["security_profile"]),
        ("system calls", facts["seccomp"]),
        ("  allowed", f"{sum(each == 'allowed' for each in calls.values())} of {len(calls)} that were tried"),
        *((f"  {answer}", _list([name for name in calls if calls[name] == answer])) for answer in answers),
        ("writable mounts", _list(facts["writable_mounts"])),
        ("  with devices", _list(facts["mounts_with_devices"])),
        ("  with set-user-id", _list(facts["mounts_with_privileges"])),
        *((f"writable in {top}", _some(names)) for top, names in facts["writable_files"].items()),
        *(
            (f"places {state}", _list([place for place, seen in facts["hidden"].items() if seen == state]))
            for state in ("shown", "hidden")
        ),
        *((f"device {path}", ways) for path, ways in facts["devices"].items()),
        *((f"making {name}", outcome) for name, outcome in facts["made_devices"].items()),
        ("descriptors", _list([f"{number} ({kind})" for number, kind in facts["descriptors"].items()])),
        ("processes", str(facts["processes"])),
        ("control group", _list(facts["cgroup"])),
        ("limits", _list([f"{name} {soft}:{hard}" for name, (soft, hard) in facts["limits"].items()])),
    ]


def _list(texts: Sequence[object], between: str = " ") -> str:
    return between.join(map(str, texts)) or "none"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return _list(texts[:_SHOWN]) + more
