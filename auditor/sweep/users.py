"""Pools that the kernel keeps per user. Keys it counts itself; inotify and epoll are added up from descriptors.

The kernel's own counters of the latter are out of procfs's sight, and user namespaces charge every user above as well,
which cannot be seen here: hence they are estimates.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.procfs import fdinfo, key_users
from auditor.kernel.procfs.fd import EPOLL_LINKS, INOTIFY_LINKS
from auditor.kernel.root import ProcRoot
from auditor.model import BudgetHolding, Gap, Limit, NodeFacts, UserBudget
from auditor.sweep.budget import Budget
from auditor.sweep.descriptions import Comparer, Descriptor
from auditor.sweep.losses import Losses
from auditor.sweep.processes import Row

_READ_SECONDS = 10e-6  # of one fdinfo with a few lines


@dataclass(slots=True)
class Users:
    """The pools, what the CPU budget left out, and limits this node does not have."""

    found: list[UserBudget] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    missing: frozenset[str] = frozenset()


def take(  # noqa: PLR0913, PLR0917 - all that is known of users
    root: ProcRoot, rows: Iterable[Row], comparer: Comparer, facts: NodeFacts, losses: Losses, budget: Budget
) -> Users:
    """Take every pool that is kept per user."""
    by_pid = {row.pid: row for row in rows}
    users = Users()
    users.found += instances(by_pid, comparer, facts.inotify_max_instances)
    reader = _Watches(root, by_pid, comparer, losses, budget)
    for pool, links, word, limit in (
        ("inotify-watches", INOTIFY_LINKS, fdinfo.INOTIFY_WATCH, facts.inotify_max_watches),
        ("epoll-watches", EPOLL_LINKS, fdinfo.EPOLL_WATCH, facts.epoll_max_watches),
    ):
        counted, left_out = reader.count(pool, links, word)
        users.found += _budgets(pool, counted, limit)
        if left_out:
            detail = f"{pool.partition('-')[0]} descriptors whose watches were not counted: the CPU budget was spent"
            users.gaps.append(Gap(pool, detail, left_out, frozenset({pool})))
    found, users.missing = keys(root, losses)
    users.found += found
    return users


def keys(root: ProcRoot, losses: Losses) -> tuple[list[UserBudget], frozenset[str]]:
    """Return the pools of keys, and the limit's id if this kernel has none."""
    try:
        return _keys(root), frozenset()
    except (Absent, Denied, Malformed) as error:
        if root.live and isinstance(error, Absent):  # a kernel without keys
            return [], frozenset({"keys"})
        losses.count("key-users", error, limits=["keys"])
        return [], frozenset()


def instances(by_pid: Mapping[int, Row], comparer: Comparer, limit: Limit) -> list[UserBudget]:
    """Count inotify instances by the effective user of their oldest holder, who most likely made them.

    An instance shared over fork counts once where descriptors may be compared, else once for each descriptor.
    """
    held: defaultdict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
    for description in comparer.descriptions(INOTIFY_LINKS):
        uid, holders = _charged(description, by_pid)
        if uid is not None:
            held[uid][holders] += 1
    return _budgets("inotify-instances", held, limit)


def _charged(description: Sequence[Descriptor], by_pid: Mapping[int, Row]) -> tuple[int | None, tuple[int, ...]]:
    holders = tuple(sorted({pid for _, _, pid in description}))
    return min((by_pid[pid] for pid in holders), key=lambda row: (row.start, row.pid)).uid, holders


def _budgets(pool: str, held: Mapping[int, Mapping[tuple[int, ...], int] | None], limit: Limit) -> list[UserBudget]:
    """Write down what each user holds; `None`: a part of it is unknown."""
    return [
        UserBudget(
            pool=pool,
            uid=uid,
            used=None if counts is None else sum(counts.values()),
            limit=limit,
            exact=False,
            holders=tuple(BudgetHolding(holders, number) for holders, number in sorted((counts or {}).items())),
        )
        for uid, counts in sorted(held.items())
    ]


@dataclass(frozen=True, slots=True)
class _Watches:
    """Reads the fdinfo of each distinct description once, while the CPU budget lasts."""

    root: ProcRoot
    by_pid: Mapping[int, Row]
    comparer: Comparer
    losses: Losses
    budget: Budget

    def count(
        self, pool: str, links: Iterable[str], word: bytes
    ) -> tuple[dict[int, Counter[tuple[int, ...]] | None], int]:
        """Return watches by user and holders (`None` where some are unknown), and how many the budget left out."""
        held: dict[int, Counter[tuple[int, ...]] | None] = {}
        left_out = 0
        links = [link for link in links if self.comparer.holdings.others.get(link)]
        if not all(self.budget.allows(self.comparer.seconds(link)) for link in links):
            return held, sum(len(self.comparer.holdings.others[link]) for link in links)
        for description in self.comparer.descriptions(links):
            uid, holders = _charged(description, self.by_pid)
            if uid is None:
                continue
            number = self._lines(pool, description, word) if self.budget.allows(_READ_SECONDS) else None
            left_out += number is None and not self.budget.allows(_READ_SECONDS)
            counts = held.setdefault(uid, Counter())
            if number is None:
                held[uid] = None
            elif counts is not None:
                counts[holders] += number
        return held, left_out

    def _lines(self, pool: str, description: Sequence[Descriptor], word: bytes) -> int | None:
        """Ask through any holder. One that all have closed meanwhile watches nothing."""
        for _, fd, pid in description:
            try:
                with self.root.process(pid) as process:
                    return fdinfo.count_lines(
                        process, fd, word, self.by_pid[pid].task, keep_on=lambda: self.budget.allows(0)
                    )
            except (Denied, Malformed) as error:
                self.losses.count("fdinfo", error, pid, limits=[pool])
                return None
            except (Gone, Absent):
                continue
        if self.root.live:
            return 0
        self.losses.count("fdinfo", Absent("fdinfo"), limits=[pool])
        return None


def _keys(root: ProcRoot) -> list[UserBudget]:
    with root.top() as top:
        users = key_users.read(top)
    return [
        budget
        for user in users
        for budget in (
            UserBudget("keys", user.uid, user.keys, user.keys_max, exact=True),
            UserBudget("keys", user.uid, user.bytes, user.bytes_max, exact=True, scope="bytes"),
        )
    ]
