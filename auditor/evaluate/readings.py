"""How each limit is read from a node's usage: one function a limit, named after it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from auditor.model import (
    UNLIMITED,
    Drops,
    Limit,
    ListenerUsage,
    NetnsUsage,
    NodeFacts,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PoolUsage,
    PortUsage,
    Reading,
    Share,
    SocketUse,
    Subject,
    TaskLimit,
    TcpState,
    UserUsage,
)
from auditor.model.words import TOWARDS, bounded, clean, endpoint, owner_name

SHARES_MAX = 5
_PATH_BYTES = 200


def process_fds(usage: NodeUsage) -> Iterator[Reading]:
    """RLIMIT_NOFILE binds one process, so the reading of a container is its worst process, never a sum."""
    for row in usage.owners:
        if row.owner.kind is OwnerKind.KERNEL:
            continue
        for container in row.containers:
            worst = container.worst
            if worst is None or worst.lowered_itself:
                continue
            label = container.name or (container.id or "")[:12]
            if row.owner.kind is not OwnerKind.POD:
                label = ""
            yield Reading(
                limit="process-fds",
                key="/".join(filter(None, (_owner_key(row), container.name or container.id))),
                scope=" ".join(filter(None, (owner_name(row.owner, row.identity), label))),
                used=worst.fds,
                maximum=worst.soft_limit,
                subject=Subject(row.owner, row.identity, container.name or container.id, worst),
            )


def close_wait(usage: NodeUsage) -> Iterator[Reading]:
    """Sockets in CLOSE_WAIT of each owner against the soft limit of its worst process: each is one of its descriptors."""
    for row in usage.owners:
        tcp = row.sockets.tcp if row.sockets else None
        if row.owner.kind is OwnerKind.KERNEL or row.worst is None or tcp is None:
            continue
        yield Reading(
            limit="close-wait",
            key=_owner_key(row),
            scope=owner_name(row.owner, row.identity),
            used=tcp.get(TcpState.CLOSE_WAIT, 0),
            maximum=row.worst.soft_limit,
            subject=Subject(row.owner, row.identity, None, row.worst),
        )


def file_handles(usage: NodeUsage) -> Iterator[Reading]:
    """Open file descriptions of the node; by owner where they are exactly known."""
    unprivileged = (row for row in usage.owners if row.uids - {0})
    yield Reading(
        limit="file-handles",
        key="node",
        scope="node",
        used=usage.facts.file_handles,
        maximum=usage.facts.file_max,
        consumers=_greatest(usage.owners, lambda row: row.descriptions),
        pods=_of_pods(usage.owners, lambda row: row.descriptions),
        affected=tuple(Share(row.owner, row.identity) for row in unprivileged)[:SHARES_MAX],
    )


def pids(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against pid_max, which counts every thread, and against pids.max of each cgroup that has one."""
    yield from _tasks("pids", usage, usage.facts.pid_max)
    rows = {row.owner: row for row in usage.owners}
    yield from _fullest_of_each(_of_cgroup(limit, rows) for limit in usage.task_limits)


def _of_cgroup(limit: TaskLimit, rows: Mapping[Owner, OwnerUsage]) -> Reading:
    row = rows.get(limit.owner)
    if row is None or limit.owner.kind is OwnerKind.HOST:
        path = bounded(clean(limit.path), _PATH_BYTES)
        shares = _greatest(rows.values(), lambda row: limit.takers.get(row.owner))
        return Reading("pids", f"cgroup{path}", f"cgroup {path}", limit.used, limit.limit, consumers=shares)
    names = {container.id: container.name for container in row.containers if container.id}
    label = names.get(limit.container or "") or limit.container
    return Reading(
        limit="pids",
        key="/".join(filter(None, (_owner_key(row), label))),
        scope=" ".join(filter(None, (owner_name(row.owner, row.identity), (label or "")[:63]))),
        used=limit.used,
        maximum=limit.limit,
        subject=Subject(row.owner, row.identity, label),
    )


def threads(usage: NodeUsage) -> Iterator[Reading]:
    """Tasks against threads-max."""
    yield from _tasks("threads", usage, usage.facts.threads_max)


def pool(
    limit: str, taken: Callable[[SocketUse], int | None] | None = None, unit: str | None = None
) -> Callable[[NodeUsage], Iterator[Reading]]:
    """Return the reader of a pool of the whole node.

    Args:
        limit: id of the limit.
        taken: what an owner's sockets take of it; else whoever is seen to hold something of it takes that.
        unit: what `taken` counts, if that is not what the limit counts.
    """

    def read(usage: NodeUsage) -> Iterator[Reading]:
        for one in usage.pools:
            if one.limit == limit:
                shares = _greatest(usage.owners, lambda row, one=one: _taken(one, row), unit)  # type: ignore[misc]
                pods = _of_pods(usage.owners, partial(_held_of, one)) if one.takers else {}
                yield _pool(one, shares, pods)

    def _taken(one: PoolUsage, row: OwnerUsage) -> int | None:
        if taken is None:
            return one.takers.get(row.owner)
        return None if row.sockets is None else taken(row.sockets)

    return read


def _held_of(one: PoolUsage, row: OwnerUsage) -> int:
    return one.takers.get(row.owner, 0)


def per_user(
    limit: str, maximum: Callable[[NodeFacts], Limit] = lambda _: None
) -> Callable[[NodeUsage], Iterator[Reading]]:
    """Return the reader of a pool that is kept per user.

    Args:
        limit: id of the limit.
        maximum: what a user may have who has nothing yet. A node where nobody has any reads as the superuser's zero,
            so that the limit is seen to be watched.
    """

    def read(usage: NodeUsage) -> Iterator[Reading]:
        rows = [user for user in usage.users if user.pool == limit]
        if not rows and limit not in usage.missing:
            blind = any(limit in gap.limits for gap in usage.gaps)
            rows = [UserUsage(limit, 0, None if blind else 0, maximum(usage.facts), exact=False)]
        for user in rows:
            yield _of_user(user, usage.owners)

    return read


def _of_user(user: UserUsage, owners: Iterable[OwnerUsage]) -> Reading:
    owners = tuple(owners)
    consumers = _greatest(owners, lambda row: user.takers.get(row.owner))
    greatest = consumers[0].owner if consumers else None
    return Reading(
        limit=user.pool,
        key="/".join(filter(None, (f"user/{user.uid}", user.scope))),
        scope=" ".join(filter(None, (f"user {user.uid}", user.scope))),
        used=user.used,
        maximum=user.limit,
        estimate=not user.exact,
        consumers=consumers,
        pods=_of_pods(owners, lambda row: user.takers.get(row.owner, 0) if row.owner in user.members else None),
        affected=tuple(
            Share(row.owner, row.identity, user.takers.get(row.owner))
            for row in owners
            if row.owner in user.members and row.owner != greatest
        )[:SHARES_MAX],
    )


def listen_backlog(usage: NodeUsage) -> Iterator[Reading]:
    """Accept queue of each listener against its backlog and one more. Empty ones are left out, but for the smallest."""
    if usage.listeners is None:
        return
    rows = {row.owner: row for row in usage.owners}
    waiting = [one for one in usage.listeners if one.queue]
    waiting = waiting or sorted(usage.listeners, key=lambda one: (one.backlog, one.port, one.address))[:1]
    if not waiting:
        yield Reading("listen-backlog", "node", "node", 0, UNLIMITED)
    yield from _fullest_of_each(_of_listener(one, rows.get(one.owner)) for one in waiting)


def _of_listener(one: ListenerUsage, row: OwnerUsage | None) -> Reading:
    where, identity = address_of(one), row.identity if row else None
    return Reading(
        limit="listen-backlog",
        key=_listener_key(one),
        scope=f"{owner_name(one.owner, identity)} {where}",
        used=one.queue,
        maximum=one.backlog + 1,
        subject=Subject(one.owner, identity),
    )


def address_of(one: ListenerUsage) -> str:
    """Write where somebody listens."""
    return bounded(f"unix:{one.address}", _PATH_BYTES) if one.protocol == "unix" else endpoint(one.address, one.port)


def _listener_key(one: ListenerUsage) -> str:
    return "/".join(filter(None, (one.owner.kind.lower(), one.owner.id, one.protocol, address_of(one))))


def listener_drops(usage: NodeUsage) -> Iterator[Drops]:
    """What each listener has dropped. It is full, or the node is short of memory."""
    rows = {row.owner: row for row in usage.owners}
    for one in usage.listeners or ():
        if one.drops:
            identity = rows[one.owner].identity if one.owner in rows else None
            scope = f"{owner_name(one.owner, identity)} {address_of(one)}"
            yield Drops(_listener_key(one), scope, Subject(one.owner, identity), one.drops, one.queue, one.backlog + 1)


def udp_drops(usage: NodeUsage) -> Iterator[Drops]:
    """What each UDP socket has dropped."""
    rows = {row.owner: row for row in usage.owners}
    for one in usage.dropping:
        identity = rows[one.owner].identity if one.owner in rows else None
        where = endpoint(one.address, one.port)
        key = "/".join(filter(None, (one.owner.kind.lower(), one.owner.id, where)))
        yield Drops(key, f"{owner_name(one.owner, identity)} {where}", Subject(one.owner, identity), one.drops)


def time_wait_overflows(usage: NodeUsage) -> Iterator[Drops]:
    """Connections that found no TIME_WAIT bucket, in each network namespace that has hardly one left."""
    rows = {row.owner: row for row in usage.owners}
    for netns in usage.netns:
        if netns.time_wait_overflows is not None:
            one = _of_netns("time-wait", netns, rows.get(netns.owner), netns.time_wait_buckets, netns.time_wait_max)
            yield Drops(one.key, one.scope, one.subject, netns.time_wait_overflows, one.used, one.maximum)


def ephemeral_ports(usage: NodeUsage) -> Iterator[Reading]:
    """Ports taken towards one destination against the range, in each network namespace."""
    rows = {row.owner: row for row in usage.owners}
    names = pods_by_address(usage)
    yield from _fullest_of_each(_of_ports(one, rows, names) for one in usage.ports)


def _of_ports(one: PortUsage, rows: Mapping[Owner, OwnerUsage], names: Mapping[str, str]) -> Reading:
    use, row = one.use, rows.get(one.owner)
    own = row is not None and one.owner.kind is not OwnerKind.HOST
    namespace = _owner_key(row) if row is not None and own else "host" if one.is_host else "other"
    who = owner_name(one.owner, row.identity) if row is not None and own else "host"
    if not one.is_host and not own:
        who = f"netns {use.netns}"
    where = "" if use.address is None or use.port is None else endpoint(use.address, use.port)
    protocol = "" if use.protocol == "tcp" else use.protocol.upper()
    target = where or ("any" if use.source else "")
    narrower = f"{use.own_range[0]}-{use.own_range[1]}" if use.own_range else ""
    way = f"{TOWARDS.strip()} {target}" if target else ""
    way += f" from ports {narrower}" if narrower else ""
    shares = [
        Share(owner, rows[owner].identity, number, "connections")
        for owner, number in one.takers.items()
        if owner in rows
    ]
    return Reading(
        limit="ephemeral-ports",
        key="/".join(filter(None, ("netns", namespace, use.protocol, use.source, target, narrower))),
        scope=" ".join(filter(None, (who, protocol, way))),
        used=use.used,
        maximum=use.available,
        subject=Subject(one.owner, row.identity) if row is not None and own else Subject(),
        estimate=True,
        consumers=tuple(sorted(shares, key=lambda share: (-(share.used or 0), share.owner))[:SHARES_MAX]),
        ports=use,
        peer=names.get(use.address or "", ""),
    )


def snat_ports(usage: NodeUsage) -> Iterator[Reading]:
    """Connections to each destination outside, of all who live here, against the node's share of the NAT."""
    if "snat-ports" in usage.missing:
        return
    for one in usage.egress:
        where = endpoint(one.address, one.port)
        yield Reading(
            limit="snat-ports",
            key=f"node/{where}",
            scope=f"node{TOWARDS}{where}",
            used=one.used,
            maximum=usage.snat_ports,
            estimate=True,
            consumers=_greatest(usage.owners, lambda row, one=one: one.takers.get(row.owner), "connections"),  # type: ignore[misc]
        )
    if not usage.egress:
        yield Reading("snat-ports", "node", "node", 0, usage.snat_ports, estimate=True)


def pods_by_address(usage: NodeUsage) -> dict[str, str]:
    """Return the names of this node's pods by the addresses of their own networks."""
    return {
        address: owner_name(row.owner, row.identity)
        for row in usage.owners
        if row.owner.kind is OwnerKind.POD and row.identity
        for address in row.identity.addresses
    }


def time_wait(usage: NodeUsage) -> Iterator[Reading]:
    """TIME_WAIT buckets of each network namespace."""
    yield from _per_netns("time-wait", usage, lambda netns: (netns.time_wait_buckets, netns.time_wait_max))


def conntrack(usage: NodeUsage) -> Iterator[Reading]:
    """Tracked connections of each network namespace: the one maximum binds every namespace by itself."""
    if "conntrack" in usage.missing:
        return
    rows = {row.owner: row for row in usage.owners}
    looked = {_netns_scope(netns, rows): netns for netns in usage.netns if netns.flows}
    for reading in _per_netns("conntrack", usage, lambda netns: (netns.conntrack, netns.conntrack_max)):
        netns = looked.get(reading.scope)
        if netns is None:
            yield reading
            continue
        trackers = netns.trackers
        shares = _greatest(usage.owners, lambda row, trackers=trackers: trackers.get(row.owner))  # type: ignore[misc]
        yield replace(reading, flows=netns.flows, consumers=shares)


def _per_netns(
    limit: str, usage: NodeUsage, figures: Callable[[NetnsUsage], tuple[int | None, Limit]]
) -> Iterator[Reading]:
    """Read one figure of each namespace. Those that hold nothing are left out, but for the host's.

    Where several would go by one name (an owner with many, mounts without a process) the fullest speaks for them.
    """
    rows = {row.owner: row for row in usage.owners}
    yield from _fullest_of_each(
        _of_netns(limit, netns, rows.get(netns.owner), *figures(netns))
        for netns in usage.netns
        if netns.is_host or figures(netns)[0] != 0
    )


def _fullest_of_each(readings: Iterable[Reading]) -> Iterable[Reading]:
    """Choose one reading for each key."""
    fullest: dict[str, Reading] = {}
    for reading in readings:
        other = fullest.get(reading.key)
        if other is None or _fullness(reading) > _fullness(other):
            fullest[reading.key] = reading
    return fullest.values()


def _fullness(reading: Reading) -> tuple[int, int]:
    return -1 if reading.percent is None else reading.percent, reading.used or 0


def _of_netns(limit: str, netns: NetnsUsage, row: OwnerUsage | None, used: int | None, maximum: Limit) -> Reading:
    own = row is not None and netns.owner.kind is not OwnerKind.HOST
    return Reading(
        limit=limit,
        key=f"netns/{_netns_key(netns, row)}",
        scope=_netns_scope(netns, {netns.owner: row} if row else {}),
        used=used,
        maximum=maximum,
        subject=Subject(netns.owner, row.identity) if row is not None and own else Subject(),
    )


def _netns_scope(netns: NetnsUsage, rows: Mapping[Owner, OwnerUsage]) -> str:
    row = rows.get(netns.owner)
    if row is None or netns.owner.kind is OwnerKind.HOST:
        return _netns_name(netns)
    return owner_name(netns.owner, row.identity)


def _netns_key(netns: NetnsUsage, row: OwnerUsage | None) -> str:
    if row is not None and netns.owner.kind is not OwnerKind.HOST:
        return _owner_key(row)
    return "host" if netns.is_host else "other"


def _netns_name(netns: NetnsUsage) -> str:
    return "host" if netns.is_host else f"netns {netns.inode}"


def _tasks(limit: str, usage: NodeUsage, maximum: Limit) -> Iterator[Reading]:
    yield Reading(
        limit=limit,
        key="node",
        scope="node",
        used=usage.facts.tasks,
        maximum=maximum,
        consumers=_greatest(usage.owners, lambda row: row.threads),
        pods=_of_pods(usage.owners, lambda row: row.threads),
    )


def _pool(one: PoolUsage, consumers: tuple[Share, ...], pods: Mapping[Owner, int]) -> Reading:
    return Reading(
        limit=one.limit,
        key="/".join(filter(None, ("node", one.scope.lower()))),
        scope=" ".join(filter(None, ("node", one.scope))),
        used=one.used,
        maximum=one.maximum,
        estimate=one.estimate,
        pressure=one.pressure,
        consumers=consumers,
        pods=pods,
    )


def _greatest(
    rows: Iterable[OwnerUsage], figure: Callable[[OwnerUsage], int | None], unit: str | None = None
) -> tuple[Share, ...]:
    shares = [Share(row.owner, row.identity, used, unit) for row in rows if (used := figure(row))]
    return tuple(sorted(shares, key=lambda share: (-(share.used or 0), share.owner))[:SHARES_MAX])


def _of_pods(rows: Iterable[OwnerUsage], figure: Callable[[OwnerUsage], int | None]) -> dict[Owner, int]:
    """Return what each pod takes, but for those that come with the node."""
    return {
        row.owner: used
        for row in rows
        if row.owner.kind is OwnerKind.POD and not _comes_with_the_node(row) and (used := figure(row)) is not None
    }


def _comes_with_the_node(row: OwnerUsage) -> bool:
    workload = row.identity.workload if row.identity else None
    static = "-" not in row.owner.id and "_" not in row.owner.id  # the hash of its manifest, not a UUID
    return static or (workload is not None and workload[0] == "DaemonSet")


def _owner_key(row: OwnerUsage) -> str:
    return "/".join(filter(None, (row.owner.kind.lower(), row.owner.id)))
