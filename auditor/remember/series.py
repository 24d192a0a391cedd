"""One figure over a day: a mean, a low and a high for every ten sweeps, in some kilobytes."""

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

SWEEPS_PER_BUCKET = 10
BUCKETS_MAX = 288  # a day at 30 s; past that the older half is kept at half the resolution
LEAST_BUCKETS = 12  # fewer say nothing of growth
_COLUMNS = 4


class Bucket(NamedTuple):
    """Ten sweeps. `at` is their mean time in seconds since the series began."""

    at: float
    mean: float
    low: float
    high: float


def _floats() -> "array[float]":
    return array("f")


@dataclass(frozen=True, slots=True)
class Series:
    """A figure sweep by sweep. Immutable: `observe` returns the next one.

    Attributes:
        began: seconds since the epoch of the first observation.
        last: the latest value.
        at: when it was seen.
    """

    began: float
    last: int = 0
    at: float = 0.0
    _open: tuple[tuple[float, int], ...] = ()
    _closed: "array[float]" = field(default_factory=_floats)

    def observe(self, value: int, now: float) -> "Series":
        """Return the series with one more value. Gaps in time are taken as they come."""
        recent = (*self._open, (now - self.began, value))
        if len(recent) < SWEEPS_PER_BUCKET:
            return Series(self.began, value, now, recent, self._closed)
        values = [value for _, value in recent]
        at = sum(at for at, _ in recent) / len(recent)
        closed = array("f", [*self._closed, at, sum(values) / len(values), min(values), max(values)])
        if len(closed) > BUCKETS_MAX * _COLUMNS:
            closed = _thinned(closed)
        return Series(self.began, value, now, (), closed)

    @property
    def whole(self) -> bool:
        """Whether a bucket was completed just now: the moment to look at the trend again."""
        return not self._open and len(self._closed) > 0

    @property
    def young(self) -> bool:
        """Whether too little was seen to tell growth."""
        return len(self._closed) < LEAST_BUCKETS * _COLUMNS

    def buckets(self) -> list[Bucket]:
        """Return the completed buckets, the oldest first."""
        columns = [self._closed[column::_COLUMNS] for column in range(_COLUMNS)]
        return list(map(Bucket._make, zip(*columns, strict=True)))


def _thinned(closed: "array[float]") -> "array[float]":
    """Join the older half of the buckets in pairs."""
    half = BUCKETS_MAX // 2 // 2 * 2 * _COLUMNS
    thinned = array("f")
    for index in range(0, half, 2 * _COLUMNS):
        one, other = closed[index : index + _COLUMNS], closed[index + _COLUMNS : index + 2 * _COLUMNS]
        thinned.extend(((one[0] + other[0]) / 2, (one[1] + other[1]) / 2, min(one[2], other[2]), max(one[3], other[3])))
    return thinned + closed[half:]
