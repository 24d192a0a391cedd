"""Sockets that no descriptor leads to: TIME_WAIT, orphans, what waits to be accepted."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator

from auditor.model import Kind, Listener, SocketGroup, TcpState
from auditor.sweep.bpf.holdings import STATES, written
from auditor.sweep.bpf.processes import Table
from auditor.sweep.dumps import Dump, Dumps, Seen
from auditor.sweep.processes import Row


def seen(groups: Iterable[SocketGroup], table: Table) -> dict[int, Seen]:
    """Say of each namespace what descriptors lead to."""
    tcp: Counter[int] = Counter()
    udp: Counter[int] = Counter()
    for group in groups:
        if group.netns is not None and group.protocol == "tcp" and group.state is not TcpState.CLOSE:
            tcp[group.netns] += group.count
        elif group.netns is not None and group.protocol == "udp":
            udp[group.netns] += group.count
    inodes = {row.netns for row in table.by_pid.values() if row.netns is not None}
    return {inode: Seen(tcp[inode], udp[inode], table.time_wait_max.get(inode)) for inode in inodes}


def take(groups: Iterable[SocketGroup], network: Dumps, with_unseen: set[int | None]) -> Iterator[SocketGroup]:
    """Return the sockets that dumps list and no descriptor leads to.

    Those without an inode have no descriptor for certain. Of the others only as many as descriptors do not account for.
    """
    held: Counter[tuple[int | None, TcpState | None]] = Counter()
    for group in groups:
        if group.protocol == "tcp":
            held[group.netns, group.state] += group.count
    for inode, dump in network.inside.items():
        alone: Counter[int] = Counter()
        others: Counter[int] = Counter()
        waiting: Counter[int] = Counter()
        for state, socket_inode, queued in dump.tcp.sockets if dump.tcp else ():
            if socket_inode:
                others[state] += 1
            else:
                alone[state] += 1
                waiting[state] += queued
        for state, number in alone.items():
            yield SocketGroup(inode, "tcp", STATES.get(state, TcpState.CLOSE), (), number, waiting[state])
        for state, number in others.items():
            name = STATES.get(state, TcpState.CLOSE)
            if number > held[inode, name]:
                holders = None if inode in with_unseen else ()
                yield SocketGroup(inode, "tcp", name, holders, number - held[inode, name])
        unowned = sum(not socket_inode for _, socket_inode, _ in dump.udp or ())
        if unowned:
            yield SocketGroup(inode, "udp", None, (), unowned)


def of_unseen(filled: Iterable[Row]) -> Iterator[SocketGroup]:
    """Say of processes that only /proc shows how many sockets they hold; TCP ones are among those of the dumps."""
    for row in filled:
        number = (row.kinds or {}).get(Kind.SOCKET)
        if number:
            yield SocketGroup(row.netns, "unknown", None, (row.pid,), number)


def listeners(heard: Container[tuple[int, bytes, int]], network: Dumps) -> Iterator[Listener]:
    """Return those that only a dump shows: somebody accepts there whose descriptors were not seen."""
    for inode, dump in network.inside.items():
        for one in dump.listeners or ():
            if (inode, one.address, one.port) not in heard:
                yield Listener(
                    netns=inode,
                    protocol="tcp",
                    address=written(one.address),
                    port=one.port,
                    holders=None,
                    queue=one.queue,
                    backlog=one.backlog,
                    connections=_connections(dump, one.port, one.address),
                    drops=one.drops,
                )


def _connections(dump: Dump, port: int, address: bytes) -> int | None:
    listed = dump.tcp is not None and dump.tcp.at is not None
    return dump.tcp.connections.get((port, address), 0) if listed and dump.tcp else None
