"""How the limits of network namespaces, listeners and connections are read: one function a limit, named after it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from auditor.evaluate.consumers import fullest_of_each, greatest, owner_key
from auditor.model import (
    UNLIMITED,
    Drops,
    DropUsage,
    Limit,
    ListenerUsage,
    NetnsUsage,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PortUsage,
    Reading,
    Subject,
)
from auditor.model.words import TOWARDS, bounded, endpoint, owner_name

_PATH_BYTES = 200


def listen_backlog(usage: NodeUsage) -> Iterator[Reading]:
    """Accept queue of each listener against its backlog and one more. Empty ones are left out, but for the smallest."""
    if usage.listeners is None:
        return
    rows = {row.owner: row for row in usage.owners}
    waiting = [one for one in usage.listeners if one.queue]
    waiting = waiting or sorted(usage.listeners, key=lambda one: (one.backlog, one.port, one.address))[:1]
    if not waiting:
        yield Reading("listen-backlog", "node", "node", 0, UNLIMITED)
    yield from fullest_of_each(_of_listener(one, rows.get(one.owner)) for one in waiting)


def _of_listener(one: ListenerUsage, row: OwnerUsage | None) -> Reading:
    where, identity = address_of(one), row.identity if row else None
    return Reading(
        limit="listen-backlog",
        key=_listener_key(one),
        scope=f"{owner_name(one.owner, identity)} {where}",
        used=one.queue,
        maximum=one.backlog + 1,
        subject=Subject(one.owner, identity),
        where=where,
    )


def address_of(one: ListenerUsage) -> str:
    """Write where somebody listens."""
    return bounded(f"unix:{one.address}", _PATH_BYTES) if one.protocol == "unix" else endpoint(one.address, one.port)


def _listener_key(one: ListenerUsage) -> str:
    return "/".join(filter(None, (one.owner.kind.lower(), one.owner.id, one.protocol, address_of(one))))


def listener_drops(usage: NodeUsage) -> Iterable[Drops]:
    """What each listener has dropped. It is full, or the node is short of memory."""
    rows = {row.owner: row for row in usage.owners}
    return _added_up(
        _dropped(_listener_key(one), one, address_of(one), rows, used=one.queue, maximum=one.backlog + 1)
        for one in usage.listeners or ()
        if one.drops
    )


def udp_drops(usage: NodeUsage) -> Iterable[Drops]:
    """What the UDP sockets of each owner at each address have dropped."""
    rows = {row.owner: row for row in usage.owners}
    return _added_up(_dropped(_udp_key(one), one, endpoint(one.address, one.port), rows) for one in usage.dropping)


def _udp_key(one: DropUsage) -> str:
    return "/".join(filter(None, (one.owner.kind.lower(), one.owner.id, endpoint(one.address, one.port))))


def _dropped(  # noqa: PLR0913 - a row of figures
    key: str,
    one: ListenerUsage | DropUsage,
    where: str,
    rows: Mapping[Owner, OwnerUsage],
    *,
    used: int | None = None,
    maximum: Limit = None,
) -> Drops:
    identity = rows[one.owner].identity if one.owner in rows else None
    scope = f"{owner_name(one.owner, identity)} {where}"
    return Drops(key, scope, Subject(one.owner, identity), one.drops or 0, used, maximum, where)


def time_wait_overflows(usage: NodeUsage) -> Iterable[Drops]:
    """Connections that found no TIME_WAIT bucket, in each network namespace that has hardly one left."""
    rows = {row.owner: row for row in usage.owners}
    return _added_up(
        Drops(one.key, one.scope, one.subject, netns.time_wait_overflows, one.used, one.maximum)
        for netns in usage.netns
        if netns.time_wait_overflows is not None
        for one in [_of_netns("time-wait", netns, rows.get(netns.owner), netns.time_wait_buckets, netns.time_wait_max)]
    )


def _added_up(counters: Iterable[Drops]) -> Iterable[Drops]:
    """Add up the counters that go by one key; the fullest speaks for them.

    Sockets share an address (SO_REUSEPORT), and one owner may have many network namespaces.
    """
    found: dict[str, Drops] = {}
    for one in counters:
        other = found.get(one.key)
        fuller = one if other is None or (one.used or 0) > (other.used or 0) else other
        found[one.key] = replace(fuller, total=one.total + (other.total if other else 0))
    return found.values()


def ephemeral_ports(usage: NodeUsage) -> Iterator[Reading]:
    """Ports taken towards one destination against the range, in each network namespace."""
    rows = {row.owner: row for row in usage.owners}
    names = pods_by_address(usage)
    yield from fullest_of_each(_of_ports(one, rows, names) for one in usage.ports)


def _of_ports(one: PortUsage, rows: Mapping[Owner, OwnerUsage], names: Mapping[str, str]) -> Reading:
    use, row = one.use, rows.get(one.owner)
    own = row is not None and one.owner.kind is not OwnerKind.HOST
    namespace = owner_key(row) if row is not None and own else "host" if one.is_host else "other"
    who = owner_name(one.owner, row.identity) if row is not None and own else "host"
    if not one.is_host and not own:
        who = f"netns {use.netns}"
    where = "" if use.address is None or use.port is None else endpoint(use.address, use.port)
    protocol = "" if use.protocol == "tcp" else use.protocol.upper()
    target = where or ("any" if use.source else "")
    narrower = f"{use.own_range[0]}-{use.own_range[1]}" if use.own_range else ""
    way = f"{TOWARDS.strip()} {target}" if target else ""
    way += f" from ports {narrower}" if narrower else ""
    return Reading(
        limit="ephemeral-ports",
        key="/".join(filter(None, ("netns", namespace, use.protocol, use.source, target, narrower))),
        scope=" ".join(filter(None, (who, protocol, way))),
        used=use.used,
        maximum=use.available,
        subject=Subject(one.owner, row.identity) if row is not None and own else Subject(),
        estimate=True,
        consumers=greatest(
            rows.values(),
            lambda row: one.takers.get(row.owner),
            "connections",
            estimated=lambda row: row.owner in one.estimated,
        ),
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
            consumers=greatest(usage.owners, lambda row, one=one: one.takers.get(row.owner), "connections"),  # type: ignore[misc]
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
        trackers, sampled = netns.trackers, netns.flows is not None and netns.flows.sampled != netns.conntrack
        shares = greatest(
            usage.owners,
            lambda row, trackers=trackers: trackers.get(row.owner),  # type: ignore[misc]
            estimated=lambda _, sampled=sampled: sampled,  # type: ignore[misc]
        )
        yield replace(reading, flows=netns.flows, consumers=shares)


def _per_netns(
    limit: str, usage: NodeUsage, figures: Callable[[NetnsUsage], tuple[int | None, Limit]]
) -> Iterator[Reading]:
    """Read one figure of each namespace. Those that hold nothing are left out, but for the host's.

    Where several would go by one name (an owner with many, mounts without a process) the fullest speaks for them.
    """
    rows = {row.owner: row for row in usage.owners}
    yield from fullest_of_each(
        _of_netns(limit, netns, rows.get(netns.owner), *figures(netns))
        for netns in usage.netns
        if netns.is_host or figures(netns)[0] != 0
    )


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
        return owner_key(row)
    return "host" if netns.is_host else "other"


def _netns_name(netns: NetnsUsage) -> str:
    return "host" if netns.is_host else f"netns {netns.inode}"
