"""Labelled series of descriptor counts: twelve hours of sweeps each, as leaks and their look-alikes make them.

Each shape draws its limit, its start, its growth and its scatter from a seeded generator, and returns the limit and the
counts.
"""

import math
from collections.abc import Callable, Iterable
from random import Random

SWEEP_SECONDS = 30.0
SWEEPS = int(12 * 3600 / SWEEP_SECONDS)
LIMITS = (1024, 4096, 65_536, 1_048_576)

Counts = tuple[int, list[int]]
Shape = Callable[[Random], Counts]


def _start(random: Random) -> tuple[int, float]:
    limit = random.choice(LIMITS)
    return limit, limit * random.uniform(0.02, 0.25)


def _counts(limit: int, values: Iterable[float]) -> Counts:
    return limit, [max(0, min(limit, round(value))) for value in values]


def _minutes(random: Random, least: float, most: float) -> float:
    """A span of time in sweeps."""
    return random.uniform(least, most) * 60 / SWEEP_SECONDS


def straight(random: Random) -> Counts:
    limit, start = _start(random)
    growth, scatter = limit * random.uniform(0.12, 0.9), limit * random.uniform(0, 0.002)
    return _counts(limit, (start + growth * i / SWEEPS + random.gauss(0, scatter) for i in range(SWEEPS)))


def under_a_wave(random: Random) -> Counts:
    limit, start = _start(random)
    growth = limit * random.uniform(0.25, 0.7)
    swing, scatter = growth * random.uniform(0.1, 0.4), limit * random.uniform(0, 0.004)
    period, phase = random.choice((1, 2, 3, 4, 6)) * 3600 / SWEEP_SECONDS, random.uniform(0, math.tau)
    return _counts(
        limit,
        (
            start
            + swing
            + growth * i / SWEEPS
            + swing * math.sin(phase + math.tau * i / period)
            + random.gauss(0, scatter)
            for i in range(SWEEPS)
        ),
    )


def in_steps(random: Random) -> Counts:
    limit, start = _start(random)
    growth, steps, scatter = limit * random.uniform(0.2, 0.7), random.randrange(8, 30), limit * random.uniform(0, 0.003)
    return _counts(
        limit,
        (start + growth * math.floor(steps * i / SWEEPS) / steps + random.gauss(0, scatter) for i in range(SWEEPS)),
    )


def late(random: Random) -> Counts:
    limit, start = _start(random)
    begins, growth = random.uniform(0.2, 0.6) * SWEEPS, limit * random.uniform(0.2, 0.7)
    scatter = limit * random.uniform(0, 0.004)
    return _counts(
        limit,
        (start + max(0.0, growth * (i - begins) / (SWEEPS - begins)) + random.gauss(0, scatter) for i in range(SWEEPS)),
    )


def noisy(random: Random) -> Counts:
    limit, start = _start(random)
    growth = limit * random.uniform(0.25, 0.6)
    scatter = growth * random.uniform(0.05, 0.2)
    return _counts(limit, (start + limit / 10 + growth * i / SWEEPS + random.gauss(0, scatter) for i in range(SWEEPS)))


def under_a_sawtooth(random: Random) -> Counts:
    limit, start = _start(random)
    growth = limit * random.uniform(0.25, 0.6)
    height, period = growth * random.uniform(0.1, 0.4), _minutes(random, 5, 40)
    return _counts(
        limit,
        (
            start + growth * i / SWEEPS + height * (i / period % 1) + random.gauss(0, limit * 0.002)
            for i in range(SWEEPS)
        ),
    )


def sawtooth(random: Random) -> Counts:
    limit, start = _start(random)
    height, period, scatter = (
        limit * random.uniform(0.05, 0.6),
        _minutes(random, 4, 120),
        limit * random.uniform(0, 0.004),
    )
    values, above, top = [], random.random() * height, height
    for _ in range(SWEEPS):
        above += height / period * random.uniform(0.7, 1.3)
        if above > top:
            above, top = 0, height * random.uniform(0.8, 1.2)
        values.append(start + above + random.gauss(0, scatter))
    return _counts(limit, values)


def wave(random: Random) -> Counts:
    limit, start = _start(random)
    swing, scatter = limit * random.uniform(0.03, 0.3), limit * random.uniform(0, 0.01)
    period, phase = random.choice((24, 24, 24, 12, 8)) * 3600 / SWEEP_SECONDS, random.uniform(0, math.tau)
    return _counts(
        limit,
        (
            start + swing + swing * math.sin(phase + math.tau * i / period) + random.gauss(0, scatter)
            for i in range(SWEEPS)
        ),
    )


def warm_up(random: Random) -> Counts:
    limit, start = _start(random)
    height, time, scatter = limit * random.uniform(0.1, 0.7), _minutes(random, 3, 180), limit * random.uniform(0, 0.004)
    return _counts(
        limit, (start + height * (1 - math.exp(-i / time)) + random.gauss(0, scatter) for i in range(SWEEPS))
    )


def restarts(random: Random) -> Counts:
    limit, start = _start(random)
    height, time, scatter = limit * random.uniform(0.1, 0.5), _minutes(random, 2, 60), limit * random.uniform(0, 0.004)
    often, values, age = random.randrange(2, 10) / SWEEPS, [], 0
    for _ in range(SWEEPS):
        age = 0 if random.random() < often else age + 1
        values.append(start + height * (1 - math.exp(-age / time)) + random.gauss(0, scatter))
    return _counts(limit, values)


def deploy(random: Random) -> Counts:
    limit, start = _start(random)
    when, lift = random.randrange(SWEEPS // 6, 5 * SWEEPS // 6), limit * random.uniform(0.05, 0.4)
    ramp, scatter = _minutes(random, 1, 40), limit * random.uniform(0, 0.004)
    return _counts(
        limit, (start + lift * min(1, max(0, (i - when) / ramp)) + random.gauss(0, scatter) for i in range(SWEEPS))
    )


def bursts(random: Random) -> Counts:
    limit, start = _start(random)
    scatter, values, left, height = limit * random.uniform(0, 0.004), [], 0, 0.0
    for _ in range(SWEEPS):
        if not left and random.random() < 1 / 120:
            left, height = random.randrange(1, 60), limit * random.uniform(0.05, 0.6)
        left = max(0, left - 1)
        values.append(start + (height if left else 0) + random.gauss(0, scatter))
    return _counts(limit, values)


def bounded_wandering(random: Random) -> Counts:
    limit, start = _start(random)
    width, time = limit * random.uniform(0.03, 0.25), _minutes(random, 5, 240)
    values, where = [], 0.0
    for _ in range(SWEEPS):
        where += -where / time + random.gauss(0, math.sqrt(2 / time))
        values.append(start + 2 * width + width * max(-2, min(2, where)))
    return _counts(limit, values)


def flat(random: Random) -> Counts:
    limit, start = _start(random)
    scatter = limit * random.uniform(0, 0.01)
    return _counts(limit, (start + random.gauss(0, scatter) for _ in range(SWEEPS)))


LEAKS: tuple[Shape, ...] = (straight, under_a_wave, in_steps, late, noisy, under_a_sawtooth)
LOOK_ALIKES: tuple[Shape, ...] = (
    sawtooth,
    wave,
    warm_up,
    restarts,
    deploy,
    bursts,
    bounded_wandering,
    flat,
)
