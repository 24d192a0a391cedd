"""What descriptors refer to: descriptions, sockets and listeners, each once, with all who hold it."""

import socket
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.kernel.bpf import records
from auditor.kernel.bpf.programs import Descriptors
from auditor.kernel.bpf.records import Held, Port
from auditor.kernel.diag import short_address
from auditor.model import BudgetHolding, Kind, Listener, Peer, SharedDescriptions, SocketGroup, TcpState
from auditor.sweep import descriptors as tables
from auditor.sweep.bpf.processes import Table

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
        fd: by which descriptor.
        uid: whose epoll watches it counts among.
        charged_to: keys of the budgets of inotify that it counts among, the user's own first.
    """

    pid: int
    fd: int
    holders: Holders
    inotify: bool
    uid: int
    charged_to: tuple[int, ...]


class Holdings:
    """What the descriptor tables hold, each description once.

    Attributes:
        holders: by description that stands for itself, the pids whose tables refer to it, ascending.
        heard: addresses that are listened on: namespace, address, port.
    """

    def __init__(self, table: Table, seen: Descriptors) -> None:
        self._table = table
        self._seen = seen
        self._descriptions: dict[int, Held] = {}
        self.holders: dict[int, Holders] = {}
        self.heard: set[tuple[int, bytes, int]] = set()
        self._find_holders()

    def _find_holders(self) -> None:
        """Collect who refers to each description that stands for itself. Equal tuples are one object: there may be many."""
        groups: dict[Holders, Holders] = {}
        for one in self._seen.held:
            row = self._table.keepers.get(one.pid)
            if row is None:
                continue
            before = self.holders.get(one.file, ())
            if row.pid not in before:
                holders = (
                    (*before, row.pid) if not before or before[-1] < row.pid else tuple(sorted((*before, row.pid)))
                )
                self.holders[one.file] = groups.setdefault(holders, holders)
            if not before and (one.socket or one.flags != records.SHARED or one.kind in _WATCHERS):
                self._descriptions[one.file] = one

    def shared(self) -> tuple[SharedDescriptions, ...]:
        """Return the descriptions of several tables, and fill in how many each row has to itself."""
        private: Counter[int] = Counter()
        several: Counter[Holders] = Counter()
        for one in self._seen.sums:
            row = self._table.keepers.get(one.pid)
            if row is not None:
                private[row.pid] += one.fds - one.shared
        shared_files = {one.file for one in self._seen.held if one.flags & records.SHARED}
        for file, holders in self.holders.items():
            if file not in shared_files:
                continue
            if len(holders) == 1:
                private[holders[0]] += 1
            else:
                several[holders] += 1
        for row in self._table.by_pid.values():
            if row.owns_table and row.pid not in self._table.filled:
                row.private_descriptions = private[row.pid]
        return tuple(SharedDescriptions(holders, number) for holders, number in sorted(several.items()))

    def sockets(self) -> tuple[SocketGroup, ...]:
        """Count the distinct sockets that descriptors lead to."""
        count: Counter[Key] = Counter()
        queued: Counter[Key] = Counter()
        for key, number, waiting in (*self._summed(), *self._strangers(), *self._shared_sockets()):
            count[key] += number
            queued[key] += waiting
        peers = self._peers()
        return tuple(
            SocketGroup(*key, number, queued[key], peers.get((key[3], key[2]), ())) for key, number in count.items()
        )

    def _summed(self) -> Iterator[tuple[Key, int, int]]:
        """Yield what the programs summed by process: sockets, and bytes in their queues."""
        for sums in self._seen.sums:
            row = self._table.keepers.get(sums.pid)
            if row is None:
                continue
            alone = (row.pid,)
            waiting = sums.tcp_queued  # over all states; said of the first
            for state, number in enumerate(records.figures(sums.tcp)):
                if number:
                    yield (sums.netns, "tcp", STATES.get(state, TcpState.CLOSE), alone), number, waiting
                    waiting = 0
            for key, number, bytes_queued in (
                ((sums.netns, "udp", None, alone), sums.udp, sums.udp_queued),
                ((None, "unix", None, alone), sums.unix, 0),
                ((None, "other", None, alone), sums.other, 0),
            ):
                if number:
                    yield key, number, bytes_queued

    def _strangers(self) -> Iterator[tuple[Key, int, int]]:
        for stranger, of in self._seen.strangers.items():
            row = self._table.keepers.get(stranger.pid)
            if row is not None:
                yield _socket_key(stranger.netns, stranger.socket, stranger.state, (row.pid,)), of.number, of.queued

    def _shared_sockets(self) -> Iterator[tuple[Key, int, int]]:
        for file, one in self._descriptions.items():
            if one.socket and one.flags & records.SHARED:
                yield _socket_key(one.netns, one.socket, one.state, self.holders[file]), 1, one.queued

    def _peers(self) -> Mapping[tuple[Holders | None, TcpState | None], tuple[Peer, ...]]:
        ends: defaultdict[tuple[Holders | None, TcpState | None], Counter[tuple[bytes, int]]] = defaultdict(Counter)
        for one, number in self._seen.peers.items():
            row = self._table.keepers.get(one.pid)
            if row is not None:
                ends[(row.pid,), STATES[one.state]][short_address(one.family, one.address), one.port] += number
        return {
            key: tuple(
                Peer(written(address), port or None, many) for (address, port), many in met.most_common(_PEERS_MAX)
            )
            for key, met in ends.items()
        }

    def prints(self) -> tables.Holdings:
        """Give each process a number that changes when the sockets it holds do."""
        keepers = self._table.keepers
        return tables.Holdings(
            prints={keepers[one.pid].pid: hash(one) for one in self._seen.sums if one.pid in keepers}
        )

    def masters(self) -> tuple[BudgetHolding, ...]:
        """Count pseudo-terminals by who holds their masters."""
        counts = Counter(self.holders[file] for file, one in self._descriptions.items() if one.flags & records.PTMX)
        return tuple(BudgetHolding(holders, number) for holders, number in sorted(counts.items()))

    def listeners(self) -> tuple[Listener, ...]:
        """Put together the sockets of each address that is listened on."""
        alike: defaultdict[tuple[int, str, bytes, int, int], list[tuple[Held, Holders]]] = defaultdict(list)
        addresses: defaultdict[Port, set[bytes]] = defaultdict(set)
        for file, one in self._descriptions.items():
            if one.flags & records.LISTENS:
                address = short_address(one.family, one.address)
                name = "mptcp" if one.protocol == socket.IPPROTO_MPTCP else "tcp"
                alike[one.netns, name, address, one.port, one.family].append((one, self.holders[file]))
                addresses[Port(one.netns, one.port, one.family)].add(address)
                self.heard.add((one.netns, address, one.port))
        return tuple(
            self._listener(key, several, shared_port=len(addresses[Port(key[0], key[3], key[4])]) > 1)
            for key, several in sorted(alike.items())
        )

    def _listener(
        self, key: tuple[int, str, bytes, int, int], several: list[tuple[Held, Holders]], *, shared_port: bool
    ) -> Listener:
        netns, name, address, port, family = key
        fullest = max((one for one, _ in several), key=lambda one: (one.queue / (one.backlog + 1), one.queue))
        accepted = self._seen.connections.get(Port(netns, port, family))
        waiting = sum(one.queue for one, _ in several)
        return Listener(
            netns=netns,
            protocol=name,
            address=written(address),
            port=port,
            holders=tuple(sorted({pid for _, holders in several for pid in holders})),
            queue=fullest.queue,
            backlog=fullest.backlog,
            connections=None if accepted is None or shared_port else accepted + waiting,
            drops=sum(one.drops for one, _ in several),
        )

    @property
    def instances(self) -> list[Instance]:
        """Return the inotify instances, and those of epoll if they were asked for."""
        return [
            Instance(
                self._table.keepers[one.pid].pid,
                one.fd,
                self.holders[file],
                one.kind == _INOTIFY,
                one.netns,
                tuple(self._chain(one.budget)),
            )
            for file, one in self._descriptions.items()
            if one.kind in _WATCHERS
        ]

    def _chain(self, budget: int) -> Iterator[int]:
        while budget in self._seen.budgets:
            yield budget
            budget = self._seen.budgets[budget].above

    @property
    def seen(self) -> Descriptors:
        """The pass behind it."""
        return self._seen


def _socket_key(netns: int, sort: int, state: int, holders: Holders) -> Key:
    name = records.SOCKETS[sort]
    if name == "tcp":
        return netns, name, STATES.get(state, TcpState.CLOSE), holders
    return netns if name == "udp" else None, name, None, holders


def written(address: bytes) -> str:
    """Write an address of 4 or 16 bytes."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)  # noqa: PLR2004 - bytes
