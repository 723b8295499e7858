"""The image configuration: what to execute, as whom, where, with which environment."""

from typing import Any, NamedTuple

from jettison.errors import InvalidData
from jettison.oci.digest import Digest
from jettison.oci.platform import Platform

Pairs = tuple[tuple[str, str], ...]


class History(NamedTuple):
    """One line of `jettison history`: what made a layer, or changed the configuration only (`empty_layer`)."""

    created_by: str
    created: str = ""
    comment: str = ""
    empty_layer: bool = False


class Healthcheck(NamedTuple):
    """docker's HEALTHCHECK: `test` begins with NONE, CMD or CMD-SHELL; times in nanoseconds, 0 for the default."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    retries: int = 0


class ImageConfig(NamedTuple):
    """The configuration in Docker's words. `env` is (name, value) pairs; `diff_ids` name the layers' tar bytes."""

    platform: Platform
    env: Pairs = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Pairs = ()
    stop_signal: str = ""
    created: str = ""
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    healthcheck: Healthcheck | None = None

    def as_json(self) -> dict[str, Any]:
        """The configuration in the specification's words; what is empty is left out."""
        config: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Env": [f"{name}={value}" for name, value in self.env],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Volumes": {volume: {} for volume in self.volumes},
            "WorkingDir": self.working_dir,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
            "Healthcheck": _health_json(self.healthcheck) if self.healthcheck else None,
        }
        value: dict[str, Any] = {"created": self.created} if self.created else {}
        value["architecture"] = self.platform.architecture
        if self.platform.variant:
            value["variant"] = self.platform.variant
        value["os"] = self.platform.os
        value["config"] = {key: item for key, item in config.items() if item}
        value["rootfs"] = {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]}
        value["history"] = [_history_json(line) for line in self.history]
        return value


def parse_config(value: dict[str, Any], what: str) -> ImageConfig:
    """Read a configuration from its parsed JSON. Errors: InvalidData, HostileData, naming `what`."""
    inner = value.get("config") or {}
    rootfs = value.get("rootfs")
    if not isinstance(inner, dict) or not isinstance(rootfs, dict):
        raise InvalidData(f"{what} has no usable config and rootfs")
    platform = Platform(*(_text(value, key, what) for key in ("os", "architecture", "variant")))
    return ImageConfig(
        platform,
        tuple(_pair(item, what) for item in _texts(inner, "Env", what)),
        _texts(inner, "Entrypoint", what),
        _texts(inner, "Cmd", what),
        _text(inner, "User", what),
        _text(inner, "WorkingDir", what),
        _keys(inner, "ExposedPorts", what),
        _keys(inner, "Volumes", what),
        _labels(inner, what),
        _text(inner, "StopSignal", what),
        _text(value, "created", what),
        tuple(Digest.parse(item, f"diff_id of {what}") for item in _texts(rootfs, "diff_ids", what)),
        tuple(_parse_history(item, what) for item in _list(value, "history", what)),
        _parse_health(inner, what),
    )


def _health_json(check: Healthcheck) -> dict[str, Any]:
    numbers = dict(zip(_HEALTH_NUMBERS, check[1:], strict=True))
    return {"Test": list(check.test), **{key: number for key, number in numbers.items() if number}}


def _parse_health(inner: dict[str, Any], what: str) -> Healthcheck | None:
    value = inner.get("Healthcheck")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidData(f"Healthcheck of {what} is not an object")
    numbers = [value.get(key) or 0 for key in _HEALTH_NUMBERS]
    if not all(isinstance(number, int) and 0 <= number < 1 << 63 for number in numbers):
        raise InvalidData(f"Healthcheck of {what} has a time or a count that is no number")
    return Healthcheck(_texts(value, "Test", what), *numbers)


_HEALTH_NUMBERS = ("Interval", "Timeout", "StartPeriod", "Retries")


def _history_json(line: History) -> dict[str, Any]:
    value: dict[str, Any] = {"created": line.created} if line.created else {}
    value["created_by"] = line.created_by
    if line.comment:
        value["comment"] = line.comment
    if line.empty_layer:
        value["empty_layer"] = True
    return value


def _parse_history(value: Any, what: str) -> History:
    if not isinstance(value, dict):
        raise InvalidData(f"the history of {what} is not a list of objects")
    created_by, created, comment = (_text(value, key, what) for key in ("created_by", "created", "comment"))
    return History(created_by, created, comment, bool(value.get("empty_layer")))


def _text(value: dict[str, Any], key: str, what: str) -> str:
    item = value.get(key) or ""
    if not isinstance(item, str) or "\0" in item:
        raise InvalidData(f"{key} of {what} is not a text")
    return item


def _list(value: dict[str, Any], key: str, what: str) -> list[Any]:
    item = value.get(key) or []
    if not isinstance(item, list):
        raise InvalidData(f"{key} of {what} is not a list")
    return item


def _texts(value: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    items = _list(value, key, what)
    if not all(isinstance(item, str) and "\0" not in item for item in items):
        raise InvalidData(f"{key} of {what} is not a list of texts")
    return tuple(items)


def _keys(value: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    item = value.get(key) or {}
    if not isinstance(item, dict):
        raise InvalidData(f"{key} of {what} is not a map")
    return tuple(item)


def _labels(value: dict[str, Any], what: str) -> Pairs:
    item = value.get("Labels") or {}
    if not isinstance(item, dict) or not all(isinstance(text, str) for text in item.values()):
        raise InvalidData(f"Labels of {what} is not a map of texts")
    return tuple(item.items())


def _pair(text: str, what: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise InvalidData(f"Env of {what} has `{text:.40}`, expected NAME=VALUE")
    return name, value
