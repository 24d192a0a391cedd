"""Whether a figure grows without end, how fast, and when it meets its limit.

A straight line is asked of windows from the whole series down to its last twelfth, the longest first: growth well above
the scatter, of one pace in all its thirds, from a floor that rises too, to a height not seen before. So a sawtooth, a
wave, a warm-up, a restart or a burst is none. Where a figure swings as it grows, three long stretches must each lie
higher than the one before, in their lows and their highs alike, and overlap: what only rises for half a day may be half
of a wave.

The slope is the median of slopes between points (Theil 1950, Sen 1968), which a third of outliers leaves alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

from auditor.remember.series import LEAST_BUCKETS, Bucket, Series

HOUR = 3600.0
_YEAR = 365 * 24 * HOUR  # nobody plans further by a straight line
_SHARES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.22, 0.16, 0.12, 0.08)
_POINTS = 24
_LEAST_GROWTH = 8
_LEAST_GROWTH_SHARE = 0.001  # of the limit
_CONFIRMATIONS = 3  # looks in a row, ten sweeps apart, until a trend is firm
_PATIENCE = 6  # looks without a sign of it until a trend is given up
_DROP = 0.7  # of its height: a restart, a deploy, a collection; the trend is over at once


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth.

    Attributes:
        per_second: how fast.
        level: the line's value at its end, without the scatter.
        at: seconds since the epoch of that end.
        span: seconds that the growth was watched.
        clear: straight for so long, or so near its end, that it is hardly anything else.
        seen: looks in a row at which it was clear.
        missed: looks in a row at which there was no growth to be seen.
    """

    per_second: float
    level: float
    at: float
    span: float
    clear: bool
    seen: int = 0
    missed: int = 0

    @property
    def firm(self) -> bool:
        """Whether to alarm people over it."""
        return self.seen >= _CONFIRMATIONS

    def exhausts_at(self, maximum: object) -> float | None:
        """Return when it meets a limit, in seconds since the epoch; `None` without one, or not within a year."""
        if not isinstance(maximum, int):
            return None
        left = max(0.0, (maximum - self.level) / self.per_second)
        return self.at + left if left < _YEAR else None


def follow(before: Trend | None, series: Series, maximum: int | None) -> Trend | None:
    """Look at a series again.

    Args:
        before: what was made of it the last time.
        series: the figure.
        maximum: its limit; `None` without one.
    """
    if before and series.last < _DROP * before.level:
        return None
    if not series.whole:
        return before
    found = _find(series.buckets(), maximum, series.began)
    if found is None:
        return replace(before, missed=before.missed + 1) if before and before.missed + 1 < _PATIENCE else None
    firm = before is not None and before.firm
    if not found.clear:
        return replace(found, seen=before.seen if before and firm else 0)
    return replace(found, seen=1 + (before.seen if before else 0))


def _find(buckets: Sequence[Bucket], maximum: int | None, began: float) -> Trend | None:
    number = len(buckets)
    if number < LEAST_BUCKETS or buckets[-1].mean - min(one.mean for one in buckets) < _least_growth(maximum):
        return None  # as nearly always
    for size in sorted({max(LEAST_BUCKETS, int(number * share)) for share in _SHARES}, reverse=True):
        if size > number:
            continue
        window, before = buckets[number - size :], buckets[: number - size]
        if window[-1].mean <= window[0].mean:
            continue
        found = _examine(window, max((one.mean for one in before), default=None), maximum, began)
        if found and not _slows(before[-size:], found.per_second):
            return found
    return None


def _examine(window: Sequence[Bucket], earlier: float | None, maximum: int | None, began: float) -> Trend | None:
    sixths = _joined(window, 6)
    rise = sixths[-1].low - sixths[0].low
    points = [(one.at, one.mean) for one in _joined(window, _POINTS)]
    slope, base = _line(points)
    start, end = points[0][0], points[-1][0]
    span = end - start
    growth, level = slope * span, base + slope * end
    if growth < _least_growth(maximum) or rise < 0.5 * growth:
        return None
    if earlier is not None and earlier > level - 0.6 * growth:
        return None
    scatter = 1.4826 * median(abs(value - base - slope * at) for at, value in points) + 1e-9
    trend = Trend(slope, level, began + end, span, clear=False)
    third = len(points) // 3
    paces = [_line(points[index * third : (index + 1) * third])[0] / slope for index in range(3)]
    error = 10.5 * scatter / growth / third**0.5  # of the pace of a third
    sinks = max(one.low - other.low for one, other in pairwise(sixths))
    if (
        growth >= 6 * scatter
        and sinks <= 0.1 * growth
        and error < 0.6
        and 0.8 - 0.8 * error < min(paces)
        and max(paces) < 1.25 + 0.8 * error
        and paces[2] > 0.9 * paces[0] - 0.5 * error
        and span >= _least_span(maximum, level, slope)
    ):
        left = None if maximum is None else (maximum - level) / slope
        return replace(trend, clear=_is_clear(span, max(paces) - min(paces), left, growth / scatter))
    return trend if _swings_upward(window, span, growth) else None


def _least_growth(maximum: int | None) -> float:
    return max(_LEAST_GROWTH, _LEAST_GROWTH_SHARE * (maximum or 0))


def _least_span(maximum: int | None, level: float, slope: float) -> float:
    """Return how long growth must be watched: three quarters of an hour, or less where the end is nearer than that."""
    left = HOUR if maximum is None else max(0.0, (maximum - level) / slope)
    return min(0.75 * HOUR, left)


def _is_clear(span: float, spread: float, left: float | None, significance: float) -> bool:
    """Tell a leak from the straight part of a wave, which curves within hours, and from a start that levels off."""
    if left is not None and left < 0.5 * span and spread < 0.15:
        return True
    if span >= 6 * HOUR and spread < 0.1 and significance > 12:
        return True
    return span >= 9 * HOUR and spread < 0.25


def _swings_upward(window: Sequence[Bucket], span: float, growth: float) -> bool:
    if span < 3 * HOUR:
        return False
    thirds = _joined(window, 3)
    lows = [other.low - one.low for one, other in pairwise(thirds)]
    highs = [other.high - one.high for one, other in pairwise(thirds)]
    overlaps = [(one.high - other.low) / (one.high - one.low + 1e-9) for one, other in pairwise(thirds)]
    step = growth / 3
    return (
        min(*lows, *highs) > 0.35 * step
        and max(*lows, *highs) < 2.2 * step
        and min(overlaps) > 0.2
        and lows[1] + highs[1] > 0.8 * (lows[0] + highs[0])
    )


def _slows(before: Sequence[Bucket], slope: float) -> bool:
    """Whether growth was faster just before: what slows down levels off."""
    if len(before) < LEAST_BUCKETS // 2:
        return False
    return _line([(one.at, one.mean) for one in _joined(before, min(12, len(before)))])[0] > 1.25 * slope


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return slope and intercept. Only points a quarter of the span apart are compared: the rest is mostly scatter."""
    number = len(points)
    gap = max(1, number // 4)
    slopes = sorted(
        (points[right][1] - points[left][1]) / (points[right][0] - points[left][0])
        for left in range(number - gap)
        for right in range(left + gap, number)
    )
    slope = slopes[len(slopes) // 2]
    return slope, median(value - slope * at for at, value in points)


def _joined(buckets: Sequence[Bucket], number: int) -> list[Bucket]:
    """Join buckets until so many are left: mean of means, low of lows; of the highs the highest mean, without bursts."""
    size = len(buckets)
    joined = []
    for index in range(min(number, size)):
        part = buckets[index * size // number : (index + 1) * size // number] if size > number else [buckets[index]]
        joined.append(
            Bucket(
                fmean(one.at for one in part),
                fmean(one.mean for one in part),
                min(one.low for one in part),
                max(one.mean for one in part),
            )
        )
    return joined
