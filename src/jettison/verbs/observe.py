"""observe: a command → what the program in it, and all that it starts, touched."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from jettison.closure.observed import Observed
from jettison.closure.place import is_system, within
from jettison.errors import JettisonError, NotFound, UsageError
from jettison.events import SILENT, Reporter
from jettison.image.rootfs import prepare
from jettison.image.store import LocalStore
from jettison.image.tree import image_tree
from jettison.oci.config import Pairs
from jettison.oci.digest import Digest
from jettison.sandbox.observe import Watch, observe
from jettison.sandbox.plan import Options
from jettison.tree.node import HostFile
from jettison.tree.observation import LIMIT_BYTES, Observation, merge, read, write
from jettison.tree.root import DirectoryRoot, Root, resolve

SHELL = "/bin/sh"
_SHOWN = 3

# What a command expects of whoever calls it, and what says nothing about the machine or its user.
_INHERITED = ("PATH", "HOME", "TERM", "USER", "LOGNAME", "SHELL", "TMPDIR")
_PASSING = ("/var/run", "/var/lock")


class Streams(NamedTuple):
    """Descriptors that become the command's stdin, stdout and stderr."""

    stdin: int = 0
    stdout: int = 2  # our own stdout is for the answer
    stderr: int = 2

    def become(self) -> None:
        """Make this process's streams these."""
        copies = [os.dup(descriptor) for descriptor in self]
        for number, copy in enumerate(copies):
            os.dup2(copy, number)
            os.close(copy)


def observe_program(program: str, commands: Sequence[str], environment: Pairs = (), reporter: Reporter = SILENT) -> Observation:
    """Run each command by /bin/sh on this machine; what `program`, a path or a name on PATH, did in them.

    The environment is the caller's PATH, HOME and the like, and `environment`. Errors: UsageError where a command never starts
    the program, NotFound, HostError.
    """
    from jettison.verbs.pack import find_on_machine

    path = find_on_machine(program)
    found = []
    for command in commands:
        seen = run_observed(command, path, shell_environment(environment))
        reporter.step("observed", f"`{command}`", summary(seen))
        found.append(seen)
        if seen.is_empty:
            raise never_started(command, program)
    return merge(found)


def run_observed(command: str, program: str, environment: Mapping[str, str], streams: Streams | None = None) -> Observation:
    """Run a command on this machine: what the program at an absolute path did in it; nothing where it was not started."""
    is_entry = entry_of(DirectoryRoot("/"), program)
    seen = observe(lambda: execute_shell(command, environment, streams or Streams()), Watch(is_entry))
    return seen._replace(commands=(command,))


def observe_image(
    store: LocalStore, digest: Digest, command: str, entry: str = "", reporter: Reporter = SILENT, streams: Streams | None = None
) -> Observation:
    """Run a command in an image, by its /bin/sh where it has one: what its program `entry`, by default the command's first,
    did in it. Errors: UsageError where the command never starts it, HostError.
    """
    tree = image_tree(store, store.image(digest), reporter)
    prepare(store, digest, reporter)
    argv = command_in(tree, command)
    is_entry = entry_of(tree, entry) if entry else lambda _: True
    seen = observe(lambda: _run_image(store, digest, argv, streams or Streams()), Watch(is_entry, in_container=True))
    seen = seen._replace(commands=(command,))
    if seen.is_empty and not streams:
        raise never_started(command, entry)
    reporter.step("observed", f"`{command}`", summary(seen))
    return seen


def command_in(root: Root, command: str) -> list[str]:
    """The words that run a command in an image. Errors: UsageError where it would take a shell, and there is none."""
    node = resolve(root, SHELL).node
    if node is not None and node.kind == "file":
        return [SHELL, "-c", command]
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        raise UsageError(f"`{command}`: {error}") from error
    if not words or any(set(word) <= set("();<>|&") for word in words) or "$" in command or "`" in command:
        raise UsageError(f"the image has no {SHELL} to run `{command}`", "give a program and its arguments alone")
    return words


def save(observations: Sequence[Observation], path: str, program: str) -> None:
    """Write what was observed as a document that can be committed. Errors: UsageError, OSError."""
    if not observations:
        raise UsageError(f"there is no observation to save in `{path}`", "`--observe COMMAND` makes one")
    with open(path, "wb") as stream:
        stream.write(write(merge(observations), private_folder(program), _means_the_same))


def load(path: str, program: str) -> Observation:
    """Read a document. Errors: NotFound, InvalidData, HostileData."""
    try:
        with HostFile(os.path.realpath(path)).open() as stream:
            data = stream.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"no observation at `{path}`", "`--observe COMMAND --save-observation FILE` makes one") from error
    return read(data, f"`{path}`", private_folder(program))


def private_folder(program: str) -> str:
    """The folder of a program that is not the system's; empty for one that is."""
    return "" if is_system(program) else os.path.dirname(os.path.realpath(program))


def tell(observed: Observed, reporter: Reporter) -> None:
    """What was left out, and what the running image should be given."""
    causes: dict[str, list[str]] = {}
    for path, cause in dict.fromkeys(observed.left_out):
        causes.setdefault(cause, []).append(path)
    for cause, paths in causes.items():
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        names = ", ".join(f"`{path}`" for path in paths[:_SHOWN])
        reporter.notice(
            f"observed, and left out as {cause}: {names}{more}", "`--include` adds what belongs in the image all the same"
        )
    for path in observed.writes:
        reporter.notice(f"it writes to `{path}`", f"run it with {wish(path)}")
    for path in observed.sockets:
        folder = os.path.dirname(path)
        reporter.notice(f"it connects to the socket `{path}`", f"run it with `-v {folder}:{folder}` where it needs that")


def wish(path: str) -> str:
    """The flags of `jettison run` for a folder that a program writes to."""
    name = path.rpartition("/")[2]
    memory = f"`--tmpfs {path}`"
    return memory if within(path, ("/var/cache", "/var/log")) else f"`-v ./{name}:{path}` to keep it, or {memory} to forget it"


def shell_environment(environment: Pairs = ()) -> dict[str, str]:
    """The environment of a command: what every command has of its caller, and the image's own variables, but for PATH."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {name: value for name, value in environment if name != "PATH"}
    return {"PATH": os.defpath, **inherited, **own, "PWD": os.getcwd()}


def entry_of(root: Root, program: str) -> Callable[[str], bool]:
    """Whether a path leads to the program."""
    wanted = resolve(root, program).path

    def is_entry(path: str) -> bool:
        try:
            return resolve(root, path).path == wanted
        except JettisonError:
            return False

    return is_entry


def execute_shell(command: str, environment: Mapping[str, str], streams: Streams) -> NoReturn:
    """Become a shell that runs the command."""
    streams.become()
    os.execve(SHELL, [SHELL, "-c", command], environment)


def never_started(command: str, program: str) -> UsageError:
    """The error of a command that observes nothing."""
    return UsageError(f"`{command}` did not start `{program}`", "name it in the command as you name it here")


def summary(seen: Observation) -> str:
    """An observation in a few words."""
    touched = len(seen.executed) + len(seen.read) + len(seen.listed) + len(seen.looked)
    return f"status {seen.status}  {touched} paths"


def _run_image(store: LocalStore, digest: Digest, argv: Sequence[str], streams: Streams) -> int:
    from jettison.verbs.run import Call, run

    streams.become()
    call = Call(str(digest), argv[1:], entrypoint=argv[0], options=Options(interactive=True))
    return run(call, store.path)


def _means_the_same(path: str) -> bool:
    """Whether a path means the same in the next run, on any machine."""
    return is_system(path) and not within(path, _PASSING)
