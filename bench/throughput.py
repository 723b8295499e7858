"""What a program does inside is as fast as outside: reckoning, compiling, answering on the network."""

import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import engines
from bench.cases import Bench, Figure, Result
from bench.engines import INSTALLED

MOST = 1.03
FILE_BYTES = 512 << 20
FUNCTIONS = 1500
REQUESTS = 400
PAGE_BYTES = 16 << 10
# Starts a program, and says how many nanoseconds it took: what comes before that is another bench's matter.
STOPWATCH_C = """
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
    long long start = now();
    int status = 0;
    pid_t pid = fork();
    if (argc < 2 || pid < 0) return 125;
    if (!pid) { execv(argv[1], argv + 1); _exit(127); }
    waitpid(pid, &status, 0);
    dprintf(2, "%lld\\n", now() - start);
    return status != 0;
}
"""
FUNCTION_C = (
    "int f{0}(int *a, int n) {{ int s = {0}; for (int i = 0; i < n; i++) s += a[i] * (a[i] ^ {0}) >> (s & 7); return s; }}\n"
)


def throughput(bench: Bench) -> Result:
    """A sum of a file, a compilation and pages over loopback, in turns inside and outside."""
    stopwatch = _image(bench)
    (bench.folder / "file").write_bytes(os.urandom(1 << 20) * (FILE_BYTES >> 20))
    (bench.folder / "source.c").write_text("".join(FUNCTION_C.format(number) for number in range(FUNCTIONS)))
    run = [INSTALLED, "run", "--volume", "/usr:/usr:ro", "--volume", f"{bench.folder}:{bench.folder}:ro", "--tmpfs", "/out:exec"]
    memory = f"/dev/shm/jettison-bench.{os.getpid()}.o"
    tasks = {
        "sha256 of a file": ["/usr/bin/busybox", "sha256sum", f"{bench.folder}/file"],
        "a compilation": [engines.tool("gcc"), "-O2", "-c", f"{bench.folder}/source.c", "-o", "OUT"],
    }
    ratios = {}
    for name, words in tasks.items():
        inside = [*run, "stopwatch", *(word.replace("OUT", "/out/x.o") for word in words)]
        outside = [str(stopwatch), *(word.replace("OUT", memory) for word in words)]
        ratios[name] = _compare(lambda: _watch(inside, bench), lambda: _watch(outside, bench), bench.runs)  # noqa: B023
    Path(memory).unlink()
    ratios["pages over loopback"] = _pages(bench, run)
    figures = [Figure(f"{name}: inside / outside", ratio, MOST) for name, ratio in ratios.items()]
    work = f"{FILE_BYTES >> 20} MiB by busybox, {FUNCTIONS:,} functions by gcc, {REQUESTS} pages of {PAGE_BYTES >> 10} KiB"
    return Result("inside and outside", f"{work} by busybox; in turns. The start is not part of it.", figures)


def _image(bench: Bench) -> Path:
    """The stopwatch, packed; the machine's own /usr is shown to it."""
    source, program = bench.folder / "stopwatch.c", bench.folder / "stopwatch"
    source.write_text(STOPWATCH_C)
    subprocess.run([engines.tool("gcc"), "-O2", "-static", "-o", str(program), str(source)], check=True)
    links = [name for name in ("lib", "lib64", "bin") if os.path.islink(f"/{name}")]
    includes = [word for name in links for word in ("--include", f"/{name}")]
    engines.call([INSTALLED], "pack", str(program), "--tag", "stopwatch", *includes, env=dict(bench.env))
    return program


def _compare(inside: Callable[[], float], outside: Callable[[], float], runs: int) -> float:
    """The ratio of the medians; each round has both, in changing order. The first round does not count."""
    times_s: dict[bool, list[float]] = {True: [], False: []}
    for number in range(runs + 1):
        for is_inside in sorted(times_s, reverse=bool(number % 2)):
            time_s = (inside if is_inside else outside)()
            times_s[is_inside] += [time_s] if number else []
    return statistics.median(times_s[True]) / statistics.median(times_s[False])


def _watch(command: Sequence[str], bench: Bench) -> float:
    # A session of its own, as inside: it is what the kernel shares processors out to (sched(7), autogroup).
    done = subprocess.run(
        command, env=bench.env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, start_new_session=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command}: status {done.returncode}\n{done.stderr}")
    return int(done.stderr.split()[-1]) / 1e9


def _pages(bench: Bench, run: Sequence[str]) -> float:
    site = bench.folder / "site"
    site.mkdir()
    (site / "page").write_bytes(os.urandom(PAGE_BYTES))
    serve = ["/usr/bin/busybox", "httpd", "-f", "-h", str(site), "-p"]
    with ExitStack() as stack:
        ports = [
            stack.enter_context(_server([*command, *serve], bench)) for command in ([*run, "--entrypoint", "", "stopwatch"], [])
        ]
        return _compare(lambda: _fetch(ports[0]), lambda: _fetch(ports[1]), 5 * bench.runs)


@contextmanager
def _server(command: Sequence[str], bench: Bench) -> Iterator[int]:
    """A server on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = [*command, f"127.0.0.1:{port}"]
    process = subprocess.Popen(words, env=bench.env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.01)


def _fetch(port: int) -> float:
    """The time of many pages, one connection each."""
    start_s = time.perf_counter()
    for _ in range(REQUESTS):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            received = 0
            while part := connection.recv(1 << 16):
                received += len(part)
            if received < PAGE_BYTES:
                raise RuntimeError(f"port {port} gave {received} bytes of {PAGE_BYTES}")
    return time.perf_counter() - start_s
