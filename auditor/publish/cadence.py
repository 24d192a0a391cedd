"""When the object is written: on a change, at most every 30 s; without one, every five minutes or so."""

import hashlib
from dataclasses import dataclass

from auditor.evaluate import MOMENTARY
from auditor.publish import object as shape

FLOOR_SECONDS = 30.0
HEARTBEAT_SECONDS = 300.0
_JITTER = 0.1
_BAND_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Written:
    """What was last written, and when (seconds of a monotonic clock); whether it was the first write of this life."""

    at: float
    essence: tuple[object, ...]
    first: bool = False


def essence(status: shape.Status) -> tuple[object, ...]:
    """Return what makes a status worth writing at once when it differs."""
    return (
        status.verdict,
        tuple((condition.type, condition.status) for condition in status.conditions),
        tuple(sorted((finding.id, finding.severity) for finding in status.findings)),
        status.coverage.source,
        tuple(sorted({(limit.name, (limit.percent or 0) // _BAND_PERCENT) for limit in _worst_of_each(status)})),
    )


def changed(written: Written | None, status: shape.Status, now: float) -> bool:
    """Whether something of weight differs from what was written, and the last write is not too recent."""
    return written is not None and now - written.at >= FLOOR_SECONDS and essence(status) != written.essence


def resync(written: Written | None) -> bool:
    """Whether nothing is known to stand in the object."""
    return written is None


def heartbeat(written: Written | None, node: str, now: float) -> bool:
    """Whether it is time for a sign of life.

    Each node has its own interval, and after its first write only a part of it: agents that were installed in one minute
    are so spread over five.
    """
    if written is None:
        return False
    interval = HEARTBEAT_SECONDS * (1 + _JITTER * _spread(node))
    return now - written.at >= (
        max(FLOOR_SECONDS, interval * (1 + _spread(f"{node}/first")) / 2) if written.first else interval
    )


def due(written: Written | None, status: shape.Status, node: str, now: float) -> bool:
    """Whether to write now."""
    return resync(written) or changed(written, status, now) or heartbeat(written, node, now)


def _worst_of_each(status: shape.Status) -> list[shape.LimitUse]:
    worst: dict[str, shape.LimitUse] = {}
    for limit in status.limits:
        if limit.name not in MOMENTARY:
            worst.setdefault(limit.name, limit)
    return list(worst.values())


def _spread(node: str) -> float:
    """From -1 to 1, fixed for a node."""
    return int.from_bytes(hashlib.sha256(node.encode()).digest()[:4], "big") / 2**31 - 1
