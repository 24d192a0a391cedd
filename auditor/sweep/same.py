"""Sorting things by a kernel comparison that may be refused, or lose its subject half-way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from typing import Generic, TypeVar

from auditor.kernel.errors import Denied, Gone, KernelError

T = TypeVar("T")

_TRIES = 4


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
    refused: list[T] = []
    for _ in range(_TRIES):
        try:
            return Same(_runs(sorted(remaining, key=cmp_to_key(compare)), compare), refused)
        except KernelError:
            remaining = _comparable(remaining, compare, refused)
    return Same([], refused + remaining)


def _runs(ordered: list[T], compare: Callable[[T, T], int]) -> list[list[T]]:
    runs = [ordered[:1]] if ordered else []
    for one, other in pairwise(ordered):
        if compare(one, other) == 0:
            runs[-1].append(other)
        else:
            runs.append([other])
    return runs


def _comparable(things: list[T], compare: Callable[[T, T], int], refused: list[T]) -> list[T]:
    remaining = []
    for thing in things:
        try:
            compare(thing, thing)
        except Gone:
            continue
        except (Denied, KernelError):
            refused.append(thing)
        else:
            remaining.append(thing)
    return remaining
