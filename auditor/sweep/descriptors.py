"""What the descriptors are: every table classified whole, those nearest to their limit first while the budget lasts."""

import math
from array import array
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from auditor.kernel.errors import Absent, Denied, Gone, Malformed
from auditor.kernel.procfs import fd, stat
from auditor.kernel.root import ProcRoot
from auditor.model import Gap
from auditor.sweep.budget import Budget
from auditor.sweep.losses import OF_DESCRIPTORS, Losses
from auditor.sweep.memory import Memory, stale
from auditor.sweep.processes import Row

MAXIMUM_DESCRIPTORS = 200_000
"""On a node with more, descriptors are counted by kind but not compared with each other."""

_COUNTED = frozenset((*fd.INOTIFY_LINKS, *fd.EPOLL_LINKS, *fd.PTY_LINKS))
_SHARE = 0.7  # of the budget; the rest is for naming sockets and comparing what was found
_FIRST_GUESS_SECONDS = 4e-6  # per descriptor, until measured here
_FD_BITS = 32


def _places() -> "array[int]":
    return array("Q")


@dataclass(slots=True)
class Holdings:
    """What the classified tables refer to. Places are (pid, descriptor) packed in one number: there may be millions.

    Attributes:
        socket_inodes: in step with `socket_places`.
        others: by what the link says; only descriptors under one link can be the same open file description. Past
            `MAXIMUM_DESCRIPTORS` only those that limits count, so that memory stays bounded on a node of millions.
        size: how many descriptors were classified.
        holders_of: by inode of a socket, the pids that hold it, ascending. Equal tuples are one object: there may be many.
        prints: by pid, a number that changes when the sockets in its table do.
        ages: seconds since each table that was not read anew was read.
        unclassified: rows left out for the budget.
        whole: every table was classified, so that what was not met is not held.
    """

    socket_inodes: "array[int]" = field(default_factory=_places)
    socket_places: "array[int]" = field(default_factory=_places)
    others: "defaultdict[str, array[int]]" = field(default_factory=lambda: defaultdict(_places))
    holders_of: dict[int, tuple[int, ...]] = field(default_factory=dict)
    size: int = 0
    prints: dict[int, int] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    _groups: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)
    unclassified: int = 0
    whole: bool = True

    def add(self, pid: int, listing: fd.Listing) -> None:
        """Take over one table."""
        high = pid << _FD_BITS
        inodes, numbers = listing.sockets
        self.socket_inodes.extend(inodes)
        self.socket_places.extend(high | number for number in numbers)
        alone: dict[int, tuple[int, ...]] = dict.fromkeys(inodes, (pid,))
        for inode in self.holders_of.keys() & alone.keys():
            group = tuple(sorted({*self.holders_of[inode], pid}))
            alone[inode] = self._groups.setdefault(group, group)
        self.holders_of |= alone
        self.prints[pid] = hash(inodes.tobytes())
        self.size += listing.size
        if self.size <= MAXIMUM_DESCRIPTORS:
            for target, number in listing.others:
                self.others[target].append(high | number)
            return
        for target in [target for target in self.others if target not in _COUNTED]:
            del self.others[target]
        for target, number in listing.others:
            if target in _COUNTED:
                self.others[target].append(high | number)

    def gaps(self) -> Iterable[Gap]:
        """Say what the budget left out."""
        if self.unclassified:
            yield Gap(
                "fd-kinds",
                "processes whose descriptors were counted but not told apart: the CPU budget was spent",
                self.unclassified,
                OF_DESCRIPTORS,
            )
        yield from stale("stale-fd-kinds", "processes with as many descriptors as before", self.ages)


def place(packed: int) -> tuple[int, int]:
    """Unpack (pid, descriptor)."""
    return packed >> _FD_BITS, packed & ((1 << _FD_BITS) - 1)


def classify(root: ProcRoot, rows: list[Row], losses: Losses, budget: Budget, memory: Memory) -> Holdings:
    """Classify the tables of all rows, filling in `kinds` and making `fds` the number that was classified.

    Rows of processes that ended meanwhile are taken out of the list.

    Args:
        root: the tree the rows were read from.
        rows: all of them.
        losses: where failures are counted.
        budget: CPU time that may go into it.
        memory: what earlier sweeps found; what this one finds is kept there.
    """
    holdings = Holdings()
    gone = set()
    queue = deque(_changed_first(rows, memory))
    while queue:
        row = queue.popleft()
        each = max(_FIRST_GUESS_SECONDS, budget.spent / holdings.size if holdings.size else 0.0)
        if not budget.allows((row.fds or 0) * each, share=_SHARE):  # one huge table must not take it all
            if known := memory.table(row.pid, row.start, row.fds):
                row.kinds = known.kinds
                holdings.add(row.pid, known)
                holdings.ages.append(memory.table_age(row.pid))
                continue
            holdings.unclassified += 1
            holdings.whole = False
            continue
        try:
            listing = _listing(root, row)
        except Gone as error:
            losses.count("fd", error)
            gone.add(row.pid)
            queue.extend(_heir(row, rows))
        except (Denied, Absent, Malformed) as error:
            losses.count("fd-kinds", error, row.pid)
            holdings.whole = False
        else:
            row.kinds, row.fds = listing.kinds, listing.size
            holdings.add(row.pid, listing)
            memory.keep_table(row.pid, row.start, listing)
    if any(row.owns_table and row.kinds is None and not row.kernel_thread for row in rows):
        holdings.whole = False
    rows[:] = [row for row in rows if row.pid not in gone]
    memory.keep_only({row.pid for row in rows})
    return holdings


def _changed_first(rows: Iterable[Row], memory: Memory) -> Sequence[Row]:
    """Put what is not known at all before what may still hold, and of that the oldest first."""
    nearest = _nearest_to_limit_first(rows)
    known = {row.pid for row in nearest if memory.table(row.pid, row.start, row.fds)}
    return sorted(nearest, key=lambda row: -memory.table_age(row.pid) if row.pid in known else -math.inf)


def _nearest_to_limit_first(rows: Iterable[Row]) -> Sequence[Row]:
    def nearness(row: Row) -> tuple[float, int]:
        fds = row.fds or 0
        return (fds / row.soft_limit if isinstance(row.soft_limit, int) and row.soft_limit else 0.0, fds)

    return sorted((row for row in rows if row.fds and row.owns_table), key=nearness, reverse=True)


def _heir(dead: Row, rows: Iterable[Row]) -> Sequence[Row]:
    """Hand a shared table to another of its users."""
    users = [row for row in rows if row.table_pid == dead.pid and row is not dead]
    for row in users:
        row.table_pid = users[0].pid
    for row in users[:1]:
        row.fds = dead.fds
    return users[:1]


def _listing(root: ProcRoot, row: Row) -> fd.Listing:
    if row.netns_refused:  # the kernel asks for the same right before it shows where a descriptor leads
        raise Denied(f"{root.path}/{row.pid}/{row.task}fd")
    with root.process(row.pid) as process:
        if root.live and stat.read(process).start != row.start:
            raise Gone(f"{row.pid}: the pid was given to another process")
        try:
            return fd.read_listing(process, row.task, live=root.live)
        except Absent as error:
            if root.live:  # only a process that is ending has no table
                raise Gone(str(error)) from None
            raise
