"""Ephemeral ports: how many of them a namespace has left for one more connection to where most of them go.

connect(2) takes a local port that no other connection to the same peer has, and that nobody called bind(2) for
(`__inet_hash_connect`). A program that binds its source first takes one that no other socket of that address has,
whatever its peer (`inet_csk_find_open_port`), unless it sets IP_BIND_ADDRESS_NO_PORT. UDP takes one that no UDP socket has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from auditor.kernel import diag
from auditor.kernel.procfs.port_range import PortRange
from auditor.model import PortUse, TcpState
from auditor.sweep.dumped import End

LEAST_SHARE = 0.25
"""Of the range that a namespace's sockets must reach before anybody asks where they go."""

_Destinations = defaultdict[End, set[int]]

_DESTINATIONS_MAX = 5
_TIME_WAIT_MS = 60_000  # TCP_TIMEWAIT_LEN, include/net/tcp.h
_REUSABLE_AFTER_MS = 1_000  # net.ipv4.tcp_tw_reuse_delay, fixed before Linux 6.14
_LOOPBACK = (b"\x7f", bytes(15) + b"\x01")
_COINCIDENCES = 5.0  # expected; fewer say nothing
_CLOSED, _LISTEN, _TIME_WAIT = int(TcpState.CLOSE), int(TcpState.LISTEN), int(TcpState.TIME_WAIT)


def reach(sockets: int, ports: PortRange) -> bool:
    """Whether so many sockets may take enough of the range, or of one that some have for themselves, to look where they go."""
    return sockets >= LEAST_SHARE * min([ports.size, *(own.size for own in ports.own)])


def reach_udp(sockets: int, ports: PortRange) -> bool:
    """The same of UDP."""
    return sockets >= LEAST_SHARE * ports.size


def bound(netns: int, sockets: int, ports: PortRange) -> PortUse:
    """Say what a namespace takes at most, going by the number of its sockets alone."""
    return PortUse(netns, "tcp", sockets, ports.size, at_most=True)


def of_tcp(netns: int, rows: Collection[diag.InetRow], ports: PortRange) -> tuple[PortUse, ...]:
    """Return the destinations that take the most ports, or one use without a destination where nothing goes out.

    Of a range that single sockets have, other sockets may take ports as well, so it is looked at like any other.

    Args:
        netns: inode of the namespace.
        rows: all its TCP sockets.
        ports: its range.
    """
    own = ((one, of_tcp(netns, rows, one)) for one in ports.own)
    narrower = [replace(use, own_range=(one.low, one.high)) for one, uses in own for use in uses if use.address]
    return (*_of_range(netns, rows, ports), *narrower)


def _of_range(netns: int, rows: Iterable[diag.InetRow], ports: PortRange) -> tuple[PortUse, ...]:
    listening: set[int] = set()
    taken: defaultdict[bytes, _Destinations] = defaultdict(lambda: _Destinations(set))
    waiting: defaultdict[tuple[bytes, End | None], set[int]] = defaultdict(set)
    giving_way: defaultdict[bytes, set[int]] = defaultdict(set)
    for family, state, local, remote, source, peer, _, left, _, _, _ in rows:
        port = int.from_bytes(local, "big")
        if port not in ports or state == _CLOSED:
            continue
        if state == _LISTEN:
            listening.add(port)
            continue
        here, there = diag.short_address(family, source), diag.short_address(family, peer)
        if state == _TIME_WAIT and _gives_way(left, there, here, ports.reuse):
            giving_way[here].add(port)
        else:
            end = int.from_bytes(remote, "big"), there
            taken[here][end].add(port)
            if state == _TIME_WAIT:
                waiting[here, end].add(port)
                waiting[here, None].add(port)
    found: list[tuple[int, bytes, End | None]] = []
    for here, destinations in taken.items():
        if _binds_first(destinations.values(), ports.size):
            used = set[int]().union(listening, giving_way[here], *destinations.values())
            found.append((len(used), here, None))
        # What is local to a port that is listened on is the other end of what is accepted there.
        found += [(len(used | listening), here, end) for end, used in destinations.items() if not used <= listening]
    found.sort(key=lambda use: use[0], reverse=True)
    return tuple(
        PortUse(
            netns,
            "tcp",
            used,
            ports.size,
            source=diag.written(here),
            address=end and diag.written(end[1]),
            port=end and end[0],
            time_wait=len(waiting[here, end]),
            reuse=ports.reuse,
        )
        for used, here, end in found[:_DESTINATIONS_MAX]
    ) or (PortUse(netns, "tcp", len(listening), ports.size),)


def of_udp(netns: int, rows: Iterable[diag.InetRow], ports: PortRange) -> tuple[PortUse, ...]:
    """Count the ports that UDP sockets have: each is taken for all destinations."""
    used = {port for row in rows if (port := int.from_bytes(row[2], "big")) in ports}
    return (PortUse(netns, "udp", len(used), ports.size),)


def _gives_way(left: int, address: bytes, source: bytes, reuse: int) -> bool:
    """Whether connect(2) may take over the port of a connection in TIME_WAIT that has so many milliseconds left."""
    if reuse == 0 or left > _TIME_WAIT_MS - _REUSABLE_AFTER_MS:
        return False
    return reuse == 1 or address.startswith(_LOOPBACK) or source.startswith(_LOOPBACK)


def _binds_first(destinations: Collection[set[int]], size: int) -> bool:
    """Whether the program binds its source before it connects: then no two destinations share a port.

    Else they share them as often as chance has it.
    """
    if not size:
        return False
    numbers = [len(used) for used in destinations]
    expected = (sum(numbers) ** 2 - sum(number**2 for number in numbers)) / 2 / size
    shared = sum(numbers) - len(set[int]().union(*destinations))
    return expected >= _COINCIDENCES and shared < expected / 4
