"""What descriptors refer to: descriptions, sockets and listeners, each once, with all who hold it."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter

from auditor.kernel.bpf import records
from auditor.kernel.bpf.descriptors import Descriptors
from auditor.kernel.bpf.records import Held, PeerOf, Port
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
from auditor.sweep.bpf.processes import Table
from auditor.sweep.memory import End

Holders = tuple[int, ...]
Key = tuple[int | None, str, TcpState | None, Holders | None]

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
    """What the descriptor tables hold, each description once.

    Attributes:
        heard: addresses that are listened on: namespace, address, port.
    """

    def __init__(self, table: Table, seen: Descriptors, *, all_outside: bool = False) -> None:
        """Sort out one pass.

        Args:
            table: the processes.
            seen: the pass.
            all_outside: whether each connection to an address outside was counted, and not only a sample.
        """
        self._table = table
        self._seen = seen
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
        self.heard: set[tuple[int, bytes, int]] = set()

    def _sort_out(self, held: Iterable[Held]) -> None:
        """Put each where it is asked for: there may be very many, so they are gone through once."""
        by_flag = (
            (records.LISTENS, self._listening),
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
            if flags & ~records.SHARED:
                for flag, several in by_flag:
                    if flags & flag:
                        several.append(one)
            if one.kind in _WATCHERS:
                self._watchers.append(one)

    def _pids(self, group: int) -> Holders:
        keepers = self._table.keepers
        return tuple(sorted({keepers[task].pid for task in self._seen.sharing.tasks(group) if task in keepers}))

    def holders(self, description: int) -> Holders:
        """Return the pids whose tables refer to a description that stands for itself, ascending."""
        return self._holders[self._group_of[description]]

    def shared(self) -> tuple[SharedDescriptions, ...]:
        """Return the descriptions of several tables, and fill in how many each row has to itself."""
        private: Counter[int] = Counter()
        several: Counter[Holders] = Counter()
        for one in self._seen.sums:
            row = self._table.keepers.get(one.pid)
            if row is not None:
                private[row.pid] += one.fds - one.shared
        groups = Counter(self._group_of.values())
        groups.subtract(self._single)
        for group, number in groups.items():
            holders = self._holders[group]
            if len(holders) == 1:
                private[holders[0]] += number
            elif holders and number:
                several[holders] += number
        for row in self._table.by_pid.values():
            if row.owns_table and row.pid not in self._table.filled:
                # One that ended between its descriptors was seen to hold some, and counts none.
                row.private_descriptions = min(private[row.pid], row.fds or 0)
        return tuple(SharedDescriptions(holders, number) for holders, number in sorted(several.items()))

    def sockets(self) -> tuple[SocketGroup, ...]:
        """Count the distinct sockets that descriptors lead to."""
        count: Counter[Key] = Counter()
        queued: Counter[Key] = Counter()
        for key, number, waiting in (*self._strangers(), *self._shared_sockets()):
            count[key] += number
            queued[key] += waiting
        return (
            *self._summed(self._peers()),
            *(SocketGroup(*key, number, queued[key]) for key, number in count.items()),
        )

    def _summed(self, peers: Mapping[tuple[int, int], tuple[Peer, ...]]) -> Iterator[SocketGroup]:
        """Yield what the programs summed by process: sockets of its own namespace that nobody else holds."""
        keepers = self._table.keepers
        for sums in self._seen.sums:
            row = keepers.get(sums.pid)
            if row is None:
                continue
            alone, netns = (row.pid,), sums.netns
            waiting = sums.tcp_queued  # over all states; said of the first
            for state, name, number in _by_state(sums.tcp):
                yield SocketGroup(netns, "tcp", name, alone, number, waiting, peers.get((row.pid, state), ()))
                waiting = 0
            if sums.udp:
                yield SocketGroup(netns, "udp", None, alone, sums.udp, sums.udp_queued)
            if sums.unix:
                yield SocketGroup(None, "unix", None, alone, sums.unix)
            if sums.other:
                yield SocketGroup(None, "other", None, alone, sums.other)

    def _strangers(self) -> Iterator[tuple[Key, int, int]]:
        for stranger, of in self._seen.strangers.items():
            row = self._table.keepers.get(stranger.pid)
            if row is not None:
                yield _socket_key(stranger.netns, stranger.socket, stranger.state, (row.pid,)), of.number, of.queued

    def _shared_sockets(self) -> Iterator[tuple[Key, int, int]]:
        for one in self._shared_tcp_udp:
            yield _socket_key(one.netns, one.socket, one.state, self.holders(one.file)), 1, one.queued
        for sort, files in self._seen.shared_sockets.items():
            for group, number in Counter(map(self._group_of.__getitem__, files)).items():
                if self._holders[group]:
                    yield _socket_key(0, sort, 0, self._holders[group]), number, 0

    def _peers(self) -> Mapping[tuple[int, int], tuple[Peer, ...]]:
        """Return whom the sockets of each process and state are connected to."""
        keepers = self._table.keepers
        ends: defaultdict[tuple[int, int], list[tuple[PeerOf, int]]] = defaultdict(list)
        for end, number in self._seen.peers.items():
            row = keepers.get(end.pid)
            if row is not None:
                ends[row.pid, end.state].append((end, number))
        return {key: _most(met, all_outside=self._all_outside) for key, met in ends.items()}

    def ends(self) -> Iterator[tuple[End, Holders, int]]:
        """Yield the other ends of connections that were begun here, with who holds them and how many.

        Only of those outside they are all: of others the programs count a sample.
        """
        for one, number in self._seen.peers.items():
            row = self._table.keepers.get(one.pid)
            if row is not None:
                yield (one.port, short_address(one.family, one.address)), (row.pid,), number
        for held in self._shared_tcp_udp:
            if held.socket == records.TCP and not held.flags & records.LISTENS:
                accepted = Port(held.netns, held.port, held.family) in self._seen.connections
                port = 0 if accepted or held.state == TcpState.CLOSE else held.peer_port
                yield (port, short_address(held.family, held.address)), self.holders(held.file), 1

    def masters(self) -> tuple[BudgetHolding, ...]:
        """Count pseudo-terminals by who holds their masters."""
        counts = Counter(self.holders(one.file) for one in self._masters)
        return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))

    def listeners(self) -> tuple[Listener, ...]:
        """Put together the sockets of each address that is listened on."""
        accepted: dict[tuple[int, ...], int] = dict(self._seen.connections.items())
        for one in self._shared_tcp_udp:  # the programs count what is held once only
            if one.state == TcpState.ESTABLISHED:
                port = one.netns, one.port, one.family
                if port in accepted:
                    accepted[port] += 1
        alike: defaultdict[tuple[int, str, bytes, int, int], list[tuple[Held, Holders]]] = defaultdict(list)
        unix = []
        for one in self._listening:
            holders = self._holders[self._group_of[one.file]]
            if one.socket == records.TCP:
                address = short_address(one.family, one.address)
                name = "mptcp" if one.protocol == socket.IPPROTO_MPTCP else "tcp"
                alike[one.netns, name, address, one.port, one.family].append((one, holders))
                self.heard.add((one.netns, address, one.port))
            else:
                path = unix_name(self._seen.names.get(one.file, b""))
                unix.append(Listener(one.netns, "unix", path, 0, holders, one.queue, one.backlog))
        # Where several addresses share a port their connections were counted together.
        at_port = Counter([(netns, port, family) for netns, _, _, port, family in alike])
        found = [
            _listener(key, several, accepted.get(port) if at_port[port] == 1 else None)
            for key, several in sorted(alike.items(), key=itemgetter(0))
            for port in [(key[0], key[3], key[4])]
        ]
        return (*unix, *found)

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


@lru_cache(maxsize=2048)
def _by_state(packed: bytes) -> tuple[tuple[int, TcpState, int], ...]:
    """Return (number of the state, state, sockets) of what there is. Most processes have as many as before."""
    figures = enumerate(records.figures(packed))
    return tuple((state, STATES.get(state, TcpState.CLOSE), number) for state, number in figures if number)


def _most(met: Sequence[tuple[PeerOf, int]], *, all_outside: bool) -> tuple[Peer, ...]:
    """Return the most frequent of the ends of one process and state."""
    state = met[0][0].state
    if len(met) == 1:  # as it is with most
        ((end, number),) = met
        return (_peer(state, short_address(end.family, end.address), end.port, number, all_outside),)
    several: dict[tuple[bytes, int], int] = {}
    for one, number in met:  # IPv4, and the same written as IPv6
        key = short_address(one.family, one.address), one.port
        several[key] = several.get(key, 0) + number
    ends = sorted(several.items(), key=itemgetter(1), reverse=True)[:_PEERS_MAX]
    return tuple([_peer(state, address, port, number, all_outside) for (address, port), number in ends])


@lru_cache(maxsize=2048)
def _peer(state: int, address: bytes, port: int, number: int, all_outside: bool) -> Peer:  # noqa: FBT001 - for the cache
    """As the programs count: of established connections a sample, but of those begun here to outside all, if asked for."""
    all_of_them = state != TcpState.ESTABLISHED or (all_outside and port != 0 and is_outside(address))
    return Peer(written(address), port or None, number, 1 if all_of_them else records.EVERY)


def _socket_key(netns: int, sort: int, state: int, holders: Holders) -> Key:
    name = records.SOCKETS[sort]
    if name == "tcp":
        return netns, name, STATES.get(state, TcpState.CLOSE), holders
    return netns if name == "udp" else None, name, None, holders


def _listener(
    key: tuple[int, str, bytes, int, int], several: list[tuple[Held, Holders]], accepted: int | None
) -> Listener:
    netns, name, address, port, _ = key
    fullest, holders = several[0]
    queued, drops = fullest.queue, fullest.drops
    if len(several) > 1:
        fullest = max((one for one, _ in several), key=lambda one: (one.queue / (one.backlog + 1), one.queue))
        holders = tuple(sorted({pid for _, some in several for pid in some}))
        queued, drops = sum(one.queue for one, _ in several), sum(one.drops for one, _ in several)
    connections = None if accepted is None else accepted + queued
    return Listener(netns, name, written(address), port, holders, fullest.queue, fullest.backlog, connections, drops)
