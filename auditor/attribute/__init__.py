"""Attribute: the facts of a sample, by owner. Pure.

Descriptors belong to the process whose table holds them. What several owners hold counts once in each of them and once
in the node's total; `shared_descriptions` reconciles the two.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from auditor.attribute.cgroup import HOST, Place, locate
from auditor.attribute.destinations import egress_by_destination, ports_by_destination
from auditor.attribute.greatest import greatest_holders, greatest_of
from auditor.attribute.owners import descriptions_by_owner, owner_usage, total
from auditor.attribute.sockets import may_be_anywhere, netns_owners, sockets_by_owner
from auditor.attribute.spaces import Spaces
from auditor.model import (
    BudgetHolding,
    CgroupTasks,
    Dropping,
    DropUsage,
    Gap,
    Listener,
    ListenerUsage,
    Named,
    Netns,
    NetnsUsage,
    NodeSample,
    NodeTotals,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    Pool,
    PoolUsage,
    Process,
    ProcessName,
    Queueing,
    QueueUsage,
    TaskLimit,
    UserBudget,
    UserUsage,
    cgroup_path,
)
from auditor.model.words import owner_name

__all__ = ["attribute", "locate", "name_all"]

_KERNEL = Place(Owner(OwnerKind.KERNEL))


def attribute(sample: NodeSample, directory: Mapping[str, PodIdentity]) -> NodeUsage:
    """Add up a sample by owner.

    Args:
        sample: the facts.
        directory: names of pods by their uid as cgroups spell it (a static pod's is its config hash).
    """
    places = _places(sample.processes)
    owner_of = {pid: place.owner for pid, place in places.items()}
    answers_for = netns_owners(sample.processes, owner_of, sample.host_netns)
    sockets = sockets_by_owner(sample, owner_of, answers_for)
    descriptions, distinct = descriptions_by_owner(sample.processes, sample.shared, owner_of)

    spaces = Spaces.of(sample.processes, owner_of, answers_for, sample.host_netns)
    by_pid = {process.pid: process for process in sample.processes}
    rows: dict[Owner, list[Process]] = defaultdict(list)
    for process in sample.processes:
        rows[owner_of[process.pid]].append(process)
    addresses = {
        address: owner
        for owner in rows
        if owner.kind is OwnerKind.POD and owner.id in directory
        for address in directory[owner.id].addresses
    }
    with_own_netns = {owner for netns, owner in answers_for.items() if netns != sample.host_netns}
    owners = tuple(
        owner_usage(
            owner,
            processes,
            place_of=places,
            identity=directory.get(owner.id) if owner.kind is OwnerKind.POD else None,
            descriptions=descriptions(owner),
            sockets=sockets.get(owner),
            own_netns=owner in with_own_netns and owner.kind is not OwnerKind.HOST,
        )
        for owner, processes in sorted(rows.items())
    )
    return NodeUsage(
        at=sample.at,
        facts=sample.facts,
        totals=_totals(sample, owners, distinct),
        owners=owners,
        netns=tuple(
            NetnsUsage(
                spaces.space(netns.inode),
                spaces.owner(netns.inode),
                netns.time_wait_buckets,
                netns.time_wait_max,
                netns.conntrack,
                netns.conntrack_max,
                netns.flows,
                _trackers(netns, addresses),
                time_wait_overflows=netns.time_wait_overflows,
            )
            for netns in sample.netns
        ),
        ports=tuple(ports_by_destination(sample, spaces, by_pid)),
        snat_ports=sample.snat_ports,
        egress=egress_by_destination(sample, owner_of, answers_for),
        users=tuple(_user(budget, owner_of, owners, by_pid) for budget in sample.budgets),
        pools=tuple(_pool(pool, owner_of, answers_for, by_pid) for pool in sample.pools),
        listeners=None
        if sample.listeners is None
        else tuple(_listener(one, spaces, by_pid) for one in sample.listeners),
        dropping=tuple(
            DropUsage(_reader(one, spaces, by_pid), one.address, one.port, one.drops, spaces.space(one.netns))
            for one in sample.dropping
        ),
        queueing=tuple(_queue(one, spaces, by_pid) for one in sample.queueing),
        task_limits=tuple(_task_limit(cgroup, sample.processes, owner_of) for cgroup in sample.cgroup_tasks),
        most_threads=greatest_of({pid: one.threads or 0 for pid, one in by_pid.items()}, owner_of, by_pid),
        most_fds=greatest_of({pid: one.fds or 0 for pid, one in by_pid.items()}, owner_of, by_pid),
        missing=sample.missing if sample.snat_ports else sample.missing | {"snat-ports"},
        gaps=(*sample.gaps, *_unnamed_pods(owners)),
    )


def name_all(processes: Iterable[Process], directory: Mapping[str, PodIdentity], host_netns: int | None) -> Named:
    """Name the owner of each process and network namespace.

    Args:
        processes: of the node.
        directory: names of pods, as `attribute` takes them.
        host_netns: the host's network namespace.
    """
    processes = tuple(processes)
    owners = {pid: place.owner for pid, place in _places(processes).items()}
    names = {owner: owner_name(owner, directory.get(owner.id)) for owner in {*owners.values(), HOST.owner}}
    return Named(owners, netns_owners(processes, owners, host_netns), names)


def _places(processes: Iterable[Process]) -> dict[int, Place]:
    known: dict[int, Place] = {}  # by identity: processes of the same cgroups share one tuple, which is long to compare
    places = {}
    for process in processes:
        if process.kernel_thread:
            places[process.pid] = _KERNEL
            continue
        place = known.get(id(process.cgroups))
        if place is None:
            place = known[id(process.cgroups)] = _located(process.cgroups)
        places[process.pid] = place
    return places


@lru_cache(maxsize=1024)
def _located(cgroups: tuple[tuple[str, str], ...]) -> Place:
    """As `locate`, which needs to look at each place once: most are the same in the next sweep."""
    return locate(cgroups)


def _totals(sample: NodeSample, owners: tuple[OwnerUsage, ...], distinct: int | None) -> NodeTotals:
    held = total(usage.descriptions for usage in owners)
    pods = [usage for usage in owners if usage.owner.kind is OwnerKind.POD]
    every_netns_seen = all(netns.dumped for netns in sample.netns) and not any(map(may_be_anywhere, sample.processes))
    every_table_seen = all(usage.kinds is not None for usage in owners)
    return NodeTotals(
        processes=len(sample.processes),
        threads=total(usage.threads for usage in owners),
        pods=len(pods),
        containers=sum(container.id is not None for usage in owners for container in usage.containers),
        fds=total(usage.fds for usage in owners),
        descriptions=distinct,
        sockets=sum(group.count for group in sample.sockets) if every_netns_seen and every_table_seen else None,
        shared_descriptions=None if held is None or distinct is None else held - distinct,
    )


def _user(
    budget: UserBudget,
    owner_of: Mapping[int, Owner],
    owners: tuple[OwnerUsage, ...],
    processes: Mapping[int, Process],
) -> UserUsage:
    takers = _takers(budget.holders, owner_of)
    members = {usage.owner for usage in owners if budget.uid in usage.uids}
    return UserUsage(
        budget.pool,
        budget.uid,
        budget.used,
        budget.limit,
        budget.exact,
        takers,
        frozenset(members | set(takers)),
        budget.scope,
        greatest_holders(budget.holders, owner_of, processes),
    )


def _pool(
    pool: Pool, owner_of: Mapping[int, Owner], answers_for: Mapping[int, Owner], processes: Mapping[int, Process]
) -> PoolUsage:
    takers = Counter(_takers(pool.holders, owner_of))
    for inode, number in pool.by_netns.items():
        takers[answers_for.get(inode, HOST.owner)] += number
    greatest = greatest_holders(pool.holders, owner_of, processes)
    return PoolUsage(pool.limit, pool.used, pool.maximum, pool.scope, pool.pressure, pool.estimate, takers, greatest)


def _trackers(netns: Netns, addresses: Mapping[str, Owner]) -> Mapping[Owner, int]:
    """Share out tracked connections by the pods at their ends."""
    flows = netns.flows
    if flows is None or not flows.sampled or netns.conntrack is None:
        return {}
    seen: Counter[Owner] = Counter()
    for source, answering, number in flows.ends:
        owner = addresses.get(source) or addresses.get(answering)
        if owner:
            seen[owner] += number
    return {owner: round(number * netns.conntrack / flows.sampled) for owner, number in seen.items()}


def _listener(one: Listener, spaces: Spaces, processes: Mapping[int, Process]) -> ListenerUsage:
    owner, space = _reader(one, spaces, processes), spaces.space(one.netns)
    return ListenerUsage(
        owner, one.protocol, one.address, one.port, one.queue, one.backlog, one.connections, one.drops, space
    )


def _queue(one: Queueing, spaces: Spaces, processes: Mapping[int, Process]) -> QueueUsage:
    youngest = _youngest(one, processes)
    return QueueUsage(
        _reader(one, spaces, processes),
        (one.netns, one.id),
        one.peer,
        one.received,
        one.sent,
        ProcessName(youngest.pid, youngest.command) if youngest else None,
    )


def _reader(one: Listener | Dropping | Queueing, spaces: Spaces, processes: Mapping[int, Process]) -> Owner:
    """Name who reads. What nobody holds, or a process of the host's own, is called after the namespace it is in."""
    youngest = _youngest(one, processes)
    owner = spaces.owner_of[youngest.pid] if youngest else HOST.owner
    return spaces.owner(one.netns) if owner == HOST.owner else owner


def _youngest(one: Listener | Dropping | Queueing, processes: Mapping[int, Process]) -> Process | None:
    """Choose the youngest of all who hold the socket: a service is younger than who passed it on."""
    holders = (processes[pid] for pid in one.holders or () if pid in processes)
    return max(holders, key=lambda process: (process.start, process.pid), default=None)


def _task_limit(cgroup: CgroupTasks, processes: Iterable[Process], owner_of: Mapping[int, Owner]) -> TaskLimit:
    place = locate([("pids", cgroup.path)])
    takers: Counter[Owner] = Counter()
    if place.owner == HOST.owner and 2 * cgroup.used >= cgroup.limit:  # nobody asks of one that is half empty
        for process in processes:
            path = cgroup_path(process.cgroups, "pids")
            if path is not None and f"{path}/".startswith(f"{cgroup.path}/"):
                takers[owner_of[process.pid]] += process.threads or 0
    return TaskLimit(place.owner, place.container, cgroup.path, cgroup.used, cgroup.limit, dict(takers))


def _takers(holdings: Iterable[BudgetHolding], owner_of: Mapping[int, Owner]) -> dict[Owner, int]:
    """Count what each owner holds. An object of several owners counts once in each."""
    takers: Counter[Owner] = Counter()
    for holding in holdings:
        for owner in {owner_of[pid] for pid in holding.holders if pid in owner_of}:
            takers[owner] += holding.count
    return dict(takers)


def _unnamed_pods(owners: tuple[OwnerUsage, ...]) -> tuple[Gap, ...]:
    unnamed = sum(usage.owner.kind is OwnerKind.POD and usage.identity is None for usage in owners)
    if not unnamed:
        return ()
    return (Gap("pod-names", "pods known by uid only: neither the API nor /var/log/pods names them", unnamed),)
