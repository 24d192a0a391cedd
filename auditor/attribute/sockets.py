"""Sockets by owner, and who answers for a network namespace."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.attribute.cgroup import HOST
from auditor.model import NodeSample, Owner, Process, SocketGroup, SocketUse, TcpState


@dataclass(slots=True)
class _Tally:
    tcp: Counter[TcpState] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)

    def use(self) -> SocketUse:
        return SocketUse(
            tcp=None if "tcp" in self.unknown else dict(self.tcp),
            udp=None if "udp" in self.unknown else self.others["udp"],
            unix=None if "unix" in self.unknown else self.others["unix"],
            other=None if "other" in self.unknown else self.others["other"],
        )


def netns_owners(
    processes: Iterable[Process], owner_of: Mapping[int, Owner], host_netns: int | None
) -> dict[int, Owner]:
    """Name the owner of each network namespace: the one owner of all its processes, else the host.

    Sockets without a descriptor (TIME_WAIT, unaccepted, orphaned) belong to it. Kernel threads live in the host's
    namespace and own nothing.
    """
    members: dict[int, set[Owner]] = defaultdict(set)
    for process in processes:
        if process.netns is not None and not process.kernel_thread:
            members[process.netns].add(owner_of[process.pid])
    return {
        netns: next(iter(owners)) if len(owners) == 1 and netns != host_netns else HOST.owner
        for netns, owners in members.items()
    }


def sockets_by_owner(
    sample: NodeSample, owner_of: Mapping[int, Owner], answers_for: Mapping[int, Owner]
) -> dict[Owner, SocketUse]:
    """Count the distinct sockets of each owner. A socket that several owners hold counts once in each.

    What cannot be told apart makes the figure of everyone it might belong to unknown, never smaller than it is.
    """
    tallies: dict[Owner, _Tally] = defaultdict(_Tally)
    inhabitants: dict[int, set[Owner]] = defaultdict(set)
    for process in sample.processes:
        owner = owner_of[process.pid]
        tally = tallies[owner]
        if process.netns is not None and not process.kernel_thread:
            inhabitants[process.netns].add(owner)
        if process.owns_table and process.fds != 0 and process.kinds is None and not process.kernel_thread:
            tally.unknown |= {"unix", "other"}
    for netns in sample.netns:
        if not netns.dumped:
            for owner in {*inhabitants[netns.inode], answers_for.get(netns.inode, HOST.owner)}:
                tallies[owner].unknown |= {"tcp", "udp"}
    for group in sample.sockets:
        _count(group, tallies, owner_of, answers_for, inhabitants)
    return {owner: tally.use() for owner, tally in tallies.items()}


def _count(
    group: SocketGroup,
    tallies: dict[Owner, _Tally],
    owner_of: Mapping[int, Owner],
    answers_for: Mapping[int, Owner],
    inhabitants: Mapping[int, set[Owner]],
) -> None:
    netns_owner = HOST.owner if group.netns is None else answers_for.get(group.netns, HOST.owner)
    if group.holders:
        owners = {owner_of[pid] for pid in group.holders if pid in owner_of} or {netns_owner}
    else:
        owners = {netns_owner}
        candidates = inhabitants.get(group.netns, set()) if group.netns is not None else set()
        if group.holders is None and len(candidates) > 1:
            for owner in candidates:
                tallies[owner].unknown.add(group.protocol)
    for owner in owners:
        if group.protocol == "tcp" and group.state is not None:
            tallies[owner].tcp[group.state] += group.count
        else:
            tallies[owner].others[group.protocol] += group.count
