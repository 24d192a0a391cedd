"""Descriptor tables that several processes share (CLONE_FILES without CLONE_THREAD) count once."""

from collections import defaultdict
from collections.abc import Iterable

from auditor.kernel import kcmp
from auditor.sweep.processes import Row
from auditor.sweep.same import groups_of_same


def share(rows: Iterable[Row]) -> int:
    """Mark rows whose table another row, the oldest of its users, counts.

    Only tables of equal size in equal cgroups are compared: clones rarely part, and comparing all with all would cost
    more than the rest of the sweep.

    Returns:
        How many candidates could not be compared for want of a right.
    """
    candidates = defaultdict(list)
    for row in rows:
        if row.fds:
            candidates[row.fds, row.cgroups].append(row)
    refused = 0
    for alike in candidates.values():
        if len(alike) == 1:
            continue
        groups = groups_of_same(alike, lambda one, other: kcmp.compare_tables(one.task_id, other.task_id))
        refused += len(groups.refused)
        for group in groups.known:
            keeper = min(group, key=lambda row: (row.start, row.pid))
            for row in group:
                if row is not keeper:
                    row.table_pid, row.fds = keeper.pid, None
    return refused
