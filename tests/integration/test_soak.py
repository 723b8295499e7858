"""Containers that are started, joined, stopped and killed at random moments leave nothing behind."""

import os
from pathlib import Path

import pytest
from bench.soak import Client, Soak, apart, pack_box

ROUNDS = 40


@pytest.mark.parametrize("kind", ["root", "ordinary"])
def test_nothing_is_left_of_what_is_killed(kind: str, shared_folder: Path, request: pytest.FixtureRequest) -> None:
    """Whatever is killed, runner, init, program or another command: no container, process, mount or group stays."""
    request.getfixturevalue("require")("busybox")
    if kind == "root":
        request.getfixturevalue("root")
    jettison = request.getfixturevalue("jettison" if kind == "root" else "rootless")
    command = [word for word in jettison.command if word != "-i"]  # the processes are known by a variable
    env = {**os.environ, "JETTISON_HOME": str(jettison.store)}
    pack_box(command, env, shared_folder)
    with apart():
        soak = Soak(Client(command, env, jettison.store, has_limits=kind == "root"), seed=1980)
        soak.run(ROUNDS, workers=4)
        left = soak.clean_up()
    assert (left, dict(soak.problems)) == ([], {})
