"""The flags of `run` about a container's upkeep: detached, started again, checked, logged. Imported only where one is given."""

from jettison.cli.limit_flags import size
from jettison.errors import UsageError
from jettison.sandbox.log import FILE_BYTES, FILES
from jettison.sandbox.signals import signal_number
from jettison.sandbox.upkeep import STOP_TIMEOUT_S, HealthFlags, Restart, Upkeep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.cli.flags import Values

_POLICIES = ("no", "on-failure", "always", "unless-stopped")
_HEALTH = ("cmd", "interval", "timeout", "start-period", "retries")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def upkeep(values: "Values") -> Upkeep:
    """From the flags. Errors: UsageError that names the flag."""
    takes_stdin = values.has("attach") and not {"stdout", "stderr"} & {text.lower() for text in values.texts("attach")}
    is_detached, removes = values.on("detach") or takes_stdin, values.on("rm")
    restart = _restart(values.text("restart", "no"))
    if removes and restart.policy != "no":
        raise UsageError("`--rm` and `--restart` contradict each other", "leave one of them out")
    if values.has("stop-signal"):
        signal_number(values.text("stop-signal"), "`--stop-signal`")
    log_bytes, log_files = _log(values)
    return Upkeep(
        is_detached,
        is_detached and not removes,
        [_label(text) for text in (*_label_lines(values.texts("label-file")), *values.texts("label"))],
        values.text("stop-signal"),
        whole("stop-timeout", values.text("stop-timeout", str(STOP_TIMEOUT_S)), least=-1),
        restart,
        _health(values),
        log_bytes,
        log_files,
        values.text("cidfile"),
        takes_stdin,
        [_label(text, "annotation") for text in values.texts("annotation")],
    )


def whole(flag: str, text: str, least: int = 0) -> int:
    """A whole number. Errors: UsageError."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10) or int(text) < least:
        raise UsageError(f"`--{flag} {text}` is no whole number of at least {least}")
    return int(text)


def seconds(flag: str, text: str) -> float:
    """Go's durations, as docker reads them: `90s`, `1m30s`, `500ms`. Errors: UsageError."""
    left, total_s = text, 0.0
    while left or not text:
        number = left[: len(left) - len(left.lstrip("0123456789."))]
        unit = left[len(number) :][: len(left[len(number) :]) - len(left[len(number) :].lstrip("nuµmsh"))]
        if unit not in _UNITS_S or not number.replace(".", "", 1).isdigit():
            raise UsageError(f"`--{flag} {text}` is no duration", "a number with a unit: `30s`, `1m30s`, `500ms`")
        total_s += float(number) * _UNITS_S[unit]
        left = left[len(number) + len(unit) :]
    return total_s


def _restart(text: str) -> Restart:
    policy, colon, limit = text.partition(":")
    if policy not in _POLICIES or (colon and policy != "on-failure"):
        raise UsageError(f"`--restart {text}` is no policy", f"known are {', '.join(_POLICIES)}, and `on-failure:TIMES`")
    return Restart(policy, whole("restart", limit) if colon else 0)


def _health(values: "Values") -> HealthFlags:
    if values.on("no-healthcheck") and any(values.has(f"health-{name}") for name in _HEALTH):
        raise UsageError("`--no-healthcheck` and the `--health-*` flags contradict each other", "leave one of them out")

    def duration(name: str) -> "float | None":
        return seconds(name, values.text(name)) if values.has(name) else None

    return HealthFlags(
        values.on("no-healthcheck"),
        values.text("health-cmd") if values.has("health-cmd") else None,
        duration("health-interval"),
        duration("health-timeout"),
        duration("health-start-period"),
        whole("health-retries", values.text("health-retries")) if values.has("health-retries") else None,
    )


def _log(values: "Values") -> "tuple[int, int]":
    """The log's bytes a file, and its files."""
    driver = values.text("log-driver", "k8s-file")
    if driver not in ("k8s-file", "none"):
        raise UsageError(
            f"there is no log driver `{driver}`", "`k8s-file`, the usual one, or `none`; `jettison logs -f` feeds any other"
        )
    options = {"max-size": str(FILE_BYTES), "max-file": str(FILES)}
    for text in values.texts("log-opt"):
        name, _, value = text.partition("=")
        if name not in options:
            raise UsageError(f"`--log-opt {text}`: there is no option `{name}`", f"known are {', '.join(options)}")
        options[name] = value
    files = whole("log-opt max-file", options["max-file"], least=1)
    return size("log-opt max-size", options["max-size"]), 0 if driver == "none" else files


def _label_lines(paths: "Sequence[str]") -> "list[str]":
    """A label a line, as docker reads them; `#` begins a comment."""
    lines = []
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                lines += [line.strip() for line in stream]
        except OSError as error:
            raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    return [line for line in lines if line and not line.startswith("#")]


def _label(text: str, flag: str = "label") -> str:
    """NAME=VALUE; the value is empty where none is given."""
    name, _, value = text.partition("=")
    if not name or "\0" in text:
        raise UsageError(f"`--{flag} {text}` has no name", f"as in `--{flag} tier=front`")
    return f"{name}={value}"
