"""verify: a command, run with the original and with what was made of it: the proof that the image works."""

import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple, Protocol, TypeVar

from jettison.closure.observed import observed
from jettison.closure.place import is_system, within
from jettison.closure.strings import is_for_people
from jettison.errors import InternalError, InvalidData
from jettison.events import SILENT, Reporter
from jettison.image.image import Image
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.oci.digest import Digest
from jettison.oci.reference import Reference
from jettison.packages.package import Packages
from jettison.sandbox.observe import Watch, observe
from jettison.tree.observation import Observation
from jettison.tree.root import DirectoryRoot, Root, resolve
from jettison.verbs.observe import (
    Streams,
    execute_shell,
    never_started,
    observe_image,
    run_observed,
    shell_environment,
    summary,
)
from jettison.verbs.pack import Packed, Recipe, find_on_machine, make

ROUND_LIMIT = 5
_COMPARED_BYTES = 64 << 20
_QUOTED_CHARACTERS = 80


class Outcome(NamedTuple):
    """How a run ended, what it said, and what was seen of it."""

    status: int
    stdout: bytes
    stderr: bytes
    observation: Observation


class Lack(NamedTuple):
    """What `by` looked for inside in vain, and what is there outside: its path there, and the package that owns it."""

    path: str
    by: str
    package: str


class Verdict(NamedTuple):
    """What came of a comparison. `problems` are why it failed, `notes` what differs all the same."""

    command: str
    passed: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    lacks: tuple[Lack, ...]
    outside: Outcome
    inside: Outcome


class Named(Protocol):
    """An image that was made, and the name that it gets if it works."""

    @property
    def reference(self) -> Reference: ...

    @property
    def image(self) -> Image: ...


M = TypeVar("M", bound=Named)


class _Original(NamedTuple):
    """Where the image's files come from: the Root, the program in it, and the folder of a private program. `shown`: the folders
    of the machine that the running image sees."""

    root: Root
    entry: str
    folder: str = ""
    shown: tuple[str, ...] = ()
    is_machine: bool = True

    def outside_path(self, path: str) -> str:
        """Where a path of the image lies in the Root."""
        return path if not self.folder or is_system(path) else f"{self.folder}{path}"


def pack_verified(
    recipe: Recipe,
    store: LocalStore,
    reference: Reference | None,
    commands: Sequence[str],
    fixes: bool = False,
    reporter: Reporter = SILENT,
) -> Packed:
    """Pack, run each command with the machine's program and with the image, and name the image only if they do the same.

    `fixes`: what was lacking is added as observed, and all is tried again, at most five times.
    Errors: InvalidData with the report where it fails; as of `pack`, and of `observe_program`.
    """
    with store.writing():
        packed = verified(
            lambda seen, teller: make(recipe._replace(observations=seen), store, reference, teller),
            lambda packed, command: verify_packed(recipe, packed, command, store),
            commands,
            recipe.observations,
            fixes,
            reporter,
        )
        store.tag(packed.reference, packed.image.digest)
    return packed


def verified(
    make: Callable[[tuple[Observation, ...], Reporter], M],
    judge: Callable[[M, str], "Verdict"],
    commands: Sequence[str],
    observations: tuple[Observation, ...],
    fixes: bool,
    reporter: Reporter,
) -> M:
    """An image that `make` makes of observations and that `judge` passes for every command; `fixes`: what was lacking is added as
    observed, and all is tried again, at most five times. Errors: InvalidData with the report where it fails."""
    teller = reporter
    for left in reversed(range(ROUND_LIMIT)):
        image = make(observations, teller)
        verdicts = [judge(image, command) for command in commands]
        for verdict in verdicts:
            tell(verdict, reporter)
        failed = [verdict for verdict in verdicts if not verdict.passed]
        if not failed:
            return image
        more = _additions(failed, observations) if fixes and left else ()
        if not more:
            raise _failed(image, failed)
        observations = (*observations, *more)
        teller = SILENT
    raise InternalError("a verification that ended without a verdict")


def verify_packed(recipe: Recipe, packed: Packed, command: str, store: LocalStore) -> Verdict:
    """Run a command with the machine's program, and with its image in its place. Errors: UsageError, HostError."""
    program = find_on_machine(recipe.program)
    root = DirectoryRoot("/")
    environment = shell_environment(recipe.env)
    outside = _captured(lambda streams: run_observed(command, program, environment, streams))
    if outside.observation.is_empty:
        raise never_started(command, recipe.program)
    prepare(store, packed.image.digest)
    shown = _shown(outside.observation, packed.placement.folder)
    settings = {
        "store": store.path,
        "image": str(packed.image.digest),
        "entrypoint": _name_inside(packed),
        "folders": shown,
        "environment": environment,
    }
    inside = _captured(lambda streams: _run_with_stand_in(recipe.program, command, settings, environment, streams))
    original = _Original(root, resolve(root, program).path, packed.placement.folder, shown)
    return compare(command, outside, inside, original, packed.tree)


def verify_image(
    store: LocalStore, fat: Digest, thin: Digest, command: str, entry: str = "", reporter: Reporter = SILENT
) -> Verdict:
    """Run a command in an image and in what was made of it. Errors: UsageError, HostError."""
    root, tree = image_tree(store, store.image(fat)), image_tree(store, store.image(thin))
    outside = _captured(lambda streams: observe_image(store, fat, command, entry, reporter, streams))
    inside = _captured(lambda streams: observe_image(store, thin, command, entry, reporter, streams))
    return compare(command, outside, inside, _Original(root, entry, is_machine=False), tree)


def compare(command: str, outside: Outcome, inside: Outcome, original: _Original, image: Root) -> Verdict:
    """What two runs of a command have in common, and what the second one lacked."""
    problems = [*_status_problem(outside, inside), *_difference("stdout", outside.stdout, inside.stdout)]
    if inside.observation.is_empty and not outside.observation.is_empty:
        problems.insert(0, f"the image was not started{_last_line(inside.stderr)}")
    notes = tuple(_difference("stderr", outside.stderr, inside.stderr))
    if problems and original.is_machine:
        notes += tuple(_unseen(outside.observation, original))
    return Verdict(command, not problems, tuple(problems), notes, _lacks(inside.observation, original, image), outside, inside)


def fixes(verdict: Verdict) -> Observation:
    """What to add, as if it had been seen: what was looked for in vain; or, where there is no such thing, all that the original
    touched."""
    lacking = {lack.path: lack.by for lack in verdict.lacks}
    return Observation((verdict.command,), read=lacking) if lacking else verdict.outside.observation


def report(verdict: Verdict) -> str:
    """A verdict for people."""
    lines = [f"`{verdict.command}` {'does the same' if verdict.passed else 'does not do the same'} inside"]
    lines += [f"  {line}" for line in (*verdict.problems, *verdict.notes)]
    lines += [f"  {_sentence(lack)}" for lack in verdict.lacks]
    return "\n".join(lines)


def tell(verdict: Verdict, reporter: Reporter) -> None:
    """What a passed verdict says besides; a failed one is an error's text."""
    if verdict.passed:
        reporter.step("verified", f"`{verdict.command}`", summary(verdict.inside.observation))
        for text in verdict.notes:
            reporter.notice(text)
        if verdict.lacks:
            names = ", ".join(f"`{lack.path}`{_owned(lack)}" for lack in verdict.lacks)
            reporter.notice(f"it does the same without what it looked for inside: {names}", "`--include` adds what it may miss")


# Running


def _captured(run: Callable[[Streams], Observation]) -> Outcome:
    """Run it without stdin, and keep what it says."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr, open(os.devnull, "rb") as stdin:
        seen = run(Streams(stdin.fileno(), stdout.fileno(), stderr.fileno()))
        return Outcome(seen.status, _content(stdout), _content(stderr), seen)


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(_COMPARED_BYTES)


def _run_with_stand_in(
    program: str, command: str, settings: Mapping[str, object], environment: Mapping[str, str], streams: Streams
) -> Observation:
    """The command on this machine, with the image in the place of the program: a script of its name, first on PATH."""
    with tempfile.TemporaryDirectory(prefix="jettison-") as folder:
        stand_in = f"{folder}/{program.rpartition('/')[2]}"
        _write_script(stand_in, settings)
        for word in {program, os.path.abspath(program)} if "/" in program else ():
            command = _replaced(command, word, stand_in)
        variables = {**environment, "PATH": f"{folder}:{environment['PATH']}"}
        return observe(lambda: execute_shell(command, variables, streams), Watch(lambda _: True, in_container=True))


def _name_inside(packed: Packed) -> str:
    """The program's plain name where the image finds it by that, as programs say their own name; else its path."""
    config = packed.image.config
    folder, _, name = config.entrypoint[0].rpartition("/")
    return name if folder in dict(config.env).get("PATH", "").split(":") else config.entrypoint[0]


def _shown(seen: Observation, folder: str) -> tuple[str, ...]:
    """The folders that the image sees at their own paths: the current one, and /tmp where the program uses it. What lies beside
    the program has to be in the image."""
    here = os.getcwd()
    folders = () if here == "/" or is_system(here) else (here,)
    known = (*folders, *((folder,) if folder else ()))
    touched = (*seen.read, *seen.created, *seen.changed)
    uses_tmp = any(within(path, ("/tmp",)) and not within(path, known) for path in touched)
    return (*folders, "/tmp") if uses_tmp else folders


def _write_script(path: str, settings: Mapping[str, object]) -> None:
    import jettison

    source = os.path.dirname(os.path.dirname(os.path.abspath(jettison.__file__)))
    program = f"import sys; sys.path.insert(0, {source!r}); from jettison.verbs.stand_in import main; main()"
    words = [sys.executable, "-I", "-c", program, json.dumps(settings)]
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    os.chmod(path, 0o755)


def _replaced(command: str, word: str, replacement: str) -> str:
    return re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])", lambda _: shlex.quote(replacement), command)


# Comparing


def _status_problem(outside: Outcome, inside: Outcome) -> list[str]:
    if outside.status == inside.status:
        return []
    return [f"exit status is {inside.status} inside, {outside.status} outside{_last_line(inside.stderr)}"]


def _difference(name: str, outside: bytes, inside: bytes) -> list[str]:
    """The first line that differs."""
    if outside == inside:
        return []
    pairs = zip([*outside.split(b"\n"), b""], [*inside.split(b"\n"), b""], strict=False)
    for number, (theirs, ours) in enumerate(pairs, 1):
        if theirs != ours:
            return [f"{name} differs in line {number}: {_quoted(ours)} inside, {_quoted(theirs)} outside"]
    return [f"{name} is {len(inside)} bytes inside, {len(outside)} outside"]


def _last_line(text: bytes) -> str:
    lines = [line for line in text.split(b"\n") if line.strip()]
    return f": {_quoted(lines[-1])}" if lines else ""


def _quoted(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace")
    return f"`{text[:_QUOTED_CHARACTERS]}`" + ("…" if len(text) > _QUOTED_CHARACTERS else "")


def _lacks(inside: Observation, original: _Original, image: Root) -> tuple[Lack, ...]:
    """What was looked for inside in vain, although an image may have it and the Root has it."""
    wanted = {**inside.missing, **inside.denied}
    absent = {path: by for path, by in wanted.items() if not is_for_people(f"{path}/") and not _is_there(image, path)}
    moved = {original.outside_path(path): original.outside_path(by) if by else "" for path, by in absent.items()}
    there = Observation(read={path: by for path, by in moved.items() if _is_there(original.root, path)})
    needs = observed(original.root, there, original.entry, original.folder, os.environ.get("HOME", ""), original.is_machine).needs
    packages = Packages(original.root)
    return tuple(
        Lack(need.path, there.read[need.path], str(packages.owner(resolve(original.root, need.path).path) or ""))
        for need in needs
    )


def _unseen(outside: Observation, original: _Original) -> list[str]:
    """What the original used that lies where the image does not see it."""
    kept = (*original.shown, *((original.folder,) if original.folder else ()))
    unseen = sorted(path for path in outside.read if not is_system(path) and not within(path, kept))
    where = " and ".join(f"`{folder}`" for folder in original.shown) or "nothing"
    return [f"outside it read `{unseen[0]}`; of this machine the image sees {where}"] if unseen else []


def _is_there(root: Root, path: str) -> bool:
    try:
        return resolve(root, path).node is not None
    except InvalidData:
        return False


def _sentence(lack: Lack) -> str:
    where = f"inside, `{lack.by}` looked for `{lack.path}`, which exists outside{_owned(lack)}"
    return f"{where}: add it with `--include {lack.path}`"


def _owned(lack: Lack) -> str:
    return f" (package {lack.package})" if lack.package else ""


# Mending


def _additions(failed: Sequence[Verdict], known: Sequence[Observation]) -> tuple[Observation, ...]:
    """What none of the observations has brought yet."""
    more: list[Observation] = []
    for verdict in failed:
        for addition in (fixes(verdict), verdict.outside.observation):
            if addition not in (*known, *more):
                more.append(addition)
                break
    return tuple(more)


def _failed(image: Named, failed: Sequence[Verdict]) -> InvalidData:
    text = "\n".join(report(verdict) for verdict in failed)
    hint = f"the image has no name; `jettison run {image.image.digest}` starts it, `--fix` adds what it lacks"
    return InvalidData(f"the image `{image.reference.familiar}` does not work as the original does\n{text}", hint)
