"""Pools that the kernel keeps per user, from its own counters: inotify's exact, epoll's but for some dozens a CPU."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.procfs import fdinfo
from auditor.kernel.root import ProcRoot
from auditor.model import BudgetHolding, Gap, NodeFacts, UserBudget, percent
from auditor.sweep.bpf.holdings import Holders, Holdings, Instance
from auditor.sweep.bpf.memory import Memory, Watcher, Watches
from auditor.sweep.budget import Budget
from auditor.sweep.losses import Losses

_NEVER_BINDS = (1 << 31) - 1  # what a user namespace is given; the one above it binds
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO, include/linux/proc_ns.h
_NEAR_PERCENT = 25
_FEW = 2_000  # watches that may be counted one by one in any case
_PATIENCE_SECONDS = 300.0  # for which they are not counted again while the same instances have as many


def epolls_wanted(seen: Descriptors, facts: NodeFacts) -> bool:
    """Whether some user's epoll watches are so many that it matters whose they are."""
    figures = (percent(number, facts.epoll_max_watches) for number in seen.epoll_watches.values())
    return any((figure or 0) >= _NEAR_PERCENT for figure in figures)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads who watches, once. The kernel takes 3 us for each watch, so what did not change is not counted again."""

    root: ProcRoot
    losses: Losses
    budget: Budget
    memory: Memory
    _counted: dict[tuple[bytes, int], Watches] = field(default_factory=dict)

    def take(self, held: Holdings, facts: NodeFacts) -> tuple[list[UserBudget], list[Gap]]:
        """Return all pools, and a gap for what this kernel does not show."""
        found = [*self._inotify(held), *self._epoll(held, facts)]
        self.memory.watching = self._counted
        unknown = sum(not one.charged_to for one in held.instances if one.inotify)
        detail = "inotify instances whose budget this kernel does not show"
        limits = frozenset({"inotify-instances", "inotify-watches"})
        return found, [Gap("inotify-budgets", detail, unknown, limits)] if unknown else []

    def _inotify(self, held: Holdings) -> Iterable[UserBudget]:
        charged_to: defaultdict[int, list[Instance]] = defaultdict(list)
        for one in held.instances:
            for key in one.charged_to:
                charged_to[key].append(one)
        for key, user in sorted(held.seen.budgets.items(), key=lambda item: (item[1].user_namespace, item[1].uid)):
            scope = "" if user.user_namespace == _INITIAL_USER_NAMESPACE else f"userns {user.user_namespace}"
            if user.instances_max < _NEVER_BINDS:
                holders = _written_down(Counter(one.holders for one in charged_to[key]))
                yield UserBudget(
                    "inotify-instances", user.uid, user.instances, user.instances_max, exact=True, holders=holders,
                    scope=scope,
                )  # fmt: skip
            if user.watches_max < _NEVER_BINDS:
                holders = self._watching(key, user.watches, user.watches_max, charged_to[key], fdinfo.INOTIFY_WATCH)
                yield UserBudget(
                    "inotify-watches",
                    user.uid,
                    user.watches,
                    user.watches_max,
                    exact=True,
                    holders=holders,
                    scope=scope,
                )

    def _epoll(self, held: Holdings, facts: NodeFacts) -> Iterable[UserBudget]:
        polls = [one for one in held.instances if not one.inotify]
        maximum = facts.epoll_max_watches
        for uid, number in sorted(held.seen.epoll_watches.items()):
            of_user = [one for one in polls if one.uid == uid]
            holders = self._watching(uid, number, maximum, of_user, fdinfo.EPOLL_WATCH) if of_user else ()
            counted = sum(one.count for one in holders)  # may be more than what the CPUs have added up so far
            yield UserBudget("epoll-watches", uid, max(0, number, counted), maximum, exact=False, holders=holders)

    def _watching(
        self, key: int, total: int, maximum: object, instances: Collection[Instance], word: bytes
    ) -> tuple[BudgetHolding, ...]:
        """Count the watches of each instance; nothing where that would cost more than it is worth."""
        near = isinstance(maximum, int) and total * 100 >= _NEAR_PERCENT * maximum
        if not near and total > _FEW:
            return ()
        watches = self._known(key, total, instances, word) or self._read(total, instances, word)
        if watches is None:
            return ()
        self._counted[word, key] = watches
        counts: Counter[Holders] = Counter()
        for one in instances:
            counts[one.holders] += watches.of[_watcher(one)]
        return _written_down(counts)

    def _known(self, key: int, total: int, instances: Iterable[Instance], word: bytes) -> Watches | None:
        """Return what was counted before, if these very instances have as many: a program that began anew has others."""
        known = self.memory.watching.get((word, key))
        if known is None or known.total != total or time.monotonic() - known.at >= _PATIENCE_SECONDS:
            return None
        return known if known.of.keys() == {_watcher(one) for one in instances} else None

    def _read(self, total: int, instances: Iterable[Instance], word: bytes) -> Watches | None:
        numbers: dict[Watcher, int] = {}
        for one in instances:
            number = self._lines(one, word)
            if number is None:
                return None
            numbers[_watcher(one)] = number
        return Watches(total, numbers, time.monotonic())

    def _lines(self, one: Instance, word: bytes) -> int | None:
        try:
            with self.root.process(one.pid) as process:
                return fdinfo.count_lines(process, one.fd, word, keep_on=lambda: self.budget.allows(0))
        except (Gone, Absent):
            return 0
        except (Denied, Malformed) as error:
            self.losses.count("fdinfo", error, one.pid)
            return None


def _watcher(one: Instance) -> Watcher:
    return one.pid, one.start, one.fd


def _written_down(counts: Mapping[Holders, int]) -> tuple[BudgetHolding, ...]:
    return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))
