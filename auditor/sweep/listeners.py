"""Addresses that are listened on: who accepts, what waits, what was dropped; and UDP sockets that dropped."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from auditor.kernel import protocol
from auditor.kernel.diag import Listener as Row
from auditor.kernel.diag import short_address, written
from auditor.kernel.errors import KernelError
from auditor.kernel.root import ProcRoot
from auditor.model import Dropping, Listener, Peer, Queueing
from auditor.sweep.budget import Budget
from auditor.sweep.descriptors import Holdings, place
from auditor.sweep.dumped import End
from auditor.sweep.dumps import Dumps
from auditor.sweep.inside import Dump
from auditor.sweep.processes import Row as ProcessRow

_NAMING_SECONDS = 6e-6
_ANY = {4: bytes(4), 16: bytes(16)}


def take(
    root: ProcRoot, rows: Iterable[ProcessRow], holdings: Holdings, dumps: Dumps, budget: Budget
) -> tuple[Listener, ...] | None:
    """Return what is listened on in the namespaces that were entered, or `None` if nobody could say.

    Args:
        root: the tree all this was read from.
        rows: all processes.
        holdings: what their descriptors refer to.
        dumps: sockets by network namespace.
        budget: CPU time that may go into telling MPTCP from TCP.
    """
    if all(dump.listeners is None for dump in dumps.inside.values()):
        return None
    inodes = {one.inode for dump in dumps.inside.values() for one in dump.listeners or () if one.inode}
    doors = _doors(root, {row.pid: row for row in rows}, holdings, inodes)

    def name(inode: int) -> str:
        if inode not in doors or not budget.allows(_NAMING_SECONDS):
            return "tcp"
        try:
            return "mptcp" if protocol.read(doors[inode]).startswith("MPTCP") else "tcp"
        except KernelError:
            return "tcp"

    names = {inode: name(inode) for inode in inodes}
    return tuple(
        one for netns, dump in sorted(dumps.inside.items()) for one in _of_namespace(netns, dump, holdings, names)
    )


def _doors(root: ProcRoot, by_pid: Mapping[int, ProcessRow], holdings: Holdings, inodes: set[int]) -> Mapping[int, str]:
    """Find a descriptor of each socket."""
    doors = {}
    for inode, packed in zip(holdings.socket_inodes, holdings.socket_places, strict=True):
        if inode in inodes:
            pid, fd = place(packed)
            doors[inode] = f"{root.path}/{pid}/{by_pid[pid].task}fd/{fd}"
    return doors


def _of_namespace(netns: int, dump: Dump, holdings: Holdings, names: Mapping[int, str]) -> Iterator[Listener]:
    groups: defaultdict[tuple[str, bytes, int], list[Row]] = defaultdict(list)
    for one in dump.listeners or ():
        groups[names.get(one.inode, "tcp"), one.address, one.port].append(one)
    for unix in dump.unix_listeners:
        yield Listener(netns, "unix", unix.name, 0, _holders_of(unix.inode, holdings), unix.queue, unix.backlog)
    specific = {(port, address) for _, address, port in groups}
    for (name, address, port), alike in sorted(groups.items()):
        fullest = max(alike, key=lambda one: (one.queue / (one.backlog + 1), one.queue))
        yield Listener(
            netns=netns,
            protocol=name,
            address=written(address),
            port=port,
            holders=_holders(alike, holdings),
            queue=fullest.queue,
            backlog=fullest.backlog,
            connections=None if dump.tcp is None else _at(port, address, dump.tcp.connections, specific),
            drops=_sum(one.drops for one in alike),
        )


def dropping(dumps: Dumps, holdings: Holdings) -> tuple[Dropping, ...]:
    """Return the UDP sockets that have dropped datagrams."""
    return tuple(
        Dropping(
            netns,
            written(short_address(row[0], row[4])),
            int.from_bytes(row[2], "big"),
            _holders_of(row[-1], holdings),
            drops,
        )
        for netns, dump in sorted(dumps.inside.items())
        for row, drops in dump.dropping
    )


def queueing(dumps: Dumps, holdings: Holdings) -> tuple[Queueing, ...]:
    """Return the TCP sockets with much in their queues."""
    return tuple(
        Queueing(
            netns=netns,
            id=row[6],
            port=int.from_bytes(row[2], "big"),
            peer=Peer(written(short_address(row[0], row[5])), int.from_bytes(row[3], "big"), 1),
            received=row[8],
            sent=row[9],
            holders=_holders_of(row[-1], holdings) if row[-1] else (),
        )
        for netns, dump in sorted(dumps.inside.items())
        for row in (dump.tcp.queueing if dump.tcp else ())
    )


def _holders_of(inode: int, holdings: Holdings) -> tuple[int, ...] | None:
    return holdings.holders_of.get(inode, () if holdings.whole else None)


def _holders(alike: Iterable[Row], holdings: Holdings) -> tuple[int, ...] | None:
    pids = {pid for one in alike for pid in holdings.holders_of.get(one.inode, ())}
    return tuple(sorted(pids)) if pids or holdings.whole else None


def _at(port: int, address: bytes, connections: Mapping[End, int], specific: set[End]) -> int:
    """Count the connections of a listener. One on all addresses has those that no other claims."""
    if address != _ANY[len(address)]:
        return connections.get((port, address), 0)
    both = len(address) == len(_ANY[16]) and (port, _ANY[4]) not in specific
    return sum(
        number
        for (other, local), number in connections.items()
        if other == port and (port, local) not in specific and (both or len(local) == len(address))
    )


def _sum(figures: Iterable[int | None]) -> int | None:
    total = 0
    for figure in figures:
        if figure is None:
            return None
        total += figure
    return total
