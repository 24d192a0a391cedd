"""What descriptors refer to: descriptions and sockets, each once, with all who hold it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.layout import figures
from auditor.kernel.bpf.records import Held, Sums
from auditor.kernel.diag import short_address
from auditor.model import BudgetHolding, Kind, SharedDescriptions, SocketGroup, TcpState
from auditor.sweep.bpf.memory import Memory, Summed
from auditor.sweep.bpf.peers import most_by_state, unpacked
from auditor.sweep.bpf.processes import Table
from auditor.sweep.dumped import End

Holders = tuple[int, ...]
Key = tuple[int, int, int, Holders]
"""Namespace, which sort of socket, state and holders, as the programs number them."""

_INOTIFY = records.KINDS.index(Kind.INOTIFY)
_WATCHERS = frozenset({_INOTIFY, records.KINDS.index(Kind.EPOLL)})
STATES = {int(state): state for state in TcpState} | {12: TcpState.SYN_RECV}


@dataclass(frozen=True, slots=True)
class Instance:
    """An inotify or epoll instance.

    Attributes:
        pid: one who holds it.
        start: when that process began.
        fd: by which descriptor.
        uid: whose epoll watches it counts among.
        charged_to: keys of the budgets of inotify that it counts among, the user's own first.
    """

    pid: int
    start: int
    fd: int
    holders: Holders
    inotify: bool
    uid: int
    charged_to: tuple[int, ...]


class Holdings:
    """What the descriptor tables hold, each description once.

    Attributes:
        seen: the pass.
        shared_tcp_udp: TCP and UDP sockets of several descriptors: the programs sum none of these.
        listening: sockets that listen.
        queueing: TCP sockets with much in their queues.
        dropping: UDP sockets that have dropped datagrams.
    """

    def __init__(self, table: Table, seen: Descriptors, memory: Memory, *, all_outside: bool = False) -> None:
        """Sort out one pass.

        Args:
            table: the processes.
            seen: the pass.
            memory: what was made of an earlier one.
            all_outside: whether each connection to an address outside was counted, and not only a sample.
        """
        self._table = table
        self.seen = seen
        self._memory = memory
        self._all_outside = all_outside
        self._group_of = seen.sharing.group_of
        self._holders = {group: self._pids(group) for group in set(self._group_of.values())}
        self._single: list[int] = []
        self.shared_tcp_udp: list[Held] = []
        self.listening: list[Held] = []
        self.queueing: list[Held] = []
        self.dropping: list[Held] = []
        self._masters: list[Held] = []
        self._watchers: list[Held] = []
        self._sort_out(seen.held)

    def _sort_out(self, held: Iterable[Held]) -> None:
        """Put each where it is asked for: there may be very many, so they are gone through once."""
        others = (
            (records.QUEUES, self.queueing),
            (records.DROPS, self.dropping),
            (records.PTMX, self._masters),
        )
        for one in held:
            flags, group = one.flags, self._group_of[one.file]
            if not self._holders[group]:
                continue
            if not flags & records.SHARED:
                self._single.append(group)
            elif one.socket:
                self.shared_tcp_udp.append(one)
            if flags & records.LISTENS:
                self.listening.append(one)
            if flags & ~(records.SHARED | records.LISTENS):
                for flag, several in others:
                    if flags & flag:
                        several.append(one)
            if one.kind in _WATCHERS:
                self._watchers.append(one)

    def _pids(self, group: int) -> Holders:
        keepers, sharing = self._table.keepers, self.seen.sharing
        before, last = sharing.members[group]
        if not before:  # most are held by one task
            return (keepers[last].pid,) if last in keepers else ()
        return tuple(sorted({keepers[task].pid for task in sharing.tasks(group) if task in keepers}))

    def holders(self, description: int) -> Holders:
        """Return the pids whose tables refer to a description that stands for itself, ascending."""
        return self._holders[self._group_of[description]]

    def shared(self) -> tuple[SharedDescriptions, ...]:
        """Return the descriptions of several tables, and fill in how many each row has to itself."""
        keepers, sums = self._table.keepers, self.seen.sums
        private = {row.pid: sums[task].fds - sums[task].shared for task, row in keepers.items() if task in sums}
        several: Counter[Holders] = Counter()
        groups = Counter(self._group_of.values())
        groups.subtract(self._single)
        for group, number in groups.items():
            holders = self._holders[group]
            if len(holders) == 1:
                private[holders[0]] = private.get(holders[0], 0) + number
            elif holders and number:
                several[holders] += number
        for row in self._table.by_pid.values():
            if row.owns_table and row.pid not in self._table.filled:
                # One that ended between its descriptors was seen to hold some, and counts none.
                row.private_descriptions = min(private.get(row.pid, 0), row.fds or 0)
        return tuple(SharedDescriptions(holders, number) for holders, number in sorted(several.items()))

    def sockets(self) -> tuple[SocketGroup, ...]:
        """Count the distinct sockets that descriptors lead to."""
        several: dict[Key, tuple[int, int]] = {}
        for key, number, queued in chain(self._strangers(), self._shared_sockets(), self._half_open()):
            number_before, queued_before = several.get(key, (0, 0))
            several[key] = number_before + number, queued_before + queued
        return (*self._summed(), *(_group(key, *figures) for key, figures in several.items()))

    def _summed(self) -> list[SocketGroup]:
        """Return what the programs summed by process: sockets of its own namespace that nobody else holds."""
        before, now = self._memory.summed, dict[int, Summed]()
        found: list[SocketGroup] = []
        for task, sums in self.seen.sums.items():
            row = self._table.keepers.get(task)
            if row is None:
                continue
            known = before.get(task)
            # Where there are more peers, what the sums say is not all.
            if known is None or known.sums is not sums or known.pid != row.pid or sums.more_peers:
                known = Summed(sums, row.pid, tuple(self._groups(sums, row.pid)))
            now[task] = known
            found += known.groups
        self._memory.summed = now
        return found

    def _groups(self, sums: Sums, pid: int) -> Iterator[SocketGroup]:
        alone, netns = (pid,), sums.netns
        waiting = sums.tcp_queued  # over all states; said of the first
        several = most_by_state(self.seen.peers.get(sums.pid, b""), all_outside=self._all_outside)
        for state, number in enumerate(figures(sums.tcp)):
            if number:
                name = STATES.get(state, TcpState.CLOSE)
                yield SocketGroup(netns, "tcp", name, alone, number, waiting, several.get(state, ()))
                waiting = 0
        if sums.udp:
            yield SocketGroup(netns, "udp", None, alone, sums.udp, sums.udp_queued)
        if sums.unix:
            yield SocketGroup(None, "unix", None, alone, sums.unix)
        if sums.other:
            yield SocketGroup(None, "other", None, alone, sums.other)

    def _strangers(self) -> Iterator[tuple[Key, int, int]]:
        for stranger, of in self.seen.strangers:
            row = self._table.keepers.get(stranger.pid)
            if row is not None:
                yield _key(stranger.netns, stranger.socket, stranger.state, (row.pid,)), of.number, of.queued

    def _shared_sockets(self) -> Iterator[tuple[Key, int, int]]:
        holders, group_of = self._holders, self._group_of
        for one in self.shared_tcp_udp:
            yield _key(one.netns, one.socket, one.state, holders[group_of[one.file]]), 1, one.queued
        for sort, files in self.seen.shared_sockets.items():
            for group, number in Counter(map(self._group_of.__getitem__, files)).items():
                if self._holders[group]:
                    yield _key(0, sort, 0, self._holders[group]), number, 0

    def _half_open(self) -> Iterator[tuple[Key, int, int]]:
        """Count the connections half open at each listener: they are no sockets yet, and in no counter of their namespace."""
        for one in self.listening:
            if one.requests:
                yield _key(one.netns, one.socket, TcpState.SYN_RECV, self.holders(one.file)), one.requests, 0

    def ends(self) -> Iterator[tuple[End, Holders, int]]:
        """Yield the other ends of connections that were begun here, with who holds them and how many.

        Only of those outside they are all: of others the programs count a sample.
        """
        keepers = self._table.keepers
        for task, packed in self.seen.peers.items():
            if task in keepers:
                for _, number, family, port, address in unpacked(packed):
                    yield (port, short_address(family, address)), (keepers[task].pid,), number
        for held in self.shared_tcp_udp:
            if held.socket == records.TCP and not held.flags & records.LISTENS:
                accepted = (held.netns, held.port, held.family) in self.seen.connections
                port = 0 if accepted or held.state == TcpState.CLOSE else held.peer_port
                yield (port, short_address(held.family, held.address)), self.holders(held.file), 1

    def masters(self) -> tuple[BudgetHolding, ...]:
        """Count pseudo-terminals by who holds their masters."""
        counts = Counter(self.holders(one.file) for one in self._masters)
        return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))

    @cached_property
    def instances(self) -> list[Instance]:
        """The inotify instances, and those of epoll if they were asked for."""
        return [
            Instance(
                self._table.keepers[one.pid].pid,
                self._table.keepers[one.pid].start,
                one.fd,
                self.holders(one.file),
                one.kind == _INOTIFY,
                one.netns,
                tuple(self._budgets_of(one.budget)),
            )
            for one in self._watchers
            if one.pid in self._table.keepers
        ]

    def _budgets_of(self, budget: int) -> Iterator[int]:
        while budget in self.seen.budgets:
            yield budget
            budget = self.seen.budgets[budget].above


def _key(netns: int, sort: int, state: int, holders: Holders) -> Key:
    """Tell apart only what is told apart: UNIX sockets are of no namespace, and only TCP has states."""
    return (
        (netns, sort, state, holders)
        if sort == records.TCP
        else (netns if sort == records.UDP else 0, sort, 0, holders)
    )


def _group(key: Key, number: int, queued: int) -> SocketGroup:
    netns, sort, state, holders = key
    name = STATES.get(state, TcpState.CLOSE) if sort == records.TCP else None
    return SocketGroup(netns or None, records.SOCKETS[sort], name, holders, number, queued)
