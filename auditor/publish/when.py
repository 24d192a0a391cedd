"""Moments as the object writes them: RFC 3339, UTC, whole seconds, so that they survive a restart unchanged."""

import time
from datetime import datetime

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in words."""
    return time.strftime(_FORMAT, time.gmtime(seconds))


def epoch(text: str) -> float:
    """Seconds since the epoch. Others write fractions of a second and offsets from UTC: both are read.

    Raises:
        ValueError: no moment, or nobody knows in which time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.timestamp()


def maybe_epoch(text: str | None) -> float | None:
    """As `epoch`, of what may be absent or anything."""
    try:
        return None if text is None else epoch(text)
    except ValueError:
        return None
