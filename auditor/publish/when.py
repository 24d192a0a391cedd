"""Moments as the object writes them: RFC 3339, UTC, whole seconds, so that they survive a restart unchanged."""

import calendar
import time

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in words."""
    return time.strftime(_FORMAT, time.gmtime(seconds))


def epoch(text: str) -> float:
    """Seconds since the epoch.

    Raises:
        ValueError: not written by `timestamp`.
    """
    return float(calendar.timegm(time.strptime(text, _FORMAT)))
