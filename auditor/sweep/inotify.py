"""Inotify instances by user, added up from descriptors: the kernel's own counters are out of procfs's sight."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from auditor.kernel.procfs.fd import INOTIFY_LINKS
from auditor.model import BudgetHolding, Limit, UserBudget
from auditor.sweep.descriptions import Comparer
from auditor.sweep.processes import Row

POOL = "inotify-instances"


def budgets(rows: Iterable[Row], comparer: Comparer, limit: Limit) -> tuple[UserBudget, ...]:
    """Count instances by the effective user of their oldest holder, who most likely made them.

    An instance shared over fork counts once where descriptors may be compared, else once for each descriptor.
    User namespaces charge every user above as well, which cannot be seen here: hence not exact.
    """
    by_pid = {row.pid: row for row in rows}
    held: defaultdict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for holders in comparer.holders(INOTIFY_LINKS):
        oldest = min((by_pid[pid] for pid in holders), key=lambda row: (row.start, row.pid))
        if oldest.uid is not None:
            held[oldest.uid][holders] += 1
    return tuple(
        UserBudget(
            pool=POOL,
            uid=uid,
            used=instances.total(),
            limit=limit,
            exact=False,
            holders=tuple(BudgetHolding(holders, number) for holders, number in sorted(instances.items())),
        )
        for uid, instances in sorted(held.items())
    )
