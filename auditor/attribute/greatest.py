"""Which process of an owner holds most of something, where the owner's name does not say it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from auditor.model import BudgetHolding, Owner, OwnerKind, Process, ProcessName

_OF_MANY_PROGRAMS = frozenset({OwnerKind.HOST, OwnerKind.UNIT})


def greatest_holders(
    holdings: Iterable[BudgetHolding], owner_of: Mapping[int, Owner], processes: Mapping[int, Process]
) -> dict[Owner, ProcessName]:
    """Name the process that holds most, in the host and in each unit. What several hold counts in each."""
    held: Counter[int] = Counter()
    for holding in holdings:
        for pid in holding.holders:
            held[pid] += holding.count
    return greatest_of(held, owner_of, processes)


def greatest_of(
    held: Mapping[int, int], owner_of: Mapping[int, Owner], processes: Mapping[int, Process]
) -> dict[Owner, ProcessName]:
    """Name the process that holds most, in the host and in each unit.

    Args:
        held: how much, by pid.
        owner_of: owners by pid.
        processes: by pid.
    """
    greatest: dict[Owner, ProcessName] = {}
    for pid, number in held.items():
        owner = owner_of.get(pid)
        if owner is None or owner.kind not in _OF_MANY_PROGRAMS:
            continue
        other = greatest.get(owner)
        if other is None or (number, -pid) > (held[other.pid], -other.pid):
            greatest[owner] = ProcessName(pid, processes[pid].command)
    return greatest
