"""What descriptors refer to: descriptions, sockets and listeners, each once, with all who hold it."""

import socket
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.records import Held, PortKey, Sums, layout
from auditor.kernel.bpf.records import Peer as PeerRecord
from auditor.kernel.diag import short_address, unix_name, written
from auditor.kernel.outside import is_outside
from auditor.model import (
    BudgetHolding,
    Dropping,
    Kind,
    Listener,
    Peer,
    Queueing,
    SharedDescriptions,
    SocketGroup,
    TcpState,
)
from auditor.sweep.bpf.memory import Heard, Memory, Summed
from auditor.sweep.bpf.processes import Table
from auditor.sweep.dumped import End

Holders = tuple[int, ...]
Key = tuple[int, int, int, Holders]
"""Namespace, which sort of socket, state and holders, as the programs number them."""

Met = tuple[int, int, int, int, bytes]
"""State of connections with the same other end, how many they are; its family, port and address."""

_INOTIFY = records.KINDS.index(Kind.INOTIFY)
_WATCHERS = frozenset({_INOTIFY, records.KINDS.index(Kind.EPOLL)})
STATES = {int(state): state for state in TcpState} | {12: TcpState.SYN_RECV}
_PEERS_MAX = 3


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
    """What the descriptor tables hold, each description once."""

    def __init__(self, table: Table, seen: Descriptors, memory: Memory, *, all_outside: bool = False) -> None:
        """Sort out one pass.

        Args:
            table: the processes.
            seen: the pass.
            memory: what was made of an earlier one.
            all_outside: whether each connection to an address outside was counted, and not only a sample.
        """
        self._table = table
        self._seen = seen
        self._memory = memory
        self._all_outside = all_outside
        self._group_of = seen.sharing.group_of
        self._holders = {group: self._pids(group) for group in set(self._group_of.values())}
        self._single: list[int] = []
        self._shared_tcp_udp: list[Held] = []
        self._listening: list[Held] = []
        self._queueing: list[Held] = []
        self._dropping: list[Held] = []
        self._masters: list[Held] = []
        self._watchers: list[Held] = []
        self._sort_out(seen.held)

    def _sort_out(self, held: Iterable[Held]) -> None:
        """Put each where it is asked for: there may be very many, so they are gone through once."""
        others = (
            (records.QUEUES, self._queueing),
            (records.DROPS, self._dropping),
            (records.PTMX, self._masters),
        )
        for one in held:
            flags, group = one.flags, self._group_of[one.file]
            if not self._holders[group]:
                continue
            if not flags & records.SHARED:
                self._single.append(group)
            elif one.socket:
                self._shared_tcp_udp.append(one)
            if flags & records.LISTENS:
                self._listening.append(one)
            if flags & ~(records.SHARED | records.LISTENS):
                for flag, several in others:
                    if flags & flag:
                        several.append(one)
            if one.kind in _WATCHERS:
                self._watchers.append(one)

    def _pids(self, group: int) -> Holders:
        keepers, sharing = self._table.keepers, self._seen.sharing
        before, last = sharing.members[group]
        if not before:  # most are held by one task
            return (keepers[last].pid,) if last in keepers else ()
        return tuple(sorted({keepers[task].pid for task in sharing.tasks(group) if task in keepers}))

    def holders(self, description: int) -> Holders:
        """Return the pids whose tables refer to a description that stands for itself, ascending."""
        return self._holders[self._group_of[description]]

    def shared(self) -> tuple[SharedDescriptions, ...]:
        """Return the descriptions of several tables, and fill in how many each row has to itself."""
        keepers, sums = self._table.keepers, self._seen.sums
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
        for key, number, queued in chain(self._strangers(), self._shared_sockets()):
            number_before, queued_before = several.get(key, (0, 0))
            several[key] = number_before + number, queued_before + queued
        return (*self._summed(), *(_group(key, *figures) for key, figures in several.items()))

    def _summed(self) -> list[SocketGroup]:
        """Return what the programs summed by process: sockets of its own namespace that nobody else holds."""
        before, now = self._memory.summed, dict[int, Summed]()
        found: list[SocketGroup] = []
        for task, sums in self._seen.sums.items():
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
        peers = _peers(_unpacked(self._seen.peers.get(sums.pid, b"")), self._all_outside)
        for state, number in enumerate(records.figures(sums.tcp)):
            if number:
                name = STATES.get(state, TcpState.CLOSE)
                yield SocketGroup(netns, "tcp", name, alone, number, waiting, peers.get(state, ()))
                waiting = 0
        if sums.udp:
            yield SocketGroup(netns, "udp", None, alone, sums.udp, sums.udp_queued)
        if sums.unix:
            yield SocketGroup(None, "unix", None, alone, sums.unix)
        if sums.other:
            yield SocketGroup(None, "other", None, alone, sums.other)

    def _strangers(self) -> Iterator[tuple[Key, int, int]]:
        for stranger, of in self._seen.strangers:
            row = self._table.keepers.get(stranger.pid)
            if row is not None:
                yield _key(stranger.netns, stranger.socket, stranger.state, (row.pid,)), of.number, of.queued

    def _shared_sockets(self) -> Iterator[tuple[Key, int, int]]:
        holders, group_of = self._holders, self._group_of
        for one in self._shared_tcp_udp:
            yield _key(one.netns, one.socket, one.state, holders[group_of[one.file]]), 1, one.queued
        for sort, files in self._seen.shared_sockets.items():
            for group, number in Counter(map(self._group_of.__getitem__, files)).items():
                if self._holders[group]:
                    yield _key(0, sort, 0, self._holders[group]), number, 0

    def ends(self) -> Iterator[tuple[End, Holders, int]]:
        """Yield the other ends of connections that were begun here, with who holds them and how many.

        Only of those outside they are all: of others the programs count a sample.
        """
        keepers = self._table.keepers
        for task, packed in self._seen.peers.items():
            if task in keepers:
                for _, number, family, port, address in _unpacked(packed):
                    yield (port, short_address(family, address)), (keepers[task].pid,), number
        for held in self._shared_tcp_udp:
            if held.socket == records.TCP and not held.flags & records.LISTENS:
                accepted = (held.netns, held.port, held.family) in self._seen.connections
                port = 0 if accepted or held.state == TcpState.CLOSE else held.peer_port
                yield (port, short_address(held.family, held.address)), self.holders(held.file), 1

    def masters(self) -> tuple[BudgetHolding, ...]:
        """Count pseudo-terminals by who holds their masters."""
        counts = Counter(self.holders(one.file) for one in self._masters)
        return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))

    def listeners(self) -> tuple[Listener, ...]:
        """Put together the sockets of each address that is listened on."""
        accepted = self._seen.connections.copy()
        for one in self._shared_tcp_udp:  # the programs count what is held once only
            if one.state == TcpState.ESTABLISHED:
                port = one.netns, one.port, one.family
                if port in accepted:
                    accepted[port] += 1
        at_port: defaultdict[PortKey, list[Held]] = defaultdict(list)
        before, now = self._memory.heard, dict[int, Heard]()
        found = []
        for one in self._listening:
            if one.socket == records.TCP:
                at_port[one.netns, one.port, one.family].append(one)
            else:
                path = unix_name(self._seen.names.get(one.file, b""))
                found.append(Listener(one.netns, "unix", path, 0, self.holders(one.file), one.queue, one.backlog))
        for port, several in at_port.items():
            if len(several) > 1:
                addresses = _by_address(several)
                # Where several addresses share a port their connections were counted together.
                number = accepted.get(port) if len(addresses) == 1 else None
                found += [self._listener(alike, number) for alike in addresses]
                continue
            (one,), number = several, accepted.get(port)
            known, holders = before.get(one.file), self.holders(one.file)
            if known is None or known[:3] != (one, holders, number):
                known = Heard(one, holders, number, self._listener(several, number))
            now[one.file] = known
            found.append(known.listener)
        self._memory.heard = now
        return tuple(found)

    def _listener(self, alike: list[Held], accepted: int | None) -> Listener:
        """Return what the sockets of one address are together."""
        fullest = max(alike, key=lambda one: (one.queue / (one.backlog + 1), one.queue))
        queued = sum(one.queue for one in alike)
        return Listener(
            fullest.netns,
            "mptcp" if fullest.protocol == socket.IPPROTO_MPTCP else "tcp",
            written(short_address(fullest.family, fullest.address)),
            fullest.port,
            tuple(sorted({pid for one in alike for pid in self.holders(one.file)})),
            fullest.queue,
            fullest.backlog,
            None if accepted is None else accepted + queued,
            sum(one.drops for one in alike),
        )

    def heard(self, netns: Container[int]) -> set[tuple[int, bytes, int]]:
        """Return the addresses that are listened on in some namespaces: namespace, address, port."""
        return {
            (one.netns, short_address(one.family, one.address), one.port)
            for one in self._listening
            if one.netns in netns and one.socket == records.TCP
        }

    def queueing(self) -> tuple[Queueing, ...]:
        """Return the TCP sockets with much in their queues."""
        return tuple(
            Queueing(
                one.netns,
                one.file,
                one.port,
                Peer(written(short_address(one.family, one.address)), one.peer_port, 1),
                one.queue,
                one.backlog,
                self.holders(one.file),
            )
            for one in self._queueing
        )

    def dropping(self) -> tuple[Dropping, ...]:
        """Return the UDP sockets that have dropped datagrams."""
        return tuple(
            Dropping(
                one.netns,
                written(short_address(one.family, one.address)),
                one.port,
                self.holders(one.file),
                one.drops,
            )
            for one in self._dropping
        )

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
        while budget in self._seen.budgets:
            yield budget
            budget = self._seen.budgets[budget].above

    @property
    def seen(self) -> Descriptors:
        """The pass behind it."""
        return self._seen


def _unpacked(packed: bytes) -> Iterator[Met]:
    for address, state, family, port, number in layout(PeerRecord).iter_unpack(packed):
        yield state, number, family, port, address


def _peers(met: Iterable[Met], all_outside: bool) -> Mapping[int, tuple[Peer, ...]]:  # noqa: FBT001 - as below
    """Return the most frequent other ends of the connections of one task, by state."""
    several: defaultdict[int, list[Met]] = defaultdict(list)
    for one in met:
        several[one[0]].append(one)
    return {state: _most(some, all_outside) for state, some in several.items()}


def _most(met: list[Met], all_outside: bool) -> tuple[Peer, ...]:  # noqa: FBT001 - as below
    if len({family for _, _, family, _, _ in met}) > 1:
        met = _joined(met)
    return tuple(_peer(*one, all_outside) for one in sorted(met, reverse=True)[:_PEERS_MAX])


def _joined(met: Iterable[Met]) -> list[Met]:
    """Add up what is the same end: IPv4, and the same written as IPv6."""
    several: dict[End, Met] = {}
    for state, number, family, port, address in met:
        end = port, short_address(family, address)
        several[end] = state, number + (several[end][1] if end in several else 0), family, port, address
    return list(several.values())


@lru_cache(maxsize=2048)
def _peer(state: int, number: int, family: int, port: int, packed: bytes, all_outside: bool) -> Peer:  # noqa: FBT001, PLR0913, PLR0917 - for the cache
    """As the programs count: of established connections a sample, but of those begun here to outside all, if asked for."""
    address = short_address(family, packed)
    all_of_them = state != TcpState.ESTABLISHED or (all_outside and port != 0 and is_outside(address))
    return Peer(written(address), port or None, number, 1 if all_of_them else records.EVERY)


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


def _by_address(several: Iterable[Held]) -> list[list[Held]]:
    """Put together the listeners of one port that share an address (SO_REUSEPORT)."""
    alike: defaultdict[tuple[int, bytes], list[Held]] = defaultdict(list)
    for one in several:
        alike[one.protocol, one.address].append(one)
    return list(alike.values())
