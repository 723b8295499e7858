"""A container's or an image's state and configuration, in docker's words."""

import os
from datetime import UTC, datetime
from typing import Any

from jettison.errors import NotFound
from jettison.image.store import LocalStore
from jettison.oci.documents import parse
from jettison.sandbox.containers import Found, find

_NEVER = "0001-01-01T00:00:00Z"


def inspect(store: LocalStore, name: str, kind: str = "") -> dict[str, Any]:
    """What `docker inspect` tells of a container, or else of an image; `kind`: of `container` or `image` alone.

    The values of variables are not told. Errors: NotFound, InvalidData.
    """
    if kind != "image":
        try:
            return _container(find(store.path, name))
        except NotFound:
            if kind:
                raise
    return _image(store, name)


def _image(store: LocalStore, name: str) -> dict[str, Any]:
    """What `docker inspect` tells of an image, and its manifest."""
    _, digest = store.resolve(name)
    image = store.image(digest)
    config = parse(image.raw_config, "config")
    names = [reference for reference, meaning in store.tags() if meaning == digest]
    return {
        "Id": str(image.manifest.config.digest),
        "Digest": str(digest),
        "RepoTags": [reference.familiar for reference in names],
        "RepoDigests": [f"{reference._replace(tag='', digest=digest).familiar}" for reference in names],
        "Created": image.config.created,
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": sum(layer.size for layer in image.manifest.layers),
        "Config": config.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.config.diff_ids]},
        "Manifest": parse(image.raw_manifest, "manifest"),
    }


def _container(found: Found) -> dict[str, Any]:
    log = f"{found.folder}/log"
    path, *args = found.config.get("arg", [""])
    return {
        "Id": found.id,
        "Name": f"/{found.name}" if found.name else "",
        "Created": _stamp(int(found.text("created"))),
        "Path": path,
        "Args": args,
        "State": _state(found),
        "Image": found.text("config-digest"),
        "RestartCount": found.running.restarts if found.running else found.ended.restarts if found.ended else 0,
        "LogPath": log if os.path.exists(log) else "",
        "HostConfig": {
            "NetworkMode": found.text("network"),
            "AutoRemove": not found.is_kept,
            "RestartPolicy": {"Name": found.text("restart"), "MaximumRetryCount": int(found.text("restart-limit"))},
            "Annotations": _pairs(found, "annotation"),
            "ReadonlyRootfs": "read-only" in found.config,
        },
        "NetworkSettings": {"Ports": _ports(found)},
        "Mounts": [_mount(text) for text in found.config.get("mount", ())],
        "Config": {
            "Hostname": found.text("hostname"),
            "User": found.text("user"),
            "Tty": "tty" in found.config,
            "Image": found.text("image"),
            "WorkingDir": found.text("workdir"),
            "Labels": _pairs(found, "label"),
            "StopSignal": found.text("stop-signal") or "SIGTERM",
            "StopTimeout": int(found.text("stop-timeout")),
        },
    }


def _state(found: Found) -> dict[str, Any]:
    running, ended = found.running, found.ended
    since_ns = running.since_ns if running else ended.since_ns if ended else 0
    state = {
        "Status": found.status,
        "Running": running is not None,
        "Restarting": found.status == "restarting",
        "OOMKilled": bool(ended and ended.by_memory),
        "Pid": running.init if running else 0,
        "ExitCode": ended.status if ended else 0,
        "StartedAt": _stamp(since_ns),
        "FinishedAt": _stamp(ended.at_ns if ended else 0),
    }
    health = found.health()
    if health:
        log = [{**line, "Start": _stamp(line["Start"]), "End": _stamp(line["End"])} for line in health.get("Log", ())]
        state["Health"] = {**health, "Log": log}
    return state


def _ports(found: Found) -> dict[str, list[dict[str, str]]]:
    ports: dict[str, list[dict[str, str]]] = {}
    for address, host, port, protocol in found.ports():
        ports.setdefault(f"{port}/{protocol}", []).append({"HostIp": address, "HostPort": host})
    return ports


def _pairs(found: Found, key: str) -> dict[str, str]:
    """In the order of their names, as Go's maps are written."""
    return dict(sorted(text.partition("=")[::2] for text in found.config.get(key, ())))


def _mount(text: str) -> dict[str, Any]:
    rest, _, mode = text.rpartition(":")
    source, _, target = rest.rpartition(":")
    return {"Type": "bind", "Source": source, "Destination": target, "Mode": mode, "RW": mode == "rw"}


def _stamp(time_ns: int) -> str:
    """As Go writes it, to the nanosecond."""
    seconds, rest_ns = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z" if time_ns else _NEVER
