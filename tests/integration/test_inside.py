"""`jettison doctor --inside`, and the same probe in docker's default container: ours allows nothing that docker's does not."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jettison.sandbox import probe
from jettison.verbs.inside import call_words, read_report
from peers import Docker, Jettison

PAGE = Path(__file__).parents[2] / "docs/reference/inside.md"
Facts = Mapping[str, Any]

# Calls that the profile of Debian 12's docker, of 2022, does not allow yet; docker's of today does (moby/profiles).
LATER = set(
    "cachestat fchmodat2 futex_requeue futex_wait futex_wake listmount map_shadow_stack mseal statmount"
    " setxattrat getxattrat listxattrat removexattrat uretprobe"
    " name_to_handle_at pkey_alloc pkey_free pkey_mprotect process_vm_readv process_vm_writev".split()
)
LISTS = ("writable_mounts", "mounts_with_devices", "mounts_with_privileges")


def inside(jettison: Jettison, *flags: str) -> Facts:
    """The report of a world."""
    done = jettison.call("doctor", "--inside", "--json", *(["--", *flags] if flags else []))
    assert done.returncode == 0, done.stderr
    facts: Facts = json.loads(done.stdout)
    assert facts["version"] == 1
    return facts


@pytest.fixture(scope="module")
def theirs(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The same probe in docker's container, with a network of its own as far as the engine of the tests can give one."""
    folder = tmp_path_factory.mktemp("docker")
    jettison = Jettison(folder / "store")
    words = ["--include", f"{probe.__file__}:/probe.py", "--level", "minimal", "-t", "probe:1", "--", "-I", "/probe.py"]
    jettison("pack", os.path.realpath("/usr/bin/python3"), *words, *call_words())
    jettison("save", "-o", str(folder / "probe.tar"), "probe:1")
    docker("load", "-i", str(folder / "probe.tar"))
    report = read_report(docker("run", "--rm", "--network", "none", "probe:1"))
    return {**report.facts, "own_namespaces": report.own_namespaces}


def more(ours: Facts, theirs: Facts) -> list[str]:
    """What ours allows, and theirs does not."""
    found = [f"capability {name}" for set_ in ours["capabilities"] for name in surplus(ours, theirs, "capabilities", set_)]
    found += [f"{name}: {place}" for name in LISTS for place in sorted(set(ours[name]) - set(theirs[name]))]
    found += [f"writes {path}" for top in ours["writable_files"] for path in surplus(ours, theirs, "writable_files", top)]
    found += [f"shares {name}" for name, own in theirs["own_namespaces"].items() if own and not ours["own_namespaces"][name]]
    found += [f"shows {place}" for place, state in ours["hidden"].items() if "shown" in state != theirs["hidden"][place]]
    found += [f"opens {path}" for path, ways in ours["devices"].items() if ways not in theirs["devices"].get(path, "")]
    found += [f"makes {name}" for name, said in ours["made_devices"].items() if rank(said) > rank(theirs["made_devices"][name])]
    found += [f"calls {name}" for name in calls(ours, "allowed") - calls(theirs, "allowed")]
    found += [f"has open {number}" for number in set(ours["descriptors"]) - set(theirs["descriptors"])]
    found += ["has privileges to gain"] if theirs["no_new_privileges"] and not ours["no_new_privileges"] else []
    return sorted(found) + (["has no filter"] if ours["seccomp"] != theirs["seccomp"] else [])


def surplus(ours: Facts, theirs: Facts, matter: str, name: str) -> list[str]:
    return sorted(set(ours[matter][name]) - set(theirs[matter][name]))


def rank(said: str) -> int:
    """How far somebody came."""
    return ("not made", "not opened", "opened").index(said.partition(":")[0])


def calls(facts: Facts, answer: str) -> set[str]:
    """The calls that are answered so."""
    return {name for name, each in facts["system_calls"].items() if each == answer}


@pytest.mark.parametrize("kind", ["jettison", "rootless"])
@pytest.mark.parametrize("flags", [(), ("-u", "1000"), ("-i",), ("--init=false",)])
def test_nothing_is_allowed_that_docker_does_not_allow(
    kind: str, flags: tuple[str, ...], theirs: Facts, request: pytest.FixtureRequest
) -> None:
    """Of capabilities, system calls, namespaces, mounts, files of the kernel's, devices and descriptors: a subset each."""
    ours = inside(request.getfixturevalue(kind), "--network", "none", *flags)

    found = more(ours, theirs)

    assert sorted(set(found) - {f"calls {name}" for name in LATER}) == []


def test_the_judge_sees_what_is_allowed(jettison: Jettison, theirs: Facts) -> None:
    """Without the filter, and with a file of the machine in its place, it is more than docker's."""
    ours = inside(jettison, "--network", "none", "--security-opt", "seccomp=unconfined", "-v", "/root:/outside")

    assert {"calls unshare", "has no filter", "writable_mounts: /outside"} <= set(more(ours, theirs))


def test_what_a_world_has_of_its_own(jettison: Jettison) -> None:
    """Everything but the clock, and without a flag the network."""
    assert {name for name, own in inside(jettison)["own_namespaces"].items() if not own} == {"net", "time", "time_for_children"}


def test_limits_are_not_above_the_callers(rootless: Jettison) -> None:
    """And what is asked for is seen."""
    facts = inside(rootless, "--ulimit", "nofile=20:30")

    assert facts["limits"]["nofile"] == [20, 30]
    assert facts["processes"] == 2
    assert list(facts["descriptors"]) == ["0", "1", "2"]


def test_people_get_a_table(jettison: Jettison) -> None:
    """With the same facts; the image has no name in the store."""
    said = jettison("doctor", "--inside", "--", "-u", "12:34")

    rows = dict(line.split("  ", 1) for line in said.splitlines() if not line.startswith(" "))
    assert rows["user"].strip() == "12, group 34, groups 34"
    assert rows["capabilities, effective"].strip() == "none"
    assert rows["capabilities, bounding"].strip() == "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID"
    assert jettison("images", "-q") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--inside", "--", "alpine"], "an image of its own"),
        (["--inside", "--", "--absent"], "has no flag `--absent`"),
        (["--inside", "--", "--network", "x"], "there is no network `x`"),
        (["--", "--network", "none"], "takes no arguments"),
    ],
)
def test_words_that_are_refused(jettison: Jettison, words: list[str], said: str) -> None:
    """With the reason of `run`, or our own."""
    done = jettison.call("doctor", *words)

    assert done.returncode != 0 and said in done.stderr and done.stdout == ""


def test_the_page_is_true(jettison: Jettison, rootless: Jettison, theirs: Facts) -> None:
    """docs/reference/inside.md is what the probe says here. JETTISON_WRITE_PAGES=1 writes it anew."""
    page = table(inside(jettison, "--network", "none"), inside(rootless, "--network", "none"), theirs)
    if os.environ.get("JETTISON_WRITE_PAGES") == "1":
        PAGE.write_text(page)

    assert PAGE.read_text() == page


# The page

HEAD = """\
<!-- Made by tests/integration/test_inside.py, which also checks it: JETTISON_WRITE_PAGES=1 writes it anew. -->
# What a program can do inside

The same program, which tries what it may, in worlds of jettison's and in docker's default container (docker 20.10 of Debian 12,
as root), all with `--network none`. `jettison doctor --inside` tells it of your machine, with `-- FLAGS` of a world with flags of
`run`. A test compares them: ours allows nothing that docker's does not, for each of these matters.

One difference is not in the table, because it is a choice: without `--network` a world of jettison's has the machine's network,
docker's container one of its own.

| matter | jettison, root | jettison, ordinary user | docker |
| --- | --- | --- | --- |
"""


def table(root: Facts, ordinary: Facts, docker: Facts) -> str:
    """A row a matter; those that differ in each."""
    columns = (root, ordinary, docker)
    rows = [(name, [tell(facts) for facts in columns]) for name, tell in MATTERS.items()]
    lines = [f"| {name} | {' | '.join(told)} |\n" for name, told in rows]
    return HEAD + "".join(lines) + system_calls(root, ordinary, docker)


def system_calls(root: Facts, ordinary: Facts, docker: Facts) -> str:
    """The calls that docker answers otherwise, by both answers."""
    answers = {name: tuple(facts["system_calls"][name] for facts in (root, ordinary, docker)) for name in docker["system_calls"]}
    tried = {name: answer for name, answer in answers.items() if name not in LATER}
    differing = sorted({answer for answer in tried.values() if len(set(answer)) > 1})
    lines = [f"| {names(name for name in tried if tried[name] == each)} | {' | '.join(each)} |\n" for each in differing]
    return CALLS_HEAD.format(count=len(tried), later=names(sorted(LATER))) + "".join(lines)


CALLS_HEAD = """
## System calls

{count} calls are tried. `allowed` is whatever the kernel itself says of useless arguments. Left out are calls
that this docker does not know yet, and that docker of today allows as jettison does:
{later}.
These differ:

| calls | jettison, root | jettison, ordinary user | docker |
| --- | --- | --- | --- |
"""


def names(found: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in found) or "none"


def shown(facts: Facts, state: str) -> str:
    """Of the places that this machine has at all."""
    return names(place for place in ("/proc/interrupts", "/proc/keys", "/proc/kcore", "/proc/timer_list", "/sys/firmware")
                 if facts["hidden"][place] == state)  # fmt: skip


MATTERS: dict[str, Callable[[Facts], str]] = {
    "capabilities, effective": lambda facts: names(facts["capabilities"]["effective"]),
    "capabilities, bounding": lambda facts: names(facts["capabilities"]["bounding"]),
    "capabilities, ambient and inheritable": lambda facts: names(
        facts["capabilities"]["ambient"] + facts["capabilities"]["inheritable"]
    ),
    "no new privileges": lambda facts: "yes" if facts["no_new_privileges"] else "no",
    "seccomp": lambda facts: facts["seccomp"],
    "own namespaces": lambda facts: names(
        name for name, own in facts["own_namespaces"].items() if own and not name.endswith("children")
    ),
    "users": lambda facts: "all, under their numbers" if facts["user_map"] == ["0 0 4294967295"] else "one: the caller",
    "writable mounts": lambda facts: names(place for place in facts["writable_mounts"] if not place.startswith("/etc")),
    "mounts that may have devices": lambda facts: names(facts["mounts_with_devices"]),
    "mounts that give privileges": lambda facts: names(
        place for place in facts["mounts_with_privileges"] if not place.startswith("/etc")
    ),
    "writable in /sys": lambda facts: names(facts["writable_files"]["/sys"]),
    "readable of what is hidden": lambda facts: shown(facts, "shown"),
    "devices": lambda facts: names(facts["devices"]),
    "making a disk's device": lambda facts: facts["made_devices"]["a disk"],
    "descriptors": lambda facts: names(facts["descriptors"]),
}
