"""One subject in depth: every socket of a port, or of some processes, with the descriptors that refer to it.

For a person who asks, once: every descriptor table is read, nothing is spared.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator

from auditor.kernel import diag, netns
from auditor.kernel.root import ProcRoot
from auditor.model import Depth, End, Gap, Holder, OpenSocket, TcpState
from auditor.sweep import descriptors, namespaces, processes
from auditor.sweep.budget import Budget
from auditor.sweep.descriptors import place
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Memory
from auditor.sweep.processes import Row

_DOORS = 4
_AFTER_FIN = frozenset({TcpState.CLOSE_WAIT, TcpState.LAST_ACK, TcpState.CLOSING})
"""The peer has closed; until that was read its FIN counts as one byte."""
_STATES = {int(state): state for state in TcpState}


def of_port(root: ProcRoot, port: int) -> Depth:
    """Find all sockets of a local port, and the other ends of their connections that are on this node.

    Args:
        root: the live /proc.
        port: TCP or UDP.

    Raises:
        KernelError: /proc cannot be read.
    """
    node = _Node(root)
    found = list(node.sockets(node.namespaces(), lambda row: _local(row)[1] == port, unix=False))
    return node.depth(found)


def of_processes(root: ProcRoot, belongs: Callable[[Row], bool]) -> Depth:
    """Find all sockets that some processes hold, and those without a descriptor in namespaces that are theirs alone.

    Args:
        root: the live /proc.
        belongs: whether a process is one of them.

    Raises:
        KernelError: /proc cannot be read.
    """
    node = _Node(root)
    own = {row.pid for row in node.rows if belongs(row)}
    members = defaultdict(set)
    for row in node.rows:
        if row.netns is not None and not row.kernel_thread:
            members[row.netns].add(row.pid)
    theirs = {inode for inode, pids in members.items() if pids <= own}
    inhabited = {inode for inode, pids in members.items() if pids & own}
    found = [
        one
        for one in node.sockets(inhabited, lambda _: True, unix=True)
        if any(holder.pid in own for holder in one.holders or ()) or (not one.holders and one.netns in theirs)
    ]
    return node.depth(found, frozenset(own))


class _Node:
    """All processes, and the descriptors of every socket."""

    def __init__(self, root: ProcRoot) -> None:
        self.root = root
        self.losses = Losses()
        self.rows = processes.take(root, self.losses)
        namespaces.complete(root, self.rows, self.losses)
        holdings = descriptors.classify(root, self.rows, self.losses, Budget(None), Memory())
        self.holders: defaultdict[int, list[Holder]] = defaultdict(list)
        for inode, packed in zip(holdings.socket_inodes, holdings.socket_places, strict=True):
            self.holders[inode].append(Holder(*place(packed)))
        self._nobody = () if holdings.whole else None  # who holds what nobody was seen to hold
        self._unentered = 0

    def namespaces(self) -> set[int]:
        return {row.netns for row in self.rows if row.netns is not None}

    def sockets(
        self, inodes: Collection[int], wanted: Callable[[diag.InetRow], bool], *, unix: bool
    ) -> Iterator[OpenSocket]:
        """Yield the sockets of some namespaces."""
        doors: defaultdict[int, list[str]] = defaultdict(list)
        for row in self.rows:
            if row.netns is not None and row.netns in inodes and len(doors[row.netns]) < _DOORS:
                doors[row.netns].append(namespaces.door(self.root.path, row))

        def look(inode: int) -> list[OpenSocket]:
            return [*self._inet(inode, wanted), *(self._unix(inode) if unix else ())]

        visits, _ = netns.visit(doors.items(), look, own=netns.own_inode())
        self._unentered += sum(visit.error is not None for visit in visits)
        for visit in visits:
            yield from visit.result or ()

    def _inet(self, inode: int, wanted: Callable[[diag.InetRow], bool]) -> Iterator[OpenSocket]:
        drops = {one.inode: one.drops for one in diag.dump_listeners()}
        silence = diag.dump_silence()
        for row in diag.dump_tcp():
            if wanted(row):
                yield self._socket(inode, "tcp", row, drops.get(row[-1]), silence.get(row[6]))
        for row, dropped in diag.dump_udp():
            if wanted(row):
                yield self._socket(inode, "udp", row, dropped)

    def _unix(self, inode: int) -> Iterator[OpenSocket]:
        for one in self.losses.attempt("unix_diag", diag.dump_unix_listeners) or ():
            yield OpenSocket(
                netns=inode,
                protocol="unix",
                state=TcpState.LISTEN,
                local=End(one.name, 0),
                peer=None,
                received=one.queue,
                sent=one.backlog,
                holders=self._held(one.inode),
            )

    def _socket(
        self, inode: int, protocol: str, row: diag.InetRow, drops: int | None, silent: int | None = None
    ) -> OpenSocket:
        state = _STATES.get(row[1], TcpState.CLOSE) if protocol == "tcp" else None
        peer = End(diag.written(diag.short_address(row[0], row[5])), int.from_bytes(row[3], "big"))
        return OpenSocket(
            netns=inode,
            protocol=protocol,
            state=state,
            local=End(*_local(row)),
            peer=peer if peer.port else None,
            received=row[8] - (state in _AFTER_FIN and row[8] > 0),
            sent=row[9],
            drops=drops,
            left=row[7] / 1000 if state is TcpState.TIME_WAIT else None,
            age=silent / 1000 if silent is not None and state is TcpState.CLOSE_WAIT else None,
            holders=self._held(row[-1]),
        )

    def _held(self, inode: int) -> tuple[Holder, ...] | None:
        """Return the descriptors of a socket. One without an inode has none: no program holds it."""
        if not inode:
            return ()
        return tuple(self.holders[inode]) if inode in self.holders else self._nobody

    def depth(self, found: list[OpenSocket], own: frozenset[int] = frozenset()) -> Depth:
        """Look for the other ends, and put all together."""
        wanted = {(one.peer, one.local) for one in found if one.peer}
        far: defaultdict[tuple[End, End], list[OpenSocket]] = defaultdict(list)
        if wanted:
            ports = {peer.port for peer, _ in wanted}
            for one in self.sockets(self.namespaces(), lambda row: _local(row)[1] in ports, unix=False):
                if one.peer and (one.local, one.peer) in wanted:
                    far[one.local, one.peer].append(one)
        gaps = [*self.losses.gaps()]
        if self._unentered:
            detail = "network namespaces that could not be looked into: CAP_SYS_ADMIN lets enter them"
            gaps.append(Gap("netns-sockets", detail, self._unentered))
        return Depth(
            sockets=tuple(found),
            far={ends: tuple(several) for ends, several in far.items()},
            processes={row.pid: row.process() for row in self.rows},
            host_netns=namespaces.of_host(self.rows),
            gaps=tuple(gaps),
            pids=own,
        )


def _local(row: diag.InetRow) -> tuple[str, int]:
    return diag.written(diag.short_address(row[0], row[4])), int.from_bytes(row[2], "big")
