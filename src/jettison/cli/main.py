"""The command line: find the verb, call it, turn its errors into a message and a status."""

import errno
import gc
import os
import sys

from jettison.cli import flags
from jettison.errors import TOO_FEW_DESCRIPTORS, JettisonError, UsageError, of_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
    from typing import NoReturn, TextIO
else:
    import _signal  # `signal` itself imports enum: 3 ms

# The verbs, in the order of the help. A verb's module is imported only when it is called.
VERBS = {
    "pack": "an application → an image",
    "slim": "a fat image → the thin one of what it starts",
    "run": "run an image as a sandboxed process",
    "ps": "list the containers that run",
    "port": "the ports of this machine that lead to a container",
    "logs": "what a detached container has printed",
    "exec": "start a further program in a container",
    "stop": "ask containers for their end, then kill them",
    "kill": "send a signal to containers",
    "wait": "wait for the end of containers: their exit statuses",
    "rm": "remove containers that have ended",
    "why": "why is this path in the image?",
    "weigh": "net and tare: what an image needs, and the dead weight",
    "images": "list the images of the store",
    "inspect": "an image's or a container's configuration and state, as JSON",
    "history": "what made each layer of an image",
    "tag": "give an image another name",
    "rmi": "remove names of images",
    "volume": "list, make, show and remove named volumes",
    "prune": "remove what no name refers to",
    "fsck": "check every blob of the store",
    "save": "images → a file that other tools read",
    "load": "images from a file or folder that other tools wrote",
    "doctor": "what this machine can and cannot do, and the mend",
    "completion": "a completion script for bash, zsh or fish",
}


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one call; the exit status is the result. Errors are printed here and nowhere else."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    leading: list[str] = []
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-h", "--help"):
            sys.stdout.write(overview())
            return 0
        if word == "--version":
            from jettison import __version__

            sys.stdout.write(f"jettison {__version__}\n")
            return 0
        leading.append(word)
        if word == "--store" and words:
            leading.append(words.pop(0))
    if not words:
        sys.stderr.write(overview())
        return 2
    verb = words.pop(0)
    if verb == "help":
        return main([*words, "--help"])
    failure_status = 125 if verb in ("run", "exec") else 0
    try:
        return call(verb, [*leading, *words])
    except JettisonError as error:
        complain(error.message, _hint(error))
        return failure_status or error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our answer went away: say nothing, as cat does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        told = of_kernel(error)
        complain(told.message, told.hint)
        return failure_status or told.exit_status
    except Exception as error:
        if os.environ.get("JETTISON_DEBUG"):
            raise
        complain(f"internal error in `{verb}`: {_describe(error)}", "please report it, with JETTISON_DEBUG=1 set in a second try")
        return failure_status or 70


def start() -> "NoReturn":
    """Run this process's call, and leave at once: the interpreter's own way out takes 5 ms, its rounds for garbage 4."""
    gc.set_threshold(200_000)
    wait_for_children()
    status = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = 141
    os._exit(status)


def wait_for_children() -> None:
    """Be told of our children's end, also where the caller ignores that of its own: ignored signals stay so on exec."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)


def call(verb: str, arguments: "Sequence[str]") -> int:
    """Import the verb's module, parse, show help or act."""
    if verb not in VERBS:
        near = [known for known in VERBS if known.startswith(verb[:2])]
        raise UsageError(f"jettison has no verb `{verb}`", f"did you mean `{near[0]}`?" if near else "see `jettison --help`")
    module = __import__(f"jettison.cli.{verb}", fromlist=["COMMAND", "main"])
    values, rest = flags.parse(module.COMMAND, arguments)
    if values.on("help"):
        sys.stdout.write(flags.help_text(module.COMMAND))
        return 0
    status: int = module.main(values, rest)
    sys.stdout.flush()
    return status


def overview() -> str:
    """The help of `jettison` itself."""
    width = max(map(len, VERBS))
    lines = ["Ship the application, not the distribution.", ""]
    lines += ["Example:", "  jettison pack ./hello -t hello", "  jettison run hello", ""]
    lines += ["Usage:", "  jettison VERB [FLAGS] ...", "", "Verbs:"]
    lines += [f"  {verb:{width}}  {summary}" for verb, summary in VERBS.items()]
    lines += ["", "`jettison VERB --help` tells the rest."]
    return "\n".join(lines) + "\n"


def complain(message: str, hint: str = "") -> None:
    """Print an error, and the next move on its own line."""
    red, cyan, end = ("\033[31m", "\033[36m", "\033[0m") if is_coloured(sys.stderr) else ("", "", "")
    sys.stderr.write(f"{red}error{end}: {readable(message)}\n" + (f"{cyan}hint{end}: {readable(hint)}\n" if hint else ""))
    sys.stderr.flush()


def readable(text: str) -> str:
    """The text without what a terminal would obey: names in it come from strangers' files."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def is_coloured(stream: "TextIO") -> bool:
    """Whether colours are seen, and wanted."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _hint(error: JettisonError) -> str:
    """Its own, or that of the kernel's reason."""
    has_no_more = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EMFILE
    return error.hint or (TOO_FEW_DESCRIPTORS if has_no_more else "")


def _describe(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}: {error}{where}"
