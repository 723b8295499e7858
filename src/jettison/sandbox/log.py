"""What a detached program prints, kept in a file: a line each with its time and stream, in the format of Kubernetes' logs.

    2026-01-31T12:00:00.123456789Z stdout F a whole line
    2026-01-31T12:00:00.223456789Z stderr P the beginning of one, which the next of its stream continues

https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

import os
import time

FILE_BYTES = 16 << 20
FILES = 2


class Log:
    """The writer. A file that would have more than `file_bytes` is renamed to `log.1`, that to `log.2`; up to `files` of them."""

    def __init__(self, folder: str, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self._path = f"{folder}/log"
        self._file_bytes = file_bytes
        self._files = files
        self._open()

    def write(self, stream: bytes, printed: bytes) -> None:
        """Keep what was printed on `stdout` or `stderr`. Errors: OSError; then something is lost, but no line is torn."""
        start = b"%s %s " % (stamp(), stream)
        whole, newline, rest = printed.rpartition(b"\n")
        lines = (start + b"F " + whole.replace(b"\n", b"\n" + start + b"F ") + b"\n") if newline else b""
        if rest:
            lines += start + b"P " + rest + b"\n"
        written = 0
        while written < len(lines):
            end = self._fitting(lines, written)
            if end:
                self._append(lines[written:end])
                written = end
            else:
                self._rotate()

    def close(self) -> None:
        """Nothing more is printed."""
        os.close(self.descriptor)

    def _fitting(self, lines: bytes, start: int) -> int:
        """Where the lines end that the file has room for; 0 where it has none. A line that no file has room for gets its own."""
        room = self._file_bytes - self._bytes
        if len(lines) - start <= room:
            return len(lines)
        end = lines.rfind(b"\n", start, start + room) + 1 if room > 0 else 0
        return end or (0 if self._bytes else lines.index(b"\n", start) + 1)

    def _append(self, lines: bytes) -> None:
        done = 0
        try:
            while done < len(lines):
                done += os.write(self.descriptor, memoryview(lines)[done:])
        except OSError:
            done = lines.rfind(b"\n", 0, done) + 1
            os.ftruncate(self.descriptor, self._bytes + done)
            raise
        finally:
            self._bytes += done

    def _open(self) -> None:
        self.descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._bytes = os.fstat(self.descriptor).st_size

    def _rotate(self) -> None:
        """The file stays open until there is another: a disk may have no room for one."""
        for number in range(self._files - 1, 0, -1):
            older = f"{self._path}.{number - 1}" if number > 1 else self._path
            if os.path.exists(older):
                os.rename(older, f"{self._path}.{number}")
        if self._files == 1:
            os.unlink(self._path)
        full = self.descriptor
        self._open()
        os.close(full)


def stamp() -> bytes:
    """The time of now, RFC 3339 with nanoseconds."""
    seconds, rest_ns = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ" % rest_ns
