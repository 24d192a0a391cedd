"""Sockets by owner, and who answers for a network namespace."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.attribute.cgroup import HOST
from auditor.model import Netns, NodeSample, Owner, Peer, Process, SocketGroup, SocketUse, TcpState

_ORPHANED = frozenset({TcpState.FIN_WAIT1, TcpState.CLOSING, TcpState.LAST_ACK})
_PEERS_MAX = 3
_PROTOCOLS = frozenset({"tcp", "udp", "unix", "other"})

End = tuple[str, int | None, int]
"""Address, port, and how many connections each one that was looked at stands for: the same for all of one state."""


@dataclass(slots=True)
class _Tally:
    tcp: Counter[TcpState] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    queued: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    unknown: set[str] = field(default_factory=set)
    half_open: bool = True
    listed: bool = True
    peers: defaultdict[TcpState, Counter[End]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, group: SocketGroup) -> None:
        self.queued[group.protocol] += group.queued_bytes
        if group.holders == () and group.state in _ORPHANED:
            self.orphans += group.count
        if group.protocol == "tcp" and group.state is not None:
            self.tcp[group.state] += group.count
            for peer in group.peers:
                self.peers[group.state][peer.address, peer.port, peer.each] += peer.count
        elif group.protocol in _PROTOCOLS:
            self.others[group.protocol] += group.count
        else:
            self.unknown |= _PROTOCOLS  # it may be any of them, so all of them may be short

    def use(self) -> SocketUse:
        return SocketUse(
            tcp=None if "tcp" in self.unknown else dict(self.tcp),
            udp=None if "udp" in self.unknown else self.others["udp"],
            unix=None if "unix" in self.unknown else self.others["unix"],
            other=None if "other" in self.unknown else self.others["other"],
            tcp_queued_bytes=None if "tcp" in self.unknown else self.queued["tcp"],
            udp_queued_bytes=None if "udp" in self.unknown else self.queued["udp"],
            orphans=None if "tcp" in self.unknown else self.orphans,
            peers={
                state: tuple(
                    Peer(address, port, number, each) for (address, port, each), number in ends.most_common(_PEERS_MAX)
                )
                for state, ends in self.peers.items()
            },
            half_open=self.half_open,
            listed=self.listed,
        )


def netns_owners(
    processes: Iterable[Process], owner_of: Mapping[int, Owner], host_netns: int | None
) -> dict[int, Owner]:
    """Name the owner of each network namespace: the one owner of all its processes, else the host.

    Sockets without a descriptor (TIME_WAIT, unaccepted, orphaned) belong to it. Kernel threads live in the host's
    namespace and own nothing.
    """
    return {
        netns: next(iter(owners)) if len(owners) == 1 and netns != host_netns else HOST.owner
        for netns, owners in _inhabitants(processes, owner_of).items()
    }


def _inhabitants(processes: Iterable[Process], owner_of: Mapping[int, Owner]) -> Mapping[int, set[Owner]]:
    members: dict[int, set[Owner]] = defaultdict(set)
    for process in processes:
        if process.netns is not None and not process.kernel_thread:
            members[process.netns].add(owner_of[process.pid])
    return members


def may_be_anywhere(process: Process) -> bool:
    """Whether a process with descriptors may be in a network namespace that was not read."""
    return process.netns is None and process.fds != 0 and not process.kernel_thread


def sockets_by_owner(
    sample: NodeSample, owner_of: Mapping[int, Owner], answers_for: Mapping[int, Owner]
) -> dict[Owner, SocketUse]:
    """Count the distinct sockets of each owner. A socket that several owners hold counts once in each.

    What cannot be told apart makes the figure of everyone it might belong to unknown, never smaller than it is.
    """
    tallies = defaultdict(_Tally, {owner: _Tally() for owner in set(owner_of.values())})
    inhabitants = _inhabitants(sample.processes, owner_of)
    unclassified = {owner_of[process.pid] for process in sample.processes if process.unclassified}
    for owner in unclassified:
        tallies[owner].unknown |= {"unix", "other"}

    def of_all(several: Iterable[Netns]) -> set[Owner]:
        return {
            one for netns in several for one in (*inhabitants[netns.inode], answers_for.get(netns.inode, HOST.owner))
        }

    anywhere = {owner_of[process.pid] for process in sample.processes if may_be_anywhere(process)}
    for owner in anywhere | of_all(netns for netns in sample.netns if not netns.dumped):
        tallies[owner].unknown |= {"tcp", "udp"}
        tallies[owner].listed = sample.source == "bpf"  # by descriptors, in whatever namespace
    for owner in of_all(netns for netns in sample.netns if not netns.half_open):
        tallies[owner].half_open = False
    for group in sample.sockets:
        owners = _owners(group, owner_of, answers_for)
        if group.holders is None:
            # Someone holds them whose table was not looked into: most likely in this very namespace.
            within = inhabitants.get(group.netns or 0, set())
            owners = within & unclassified or unclassified or within or owners
        for owner in owners:
            if group.holders is None and len(owners) > 1:
                tallies[owner].unknown.add(group.protocol)
            else:
                tallies[owner].add(group)
    return {owner: tally.use() for owner, tally in tallies.items()}


def _owners(group: SocketGroup, owner_of: Mapping[int, Owner], answers_for: Mapping[int, Owner]) -> set[Owner]:
    holders = {owner_of[pid] for pid in group.holders or () if pid in owner_of}
    return holders or {HOST.owner if group.netns is None else answers_for.get(group.netns, HOST.owner)}
