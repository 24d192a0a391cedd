"""Sorting things by a kernel comparison that may be refused, or lose its subject half-way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from typing import Generic, TypeVar

from auditor.kernel.errors import Gone, KernelError

T = TypeVar("T")

_TRIES = 16


@dataclass(frozen=True, slots=True)
class Same(Generic[T]):
    """Things put together by what they refer to.

    Attributes:
        known: each list refers to one kernel object.
        refused: could not be compared, for want of a right or because they never held still.
    """

    known: list[list[T]]
    refused: list[T]


def groups_of_same(things: Iterable[T], compare: Callable[[T, T], int]) -> Same[T]:
    """Put together what `compare` calls equal (0). What has ended or been closed meanwhile is left out.

    Comparing a thing with itself tells whether it can be compared at all.
    """
    remaining = list(things)
    try:  # as a rule nothing ends in between
        return Same(_runs(sorted(remaining, key=cmp_to_key(compare)), compare), [])
    except KernelError:
        return _of_those_that_stay(remaining, compare)


def _runs(ordered: list[T], compare: Callable[[T, T], int]) -> list[list[T]]:
    runs = [ordered[:1]] if ordered else []
    for one, other in pairwise(ordered):
        if compare(one, other) == 0:
            runs[-1].append(other)
        else:
            runs.append([other])
    return runs


def _of_those_that_stay(things: list[T], compare: Callable[[T, T], int]) -> Same[T]:
    """Sort what is left again and again, which costs less each time, until a walk along it finds all in order."""
    order = _Order(things, compare)
    remaining = list(range(len(things)))
    for _ in range(_TRIES):
        remaining = [one for one in sorted(remaining, key=cmp_to_key(order)) if one not in order.out]
        runs = order.walk(remaining)
        if runs is not None:
            return Same([[things[one] for one in run] for run in runs], [things[one] for one in order.refused])
        remaining = [one for one in remaining if one not in order.out]
    return Same([], [things[one] for one in (*order.refused, *remaining)])


class _Order(Generic[T]):
    """Compares things by their index. Those that can no longer be compared come last.

    Attributes:
        out: indices of what has ended, been closed or been refused.
        refused: those of them that were refused.
    """

    def __init__(self, things: list[T], compare: Callable[[T, T], int]) -> None:
        self._things = things
        self._compare = compare
        self.out: set[int] = set()
        self.refused: list[int] = []

    def __call__(self, one: int, other: int) -> int:
        if not self.out.isdisjoint((one, other)):
            return (one in self.out) - (other in self.out)
        result = self._ask(one, other)
        return (one in self.out) - (other in self.out) if result is None else result

    def _ask(self, one: int, other: int) -> int | None:
        try:
            return self._compare(self._things[one], self._things[other])
        except KernelError:
            self._examine(one)
            self._examine(other)
            return None

    def walk(self, ordered: list[int]) -> list[list[int]] | None:
        """Put equal neighbours together, stepping over what ends; `None` when two are out of order or will not compare."""
        kept: list[int] = []
        results: list[int] = []  # of each with the one before it
        for one in ordered:
            result: int | None = -1
            while kept and (result := self._ask(kept[-1], one)) is None and kept[-1] in self.out:
                kept.pop()
                results.pop()
            if one in self.out:
                continue
            if result is None or result > 0:
                return None
            kept.append(one)
            results.append(result if len(kept) > 1 else -1)
        runs: list[list[int]] = []
        for one, result in zip(kept, results, strict=True):
            if result:
                runs.append([one])
            else:
                runs[-1].append(one)
        return runs

    def _examine(self, one: int) -> None:
        try:
            self._compare(self._things[one], self._things[one])
        except Gone:
            self.out.add(one)
        except KernelError:
            self.out.add(one)
            self.refused.append(one)
