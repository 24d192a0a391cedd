"""Leaks against their look-alikes: how many are found, how many alarms are false, how good the forecasts are.

`make soak` draws 2,240 series; the ordinary run an eighth of them.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import linear_regression

import pytest
from soak.corpus import LEAKS, LOOK_ALIKES, SWEEP_SECONDS, Shape, straight

from auditor.evaluate.leaks import WARNING_PERCENT, WARNING_SECONDS
from auditor.remember import Series, Trend
from auditor.remember.trend import follow

EACH = int(os.environ.get("SOCKAUDIT_SERIES", "20"))
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one series: whether a leak was told, whether with a warning, and the trend after an hour of data."""

    told: bool
    warned: bool
    after_an_hour: Trend | None


def watch(limit: int, counts: list[int]) -> Outcome:
    series, trend = Series(0.0), None
    told = warned = False
    after_an_hour = None
    for number, count in enumerate(counts, 1):
        now = number * SWEEP_SECONDS
        series = series.observe(count, now)
        trend = follow(trend, series, limit)
        if trend:
            told = True
            end = trend.exhausts_at(limit)
            near = count * 100 >= WARNING_PERCENT * limit or (end is not None and end - now < WARNING_SECONDS)
            warned |= trend.firm and near
        if now == HOUR + 10 * SWEEP_SECONDS:
            after_an_hour = trend
    return Outcome(told, warned, after_an_hour)


def outcomes(shape: Shape) -> Iterator[tuple[int, list[int], Outcome]]:
    random = Random(shape.__name__)
    for _ in range(EACH):
        limit, counts = shape(random)
        yield limit, counts, watch(limit, counts)


@pytest.mark.parametrize("shape", LEAKS, ids=lambda shape: shape.__name__)
def test_leaks_are_found(shape: Shape) -> None:
    found = [outcome for _, _, outcome in outcomes(shape)]
    told, warned = sum(one.told for one in found), sum(one.warned for one in found)
    sys.stdout.write(f"{shape.__name__}: {told} of {EACH} found, {warned} with a warning\n")
    assert told >= 0.95 * EACH


@pytest.mark.parametrize("shape", LOOK_ALIKES, ids=lambda shape: shape.__name__)
def test_look_alikes_alarm_nobody(shape: Shape) -> None:
    found = [outcome for _, _, outcome in outcomes(shape)]
    sys.stdout.write(f"{shape.__name__}: {sum(one.told for one in found)} of {EACH} told as information\n")
    assert not any(one.warned for one in found)


def test_after_an_hour_the_end_of_a_straight_leak_is_known_within_a_fifth() -> None:
    good = 0
    for limit, counts, outcome in outcomes(straight):
        rising = [(number * SWEEP_SECONDS, count) for number, count in enumerate(counts, 1) if count < 0.98 * limit]
        slope, base = linear_regression(*zip(*rising, strict=True))
        true = (limit - base) / slope - HOUR
        end = outcome.after_an_hour.exhausts_at(limit) if outcome.after_an_hour else None
        good += end is not None and abs(end - HOUR - true) < 0.2 * true
    sys.stdout.write(f"{good} of {EACH} within 20 %\n")
    assert good >= 0.9 * EACH
