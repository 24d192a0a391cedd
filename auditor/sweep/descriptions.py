"""Distinct open file descriptions: exact, or not at all.

A socket has one description, so its inode tells. Of everything else only descriptors with the same link can be the same
description, and kcmp decides.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.kernel import kcmp
from auditor.model import SharedDescriptions
from auditor.sweep.descriptors import Holdings, place
from auditor.sweep.processes import Row
from auditor.sweep.same import Same, groups_of_same

COMPARISON_SECONDS = 3e-6

Descriptor = tuple[int, int, int]
"""(thread to ask, descriptor, pid whose table it is in)."""


@dataclass(slots=True)
class Comparer:
    """Tells which descriptors are one description, remembering what it was asked.

    Attributes:
        holdings: the classified tables.
        task_ids: by pid, the thread to ask about.
        usable: whether kcmp can be asked at all: its pids are the reader's own.
    """

    holdings: Holdings
    task_ids: Mapping[int, int]
    usable: bool
    _known: dict[str, Same[Descriptor]] = field(default_factory=dict)

    def groups(self, target: str) -> Same[Descriptor]:
        """Put together the descriptors under one link that are the same description."""
        known = self._known.get(target)
        if known is None:
            places = map(place, self.holdings.others[target])
            things = [(self.task_ids[pid], fd, pid) for pid, fd in places]
            known = groups_of_same(things, kcmp.compare_files) if self.usable else Same([], things)
            self._known[target] = known
        return known

    def descriptions(self, links: Iterable[str]) -> Iterator[list[Descriptor]]:
        """Yield all who refer to each description under some links; one that cannot be compared stands alone."""
        for link in links:
            if link in self.holdings.others:
                groups = self.groups(link)
                yield from groups.known
                yield from ([alone] for alone in groups.refused)

    def seconds(self, link: str) -> float:
        """Return the CPU seconds that comparing what is under a link will take; none if that was done before."""
        size = len(self.holdings.others[link])
        return 0.0 if link in self._known or not self.usable else COMPARISON_SECONDS * size * math.log2(max(2, size))


def estimated_seconds(holdings: Holdings) -> float:
    """Return the CPU seconds that comparing all would take: n log n for each link met more than once."""
    sizes = Counter(map(len, holdings.others.values()))
    return COMPARISON_SECONDS * sum(many * size * math.log2(size) for size, many in sizes.items() if size > 1)


def count(rows: Iterable[Row], comparer: Comparer) -> tuple[tuple[SharedDescriptions, ...], int]:
    """Fill in `private_descriptions` of the rows whose every descriptor could be compared.

    What such rows hold together is exact whatever the others hold; the node's total is known only without any other.

    Args:
        rows: all of them.
        comparer: over their tables.

    Returns:
        The shared descriptions, and how many rows stay unknown.
    """
    private: Counter[int] = Counter()
    refused: set[int] = set()
    shared: Counter[tuple[int, ...]] = Counter()
    for holders, number in Counter(comparer.holdings.holders_of.values()).items():
        if len(holders) == 1:
            private[holders[0]] += number
        else:
            shared[holders] += number
    for target, places in comparer.holdings.others.items():
        if len(places) == 1:
            private[place(places[0])[0]] += 1
            continue
        groups = comparer.groups(target)
        refused |= {pid for _, _, pid in groups.refused}
        for group in groups.known:
            pids = tuple(sorted({pid for _, _, pid in group}))
            if len(pids) == 1:
                private[pids[0]] += 1
            else:
                shared[pids] += 1
    unknown = 0
    for row in rows:
        if not row.owns_table or row.kernel_thread:
            continue
        if row.kinds is None or row.pid in refused:
            unknown += 1
        else:
            row.private_descriptions = private[row.pid]
    return tuple(SharedDescriptions(holders, number) for holders, number in sorted(shared.items())), unknown
