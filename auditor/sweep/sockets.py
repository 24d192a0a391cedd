"""Distinct sockets: each once, with its protocol, its state and all who hold it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat

from auditor.kernel import protocol
from auditor.kernel.diag import written
from auditor.kernel.errors import Gone, KernelError
from auditor.kernel.root import ProcRoot
from auditor.model import Egress, Gap, Peer, SocketGroup, TcpState
from auditor.sweep.budget import Budget
from auditor.sweep.descriptors import Holdings, place
from auditor.sweep.dumped import End, Sockets
from auditor.sweep.dumps import Dumps
from auditor.sweep.egress import of_dump
from auditor.sweep.processes import Row

UNKNOWN_PROTOCOL = "unknown"
"""Protocol of a group whose sockets nobody would name: any count by protocol of its holders is short of them."""

Key = tuple[int | None, str, TcpState | None, tuple[int, ...] | None]

_STATES = {int(state): state for state in TcpState}
_NAMING_SECONDS = 6e-6
_LEAKING = frozenset({TcpState.ESTABLISHED, TcpState.CLOSE_WAIT})  # what a program that closes nothing is left with
_PEERS_MAX = 3


def groups(
    root: ProcRoot, rows: Iterable[Row], holdings: Holdings, dumps: Dumps, budget: Budget
) -> tuple[SocketGroup, ...]:
    """Count the sockets that the dumps list and those that only a descriptor shows.

    Args:
        root: the tree all this was read from.
        rows: all processes.
        holdings: what their descriptors refer to, read before the dumps: what a dump shows without one has none.
        dumps: sockets by network namespace.
        budget: CPU time that may go into naming protocols.
    """
    by_pid = {row.pid: row for row in rows}
    unix = set[int]().union(*(dump.unix for dump in dumps.inside.values()))
    count: Counter[Key] = Counter()
    queued: Counter[Key] = Counter()
    peers: defaultdict[Key, Counter[End]] = defaultdict(Counter)
    listed: set[int] = set()
    for netns, name, several in _listed(dumps):
        listed.update(several.inodes)
        states = (_STATES.get(state, TcpState.CLOSE) if name == "tcp" else None for state in several.states)
        keys = list(zip(repeat(netns), repeat(name), states, _holders(several.inodes, holdings), strict=False))
        count.update(keys)
        for key, waiting in zip(keys, several.queued, strict=True):
            if waiting:
                queued[key] += waiting
        met = Counter((key, peer) for key, peer in zip(keys, several.peers, strict=False) if key[2] in _LEAKING)
        for (key, peer), number in met.items():
            peers[key][several.ends[peer]] += number

    def family(inode: int, packed: int) -> str:
        if inode in unix:
            return "unix"
        if not root.live or not budget.allows(_NAMING_SECONDS):
            return UNKNOWN_PROTOCOL
        pid, fd = place(packed)
        return _ask(f"{root.path}/{pid}/{by_pid[pid].task}fd/{fd}")

    for inode, name in _unlisted(holdings, listed, family):
        holders = holdings.holders_of[inode]
        # In no hash table: closed, if the namespace was listed at all.
        closed = name == "tcp" and all(by_pid[pid].netns in dumps.whole for pid in holders)
        count[None, name, TcpState.CLOSE if closed else None, holders] += 1
    return tuple(SocketGroup(*key, number, queued[key], _most(peers.get(key, {}))) for key, number in count.items())


def egress(dumps: Dumps, holdings: Holdings) -> Iterator[Egress]:
    """Count the connections to each destination outside."""
    for netns, dump in dumps.inside.items():
        if dump.tcp:
            several = dump.tcp.sockets
            yield from of_dump(netns, several, _holders(several.inodes, holdings))


def gaps(found: Iterable[SocketGroup]) -> Iterator[Gap]:
    """Say what nobody would name."""
    unknown = sum(group.count for group in found if group.protocol == UNKNOWN_PROTOCOL)
    if unknown:
        detail = "sockets of unknown protocol: the CPU budget was spent, or no live kernel names them"
        yield Gap("socket-protocols", detail, unknown)


def _most(ends: Mapping[End, int]) -> tuple[Peer, ...]:
    return tuple(
        Peer(
            written(address),
            port or None,
            number,
        )
        for (port, address), number in Counter(ends).most_common(_PEERS_MAX)
    )


def _listed(dumps: Dumps) -> Iterator[tuple[int, str, Sockets]]:
    """Yield the sockets of each namespace and protocol."""
    for netns, dump in dumps.inside.items():
        if dump.tcp:
            yield netns, "tcp", dump.tcp.sockets
        if dump.udp:
            yield netns, "udp", dump.udp


def _holders(inodes: Iterable[int], holdings: Holdings) -> Iterator[tuple[int, ...] | None]:
    """Yield who holds each. A socket without a known holder has none only if every table was looked into."""
    without = () if holdings.whole else None
    known = holdings.holders_of
    return (known.get(inode, without) if inode else () for inode in inodes)


def _unlisted(holdings: Holdings, listed: set[int], family: Callable[[int, int], str]) -> Iterator[tuple[int, str]]:
    """Name the protocol of each socket that only descriptors show, asking through any of them."""
    done: set[int] = set()
    for inode, packed in zip(holdings.socket_inodes, holdings.socket_places, strict=True):
        if inode in listed or inode in done:
            continue
        try:
            name = family(inode, packed)
        except Gone:
            continue  # closed since, perhaps in this table only: another holder may still tell
        done.add(inode)
        yield inode, name


def _ask(path: str) -> str:
    try:
        return protocol.family(protocol.read(path))
    except Gone:
        raise
    except KernelError:
        return UNKNOWN_PROTOCOL
