"""How a container is kept beside its world: in whose sight it runs, when it is started again, how its health is checked."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_TIMEOUT_S = 10  # docker's


class Restart:
    """docker's `--restart`: `no`, `on-failure` (at most `limit` times, 0 for any number), `always` or `unless-stopped`."""

    __slots__ = ("limit", "policy")

    def __init__(self, policy: str = "no", limit: int = 0) -> None:
        self.policy = policy
        self.limit = limit

    def wants(self, status: int, restarts: int) -> bool:
        """Whether a program that ended with this status, started again so often already, is to be started again."""
        if self.policy == "on-failure":
            return status != 0 and (not self.limit or restarts < self.limit)
        return self.policy != "no"


class Health:
    """docker's HEALTHCHECK: a command, when it runs, how long it may take, how often it may fail. Times in seconds."""

    __slots__ = ("argv", "interval_s", "retries", "start_period_s", "timeout_s")

    def __init__(
        self,
        argv: "Sequence[str]",
        interval_s: float = 30,
        timeout_s: float = 30,
        start_period_s: float = 0,
        retries: int = 3,
    ) -> None:
        self.argv = tuple(argv)
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.start_period_s = start_period_s
        self.retries = retries


class HealthFlags:
    """How `--health-*` differs from the image's HEALTHCHECK; None where it does not."""

    __slots__ = ("command", "interval_s", "is_off", "retries", "start_period_s", "timeout_s")

    def __init__(
        self,
        is_off: bool = False,
        command: "str | None" = None,
        interval_s: "float | None" = None,
        timeout_s: "float | None" = None,
        start_period_s: "float | None" = None,
        retries: "int | None" = None,
    ) -> None:
        self.is_off = is_off
        self.command = command
        self.interval_s = interval_s
        self.timeout_s = timeout_s
        self.start_period_s = start_period_s
        self.retries = retries

    def over(self, image: "Sequence[str]") -> "Health | None":
        """The check, given the record's texts of the image's; None where there is none."""
        numbers, test = [int(text) for text in image[:4]], image[4:]
        argv = self._argv(test)
        if self.is_off or not argv:
            return None
        seconds = [number / 1e9 for number in numbers[:3]] or [0.0, 0.0, 0.0]
        return Health(
            argv,
            _first(self.interval_s, seconds[0], 30),
            _first(self.timeout_s, seconds[1], 30),
            _first(self.start_period_s, seconds[2], 0),
            int(_first(self.retries, numbers[3] if numbers else 0, 3)),
        )

    def _argv(self, test: "Sequence[str]") -> "Sequence[str]":
        if self.command is not None:
            return ("/bin/sh", "-c", self.command)
        if test[:1] == ("CMD-SHELL",):
            return ("/bin/sh", "-c", *test[1:2])
        return test[1:] if test[:1] == ("CMD",) else ()


class Upkeep:
    """`is_detached`: it runs on without its caller. `is_kept`: its state stays when it has ended. `log_bytes`, `log_files`: what
    its log may take; no log where `log_files` is 0. `stop_signal`: by docker's name or number, empty for the image's.
    `takes_stdin`: detached, it reads what its caller would."""

    def __init__(
        self,
        is_detached: bool = False,
        is_kept: bool = False,
        labels: "Sequence[str]" = (),
        stop_signal: str = "",
        stop_timeout_s: int = STOP_TIMEOUT_S,
        restart: "Restart | None" = None,
        health: "HealthFlags | None" = None,
        log_bytes: int = 0,
        log_files: int = 0,
        cidfile: str = "",
        takes_stdin: bool = False,
        annotations: "Sequence[str]" = (),
    ) -> None:
        self.is_detached = is_detached
        self.is_kept = is_kept
        self.labels = tuple(labels)
        self.stop_signal = stop_signal
        self.stop_timeout_s = stop_timeout_s
        self.restart = restart or Restart()
        self.health = health or HealthFlags()
        self.log_bytes = log_bytes
        self.log_files = log_files
        self.cidfile = cidfile
        self.takes_stdin = takes_stdin
        self.annotations = tuple(annotations)


def _first(given: "float | None", image: float, default: float) -> float:
    """docker's rule: 0 is as if nothing was said."""
    return given or image or default
