"""Sockets that no descriptor leads to: TIME_WAIT, orphans, what waits to be accepted."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from auditor.kernel import protocol
from auditor.kernel.bpf.records import OwnRange
from auditor.kernel.diag import written
from auditor.kernel.errors import Gone, KernelError
from auditor.kernel.procfs import sysctl
from auditor.kernel.root import ProcRoot
from auditor.model import Listener, SocketGroup, TcpState
from auditor.sweep.bpf.holdings import STATES
from auditor.sweep.bpf.memory import Memory
from auditor.sweep.bpf.processes import Table
from auditor.sweep.descriptors import Holdings, place
from auditor.sweep.dumps import Dumps
from auditor.sweep.inside import Dump, Seen
from auditor.sweep.processes import Row
from auditor.sweep.sockets import UNKNOWN_PROTOCOL


def seen(groups: Iterable[SocketGroup], table: Table, ranges: Iterable[OwnRange]) -> dict[int, Seen]:
    """Say of each namespace what descriptors lead to."""
    own: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for one in sorted(ranges):
        own[one.netns].append((one.low, one.high))
    tcp: Counter[int] = Counter()
    udp: Counter[int] = Counter()
    closed, half_open = TcpState.CLOSE, TcpState.SYN_RECV  # which are in no counter
    for group in groups:
        if group.netns is None:
            continue
        if group.protocol == "udp":
            udp[group.netns] += group.count
        elif group.state is not closed and group.state is not half_open:
            tcp[group.netns] += group.count
    inodes = {row.netns for row in table.by_pid.values() if row.netns is not None}
    return {
        inode: Seen(
            tcp[inode],
            udp[inode],
            sysctl.time_wait_max(table.time_wait_max[inode]) if inode in table.time_wait_max else None,
            table.ports.get(inode),
            tuple(own[inode]) if inode in own else (),
        )
        for inode in inodes
    }


def take(
    groups: Iterable[SocketGroup], network: Dumps, with_unseen: set[int | None], memory: Memory
) -> Iterator[SocketGroup]:
    """Return the sockets that dumps list and no descriptor leads to.

    Those without an inode have no descriptor for certain. Of the others only as many as descriptors do not account for.
    What a dump of an earlier sweep told is remembered: descriptors come and go, and it is what is left that did not change.
    """
    listed = {inode for inode, dump in network.inside.items() if dump.tcp and dump.tcp.sockets}
    held = _by_state(groups, listed) if listed else {}
    remembered, memory.unowned = memory.unowned, {}
    for inode, dump in network.inside.items():
        at = dump.tcp.at if dump.tcp else None
        told = remembered.get(inode)
        found = told[1] if told and told[0] == at else tuple(_of_dump(inode, dump, held, unseen=inode in with_unseen))
        if at is not None:
            memory.unowned[inode] = (at, found)
        yield from found
        without_inode = sum(not socket_inode for _, socket_inode, _ in dump.udp or ())
        if without_inode:
            yield SocketGroup(inode, "udp", None, (), without_inode)


def _by_state(
    groups: Iterable[SocketGroup], among: Container[int | None]
) -> Mapping[tuple[int | None, TcpState | None], int]:
    held: Counter[tuple[int | None, TcpState | None]] = Counter()
    for group in groups:
        if group.netns in among and group.protocol == "tcp":
            held[group.netns, group.state] += group.count
    return held


def _of_dump(
    inode: int, dump: Dump, held: Mapping[tuple[int | None, TcpState | None], int], *, unseen: bool
) -> Iterator[SocketGroup]:
    # Mini-sockets that were not told apart count as TIME_WAIT, which most are; FIN_WAIT2 is among them.
    alone = Counter({int(TcpState.TIME_WAIT): dump.tcp.mini_sockets if dump.tcp else 0})
    others: Counter[int] = Counter()
    waiting: Counter[int] = Counter()
    for state, socket_inode, queued in dump.tcp.sockets if dump.tcp else ():
        if socket_inode:
            others[state] += 1
        else:
            alone[state] += 1
            waiting[state] += queued
    alone[TcpState.SYN_RECV] -= held.get((inode, TcpState.SYN_RECV), 0)  # listeners tell of theirs
    for state, number in (+alone).items():
        yield SocketGroup(inode, "tcp", STATES.get(state, TcpState.CLOSE), (), number, waiting[state])
    for state, number in others.items():
        name = STATES.get(state, TcpState.CLOSE)
        if number > held.get((inode, name), 0):
            yield SocketGroup(inode, "tcp", name, None if unseen else (), number - held.get((inode, name), 0))


def of_unseen(root: ProcRoot, filled: Iterable[Row], unseen: Holdings) -> Iterator[SocketGroup]:
    """Count the sockets of processes that only /proc shows. TCP ones are among what the dumps show besides."""
    rows = {row.pid: row for row in filled}
    count: Counter[tuple[int, str]] = Counter()
    for packed in unseen.socket_places:
        pid, fd = place(packed)
        try:
            name = protocol.family(protocol.read(f"{root.path}/{pid}/{rows[pid].task}fd/{fd}"))
        except Gone:
            continue
        except KernelError:
            name = UNKNOWN_PROTOCOL
        if name != "tcp":
            count[pid, name] += 1
    for (pid, name), number in count.items():
        yield SocketGroup(rows[pid].netns if name == "udp" else None, name, None, (pid,), number)


def listeners(
    heard: Callable[[Container[int]], Container[tuple[int, bytes, int]]], network: Dumps
) -> Iterator[Listener]:
    """Return those that only a dump shows: somebody accepts there whose descriptors were not seen."""
    listed = {inode: dump for inode, dump in network.inside.items() if dump.listeners}
    known = heard(listed)
    for inode, dump in listed.items():
        for one in dump.listeners or ():
            if (inode, one.address, one.port) not in known:
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
