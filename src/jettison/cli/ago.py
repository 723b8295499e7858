"""How long ago, as docker says it."""

from datetime import UTC, datetime

_STEPS = (
    (365 * 24 * 3600, 2, "year"),
    (30 * 24 * 3600, 2, "month"),
    (7 * 24 * 3600, 2, "week"),
    (24 * 3600, 2, "day"),
    (3600, 1, "hour"),
    (60, 1, "minute"),
    (1, 1, "second"),
)


def ago(created: str, now: datetime | None = None) -> str:
    """`3 weeks ago`; `N/A` where there is no time, or none that can be read."""
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return "N/A"
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for length_s, least, unit in _STEPS:
        count = int(seconds // length_s)
        if count >= least:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
