"""Putting together what is the same, while things end and rights are missing."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.kernel.errors import Denied, Gone
from auditor.sweep.same import groups_of_same

Thing = tuple[int, int]  # name, object it refers to


def by_object(gone: set[int] = frozenset(), refused: set[int] = frozenset()) -> Callable[[Thing, Thing], int]:  # type: ignore[assignment]
    def compare(one: Thing, other: Thing) -> int:
        names = {one[0], other[0]}
        if names & gone:
            raise Gone("x")
        if names & refused:
            raise Denied("x")
        return (one[1] > other[1]) - (one[1] < other[1])

    return compare


@given(objects=st.lists(st.integers(0, 6), max_size=40))
def test_each_object_is_one_group_with_all_its_names(objects: list[int]) -> None:
    things = list(enumerate(objects))
    same = groups_of_same(things, by_object())
    assert sorted(sorted(group) for group in same.known) == sorted(
        [thing for thing in things if thing[1] == number] for number in set(objects)
    )
    assert not same.refused


def test_what_ended_is_left_out_and_what_is_refused_is_told() -> None:
    things = [(name, name % 3) for name in range(9)]
    same = groups_of_same(things, by_object(gone={3}, refused={4}))
    assert sorted(sorted(group) for group in same.known) == [
        [(0, 0), (6, 0)],
        [(1, 1), (7, 1)],
        [(2, 2), (5, 2), (8, 2)],
    ]
    assert same.refused == [(4, 1)]


@given(
    objects=st.lists(st.integers(0, 6), min_size=2, max_size=60),
    deaths=st.lists(st.tuples(st.integers(1, 300), st.integers(0, 59)), max_size=40),
)
def test_while_things_end_those_that_stay_are_put_together(objects: list[int], deaths: list[tuple[int, int]]) -> None:
    things = list(enumerate(objects))
    compared = 0
    dead: set[int] = set()

    def compare(one: Thing, other: Thing) -> int:
        nonlocal compared
        compared += 1
        dead.update(name for when, name in deaths if when == compared)
        return by_object(gone=dead)(one, other)

    same = groups_of_same(things, compare)
    assert not same.refused
    living = [[thing for thing in group if thing[0] not in dead] for group in same.known]
    assert sorted(sorted(group) for group in living if group) == sorted(
        found
        for number in set(objects)
        if (found := [thing for thing in things if thing[1] == number and thing[0] not in dead])
    )


def test_what_never_holds_still_is_unknown_rather_than_wrong() -> None:
    def restless(one: int, other: int) -> int:
        if one != other:
            raise Gone("x")
        return 0

    same = groups_of_same([1, 2, 3], restless)
    assert (same.known, sorted(same.refused)) == ([], [1, 2, 3])


@pytest.mark.parametrize("things", [[], [(1, 1)]])
def test_nothing_and_one(things: list[Thing]) -> None:
    assert groups_of_same(things, by_object()).known == [[thing] for thing in things]
