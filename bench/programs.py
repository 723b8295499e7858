"""Of all ELF programs of this machine that answer `--version`, how many answer the same inside?

A program is a name in /usr/bin or /usr/sbin that is an executable ELF file after its links are followed; each name counts, as
some programs do what their name says. It takes part when it ends outside with status 0 within ten seconds, in an empty folder,
with nothing on stdin and nothing but PATH, HOME and LANG in its environment, and gives the same lines twice.

The same answer is status 0 and the same bytes on stdout; differences on stderr are listed apart. Two things are not held
against the inside: the home's path, which must differ, and the order of lines where it differs twice outside too (groff asks
its helpers all at once).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.cause import cause_of
from bench.engines import INSTALLED

FOLDERS = ("/usr/bin", "/usr/sbin")
LEAST_PROGRAMS = 600
TARGET_PERCENT = 98.0
WORKERS = 2
PRUNE_EVERY = 20
TIMEOUT_S = 10.0
INSIDE_HOME = "/root"
MORE_PACKAGES = "ffmpeg gcc ghostscript git gnupg graphviz hdf5-tools llvm mariadb-client nmap poppler-utils qemu-user webp"

RESULTS = Path(__file__).parent / "results"


class Answer(NamedTuple):
    """How a program ended and what it said; the status is -1 where it did not end in time."""

    status: int
    stdout: str
    stderr: str


class Verdict(NamedTuple):
    """One program: `problem` is empty where it answers the same inside; `cause` is what explains the problem."""

    program: str
    outside: Answer
    inside: Answer
    problem: str = ""
    cause: str = ""


class Summary(NamedTuple):
    """The whole sweep; `files` counts what the programs' names lead to."""

    programs: int
    files: int
    percent: float
    is_met: bool
    markdown: str


class Worker(threading.local):
    """Each thread's own store, pruned now and then."""

    def __init__(self, folder: Path) -> None:
        self.store = tempfile.mkdtemp(prefix="store", dir=folder)
        self.packed = 0
        self.env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.env["JETTISON_HOME"] = self.store

    def jettison(self, *words: str) -> Answer:
        """Call the installed command."""
        return ask([INSTALLED, *words], self.env, self.store, 60)

    def pack(self, program: str) -> Answer:
        """Pack with nothing but the program's path."""
        self.packed += 1
        if self.packed % PRUNE_EVERY == 0:
            self.jettison("prune")
        return self.jettison("pack", program, "-t", "program")


def main() -> int:
    """Sweep, write results/programs.{jsonl,md}, and print the summary; status 1 below the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep what the last run found to be the same, measure the rest")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="only these, without touching the results")
    values = parser.parse_args()
    if values.programs:
        for verdict in sweep(values.programs):
            print(*_row(verdict), sep="\n    ")
        return 0
    summary = measure(values.resume)
    print(summary.markdown)
    return 0 if summary.is_met else 1


def measure(resume: bool = False) -> Summary:
    """The whole sweep, from its beginning unless `resume`."""
    RESULTS.mkdir(exist_ok=True)
    journal = RESULTS / "programs.jsonl"
    known = [verdict for verdict in _read(journal) if not verdict.problem] if resume else []
    names = sorted(set(candidates()) - {verdict.program for verdict in known})
    verdicts = list(known)
    with open(journal, "w") as lines:
        for verdict in known:
            lines.write(json.dumps(verdict) + "\n")
        for number, verdict in enumerate(sweep(names)):
            verdicts.append(verdict)
            lines.write(json.dumps(verdict) + "\n")
            lines.flush()
            if sys.stderr.isatty():
                print(f"\r{number + 1} of at most {len(names)}", end="", file=sys.stderr)
    return _summary(sorted(verdicts))


def candidates() -> Iterator[str]:
    """Every name of an executable ELF file."""
    for folder in FOLDERS:
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            if os.access(path, os.X_OK) and os.path.isfile(path) and _begins_as_elf(path):
                yield path


def sweep(programs: Sequence[str]) -> Iterator[Verdict]:
    """A verdict on every program that answers outside."""
    with tempfile.TemporaryDirectory(prefix="jettison-programs.") as folder, ThreadPoolExecutor(WORKERS) as threads:
        worker = Worker(Path(folder))
        for verdict in threads.map(lambda program: judge(program, worker), programs):
            if verdict is not None:
                yield verdict


def judge(program: str, worker: Worker) -> Verdict | None:
    """Ask outside, pack, ask inside, compare; None where it takes no part."""
    outside, again = ask_outside(program), ask_outside(program)
    if outside.status != 0 or _lines(outside) != _lines(again):
        return None
    packed = worker.pack(program)
    if packed.status != 0:
        return Verdict(program, outside, packed, "pack failed", _first_line(packed.stderr))
    inside = worker.jettison("run", "program", "--version")
    problem = _problem(outside, inside, is_ordered=outside.stdout == again.stdout)
    if not problem:
        return Verdict(program, outside, inside)
    cause = cause_of([program, "--version"], [INSTALLED, "run", "program", "--version"], clean_environment("/"), worker.env)
    return Verdict(program, outside, inside, problem, cause or _first_line(inside.stderr))


def ask_outside(program: str) -> Answer:
    """The program's answer on the bare machine, in an empty folder that is its home."""
    with tempfile.TemporaryDirectory() as home:
        answer = ask([program, "--version"], clean_environment(home), home, TIMEOUT_S)
    return Answer(answer.status, answer.stdout.replace(home, INSIDE_HOME), answer.stderr.replace(home, INSIDE_HOME))


def clean_environment(home: str) -> dict[str, str]:
    """All that a program gets."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8"}


def ask(command: Sequence[str], env: dict[str, str], cwd: str, timeout_s: float) -> Answer:
    """Run a command to its end, or kill what it started."""
    with subprocess.Popen(
        command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, start_new_session=True
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Answer(-1, "", f"no end within {timeout_s:.0f} s")
    return Answer(process.returncode, stdout.decode("utf-8", "surrogateescape"), stderr.decode("utf-8", "surrogateescape"))


def _begins_as_elf(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _lines(answer: Answer) -> tuple[int, list[str]]:
    return answer.status, sorted(answer.stdout.splitlines())


def _problem(outside: Answer, inside: Answer, is_ordered: bool) -> str:
    if inside.status != 0:
        return f"status {inside.status}"
    is_same = inside.stdout == outside.stdout if is_ordered else _lines(inside) == _lines(outside)
    return "" if is_same else "other stdout"


def _read(journal: Path) -> Iterator[Verdict]:
    if journal.exists():
        for line in journal.read_text().splitlines():
            program, outside, inside, problem, cause = json.loads(line)
            yield Verdict(program, Answer(*outside), Answer(*inside), problem, cause)


def _summary(verdicts: Sequence[Verdict]) -> Summary:
    failures = [verdict for verdict in verdicts if verdict.problem]
    others = [verdict for verdict in verdicts if not verdict.problem and verdict.inside.stderr != verdict.outside.stderr]
    files = {os.path.realpath(verdict.program) for verdict in verdicts}
    percent = 100 * (1 - len(failures) / len(verdicts)) if verdicts else 0.0
    is_enough = len(verdicts) >= LEAST_PROGRAMS
    lines = [
        f"{len(verdicts)} programs ({len(files)} files) answer `--version` outside; "
        f"{len(verdicts) - len(failures)} answer the same inside: {percent:.1f} % (target {TARGET_PERCENT:.0f} %)."
    ]
    if not is_enough:
        lines.append(f"At least {LEAST_PROGRAMS} are wanted; on Debian add for example: apt-get install {MORE_PACKAGES}")
    lines += ["", "| program | problem | cause |", "| --- | --- | --- |"] if failures else []
    lines += [f"| {' | '.join(_row(verdict))} |" for verdict in failures]
    lines += ["", "Same, but for stderr:", ""] if others else []
    lines += [
        f"- `{x.program}`: {_first_line(x.outside.stderr)!r} outside, {_first_line(x.inside.stderr)!r} inside" for x in others
    ]
    markdown = "\n".join(lines) + "\n"
    (RESULTS / "programs.md").write_text(markdown)
    return Summary(len(verdicts), len(files), percent, is_enough and percent >= TARGET_PERCENT, markdown)


def _row(verdict: Verdict) -> tuple[str, str, str]:
    return verdict.program, verdict.problem or "same", verdict.cause.replace("|", "\\|")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]


if __name__ == "__main__":
    raise SystemExit(main())
