"""Who has which number in a network of this machine, as locks on the bytes of a file: whoever dies has none any more.

The locks are a process's own, fcntl(2): no child inherits them, and they are gone when the process that took them closes the
file or ends, however it ends.
"""

import fcntl
import os

from jettison.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = "/run/jettison/networks"
_TURN = 0  # the byte of who looks and changes


class Lease:
    """A number, from `take` to `give_back`. What is done at both is done by one process at a time."""

    def __init__(self, path: str = "") -> None:
        self._path = path or _own_path()
        self._file = -1

    def take(self, numbers: "Sequence[int]", prepare: "Callable[[], None]", clean: "Callable[[bool], None]") -> int:
        """A number that nobody else has, after `prepare`. `clean`: as of `give_back`, where there is none.

        Errors: HostError; those of `prepare`.
        """
        self._open()
        try:
            prepare()
            number = next((number for number in numbers if self._is_taken(number)), None)
            if number is None:
                raise HostError(f"all {len(numbers)} addresses of the private network are in use")
        except BaseException:
            self._leave(clean)
            raise
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _TURN)
        return number

    def give_back(self, clean: "Callable[[bool], None]") -> None:
        """Have no number any more. `clean` is told whether nobody else has one."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _TURN)
        self._leave(clean)

    def clean_up(self, clean: "Callable[[bool], None]") -> None:
        """Let `clean` do what the last one to leave would have done, where all that were there have been killed."""
        if os.path.exists(self._path):
            self._open()
            self._leave(clean)

    def _open(self) -> None:
        """Have the turn, in the file that has the name: the last one to leave removes it."""
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        while True:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _TURN)
            if os.fstat(self._file).st_nlink:
                return
            os.close(self._file)

    def _leave(self, clean: "Callable[[bool], None]") -> None:
        """In one's turn."""
        try:
            is_last = self._is_last()
            clean(is_last)
            if is_last:
                os.unlink(self._path)
                self._sweep()
        finally:
            os.close(self._file)
            self._file = -1

    def _sweep(self) -> None:
        """Remove the files of networks in which nobody is left, as somebody was killed there."""
        folder = os.path.dirname(self._path)
        for name in os.listdir(folder):
            try:
                file = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:  # another one swept
                continue
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file).st_nlink:  # else the name is another file's by now
                    os.unlink(f"{folder}/{name}")
            except (BlockingIOError, PermissionError):  # fcntl(2): somebody has a lock
                pass
            finally:
                os.close(file)

    def _is_taken(self, number: int) -> bool:
        """Take it, if it is free."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def _is_last(self) -> bool:
        """Whether all bytes but that of the turn can be had."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 0, _TURN + 1)
        except OSError:
            return False
        return True


def _own_path() -> str:
    """One file for each network of machines: who is in another one has other bridges and other addresses."""
    return f"{FOLDER}/{os.stat('/proc/self/ns/net').st_ino}"
