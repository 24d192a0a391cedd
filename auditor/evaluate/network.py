"""How the limits of network namespaces, listeners and connections are read: one function a limit, named after it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from auditor.evaluate.consumers import fullest_of_each, greatest, owner_key, runtime_of
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
    Space,
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
        scope=f"{_holder_name(one, row)} {where}",
        used=one.queue,
        maximum=one.backlog + 1,
        subject=Subject(one.owner, identity, runtime=runtime_of(row)),
        where=where,
        space=one.space,
    )


def _nobodys(one: ListenerUsage | DropUsage) -> Space | None:
    """Return the namespace of a socket of no owner, unless it is the host's: its addresses are not the host's."""
    is_foreign = one.space is not None and not one.space.is_host and one.owner.kind is OwnerKind.HOST
    return one.space if is_foreign else None


def _holder_name(one: ListenerUsage | DropUsage, row: OwnerUsage | None) -> str:
    space = _nobodys(one)
    return _space_name(space) if space else owner_name(one.owner, row.identity if row else None)


def _holder_key(one: ListenerUsage | DropUsage) -> tuple[str, ...]:
    space = _nobodys(one)
    return ("netns", str(space.inode)) if space else (one.owner.kind.lower(), one.owner.id)


def address_of(one: ListenerUsage) -> str:
    """Write where somebody listens."""
    return bounded(f"unix:{one.address}", _PATH_BYTES) if one.protocol == "unix" else endpoint(one.address, one.port)


def _listener_key(one: ListenerUsage) -> str:
    return "/".join(filter(None, (*_holder_key(one), one.protocol, address_of(one))))


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
    return "/".join(filter(None, (*_holder_key(one), endpoint(one.address, one.port))))


def _dropped(  # noqa: PLR0913 - a row of figures
    key: str,
    one: ListenerUsage | DropUsage,
    where: str,
    rows: Mapping[Owner, OwnerUsage],
    *,
    used: int | None = None,
    maximum: Limit = None,
) -> Drops:
    row = rows.get(one.owner)
    subject = Subject(one.owner, row.identity if row else None, runtime=runtime_of(row))
    scope = f"{_holder_name(one, row)} {where}"
    return Drops(key, scope, subject, one.drops or 0, used, maximum, where, one.space)


def time_wait_overflows(usage: NodeUsage) -> Iterable[Drops]:
    """Connections that found no TIME_WAIT bucket, in each network namespace that has hardly one left."""
    rows = {row.owner: row for row in usage.owners}
    return _added_up(
        Drops(one.key, one.scope, one.subject, netns.time_wait_overflows, one.used, one.maximum, space=netns.space)
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
    who = _called(one.space, one.owner, row)
    where = "" if use.address is None or use.port is None else endpoint(use.address, use.port)
    protocol = "" if use.protocol == "tcp" else use.protocol.upper()
    target = where or ("any" if use.source else "")
    narrower = f"{use.own_range[0]}-{use.own_range[1]}" if use.own_range else ""
    way = f"{TOWARDS.strip()} {target}" if target else ""
    way += f" from ports {narrower}" if narrower else ""
    return Reading(
        limit="ephemeral-ports",
        key="/".join(
            filter(None, ("netns", _space_key(one.space, one.owner, row), use.protocol, use.source, target, narrower))
        ),
        scope=" ".join(filter(None, (who, protocol, way))),
        used=use.used,
        maximum=use.available,
        subject=_subject(one.owner, row),
        estimate=True,
        consumers=greatest(
            rows.values(),
            lambda row: one.takers.get(row.owner),
            "connections",
            estimated=lambda row: row.owner in one.estimated,
            processes=one.greatest,
        ),
        ports=use,
        peer=names.get(use.address or "", ""),
        space=one.space,
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
    looked = {netns.space: netns for netns in usage.netns if netns.flows}
    for reading in _per_netns("conntrack", usage, lambda netns: (netns.conntrack, netns.conntrack_max)):
        netns = looked.get(reading.space) if reading.space else None
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

    Where several go by one name, those of one owner, the fullest speaks for them.
    """
    rows = {row.owner: row for row in usage.owners}
    yield from fullest_of_each(
        _of_netns(limit, netns, rows.get(netns.owner), *figures(netns))
        for netns in usage.netns
        if netns.space.is_host or figures(netns)[0] != 0
    )


def _of_netns(limit: str, netns: NetnsUsage, row: OwnerUsage | None, used: int | None, maximum: Limit) -> Reading:
    return Reading(
        limit=limit,
        key=f"netns/{_space_key(netns.space, netns.owner, row)}",
        scope=_called(netns.space, netns.owner, row),
        used=used,
        maximum=maximum,
        subject=_subject(netns.owner, row),
        space=netns.space,
    )


def _subject(owner: Owner, row: OwnerUsage | None) -> Subject:
    """Whom a finding about a namespace is about: its owner, else the node."""
    if row is None or owner.kind is OwnerKind.HOST:
        return Subject()
    return Subject(owner, row.identity, runtime=runtime_of(row))


def _called(space: Space, owner: Owner, row: OwnerUsage | None) -> str:
    if row is None or owner.kind is OwnerKind.HOST:
        return _space_name(space)
    return owner_name(owner, row.identity)


def _space_key(space: Space, owner: Owner, row: OwnerUsage | None) -> str:
    if row is None or owner.kind is OwnerKind.HOST:
        return "host" if space.is_host else str(space.inode)
    return owner_key(row)


def _space_name(space: Space) -> str:
    return "host" if space.is_host else f"netns {space.inode}"
