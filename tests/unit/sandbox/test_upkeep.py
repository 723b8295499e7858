"""When a program is started again, and what checks its health."""

from collections.abc import Sequence

import pytest

from jettison.sandbox.upkeep import HealthFlags, Restart


@pytest.mark.parametrize(
    ("restart", "status", "restarts", "wants"),
    [
        (Restart(), 1, 0, False),
        (Restart("no"), 0, 0, False),
        (Restart("always"), 0, 1000, True),
        (Restart("unless-stopped"), 1, 0, True),
        (Restart("on-failure"), 0, 0, False),
        (Restart("on-failure"), 1, 1000, True),
        (Restart("on-failure", 3), 1, 2, True),
        (Restart("on-failure", 3), 1, 3, False),
    ],
)
def test_restarts(restart: Restart, status: int, restarts: int, wants: bool) -> None:
    """docker's policies."""
    assert restart.wants(status, restarts) is wants


IMAGE = ("5000000000", "0", "0", "7", "CMD", "check", "it")


@pytest.mark.parametrize(
    ("flags", "image", "expected"),
    [
        (HealthFlags(), (), None),
        (HealthFlags(), IMAGE, (("check", "it"), 5, 30, 0, 7)),
        (HealthFlags(), (*IMAGE[:4], "CMD-SHELL", "a || b"), (("/bin/sh", "-c", "a || b"), 5, 30, 0, 7)),
        (HealthFlags(), (*IMAGE[:4], "NONE"), None),
        (HealthFlags(), (*IMAGE[:4], "CMD"), None),
        (HealthFlags(), IMAGE[:4], None),
        (HealthFlags(is_off=True), IMAGE, None),
        (HealthFlags(command="x"), (), (("/bin/sh", "-c", "x"), 30, 30, 0, 3)),
        (HealthFlags(command="x"), (*IMAGE[:4], "NONE"), (("/bin/sh", "-c", "x"), 5, 30, 0, 7)),
        (HealthFlags(interval_s=1, timeout_s=2, start_period_s=3, retries=4), IMAGE, (("check", "it"), 1, 2, 3, 4)),
        (HealthFlags(interval_s=0, timeout_s=0, retries=0), IMAGE, (("check", "it"), 5, 30, 0, 7)),
        (HealthFlags(interval_s=1), (), None),
    ],
)
def test_flags_come_over_the_image(flags: HealthFlags, image: Sequence[str], expected: tuple[object, ...] | None) -> None:
    """One by one; 0 is as if nothing was said, and without a command nothing is checked."""
    health = flags.over(image)

    told = health and (health.argv, health.interval_s, health.timeout_s, health.start_period_s, health.retries)
    assert told == expected
