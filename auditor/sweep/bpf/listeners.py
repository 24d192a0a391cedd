"""Addresses that are listened on, and sockets with more to tell: queues that may be stuck, datagrams that were dropped."""

import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator

from auditor.kernel.bpf import records
from auditor.kernel.bpf.records import Held, PortKey
from auditor.kernel.diag import short_address, unix_name, written
from auditor.model import Dropping, Listener, Peer, Queueing, TcpState
from auditor.sweep.bpf.holdings import Holders, Holdings
from auditor.sweep.bpf.memory import Heard, Memory


def take(holdings: Holdings, memory: Memory) -> tuple[Listener, ...]:
    """Put together the sockets of each address that is listened on."""
    at_port: defaultdict[PortKey, list[Held]] = defaultdict(list)
    found = []
    for one in holdings.listening:
        if one.socket == records.TCP:
            at_port[one.netns, one.port, one.family].append(one)
        else:
            path = unix_name(holdings.seen.names.get(one.file, b""))
            found.append(Listener(one.netns, "unix", path, 0, holdings.holders(one.file), one.queue, one.backlog))
    found += _tcp(at_port.items(), _accepted(holdings), holdings.holders, memory)
    return tuple(found)


def _accepted(holdings: Holdings) -> Counter[PortKey]:
    """Count established connections by the port that took them in. The programs count what is held once only."""
    accepted = Counter(holdings.seen.connections)
    for one in holdings.shared_tcp_udp:
        if one.state == TcpState.ESTABLISHED:
            port = one.netns, one.port, one.family
            if port in accepted:
                accepted[port] += 1
    return accepted


def _tcp(
    at_port: Iterable[tuple[PortKey, list[Held]]],
    accepted: Counter[PortKey],
    holders_of: Callable[[int], Holders],
    memory: Memory,
) -> Iterator[Listener]:
    before, now = memory.heard, dict[int, Heard]()
    for port, several in at_port:
        number = accepted.get(port)
        if len(several) > 1:
            addresses = _by_address(several)
            if len(addresses) > 1:
                number = None  # their connections were counted together
            yield from (_listener(alike, holders_of, number) for alike in addresses)
            continue
        (one,) = several
        known, holders = before.get(one.file), holders_of(one.file)
        if known is None or known[:3] != (one, holders, number):
            known = Heard(one, holders, number, _listener(several, holders_of, number))
        now[one.file] = known
        yield known.listener
    memory.heard = now


def _by_address(several: Iterable[Held]) -> list[list[Held]]:
    """Put together the listeners of one port that share an address (SO_REUSEPORT)."""
    alike: defaultdict[tuple[int, bytes], list[Held]] = defaultdict(list)
    for one in several:
        alike[one.protocol, one.address].append(one)
    return list(alike.values())


def _listener(alike: list[Held], holders_of: Callable[[int], Holders], accepted: int | None) -> Listener:
    """Return what the sockets of one address are together."""
    fullest = max(alike, key=lambda one: (one.queue / (one.backlog + 1), one.queue))
    queued = sum(one.queue for one in alike)
    return Listener(
        fullest.netns,
        "mptcp" if fullest.protocol == socket.IPPROTO_MPTCP else "tcp",
        written(short_address(fullest.family, fullest.address)),
        fullest.port,
        tuple(sorted({pid for one in alike for pid in holders_of(one.file)})),
        fullest.queue,
        fullest.backlog,
        None if accepted is None else accepted + queued,
        sum(one.drops for one in alike),
    )


def heard(holdings: Holdings, netns: Container[int]) -> set[tuple[int, bytes, int]]:
    """Return the addresses that are listened on in some namespaces: namespace, address, port."""
    return {
        (one.netns, short_address(one.family, one.address), one.port)
        for one in holdings.listening
        if one.netns in netns and one.socket == records.TCP
    }


def queueing(holdings: Holdings) -> tuple[Queueing, ...]:
    """Return the TCP sockets with much in their queues."""
    return tuple(
        Queueing(
            one.netns,
            one.file,
            one.port,
            Peer(written(short_address(one.family, one.address)), one.peer_port, 1),
            one.queue,
            one.backlog,
            holdings.holders(one.file),
        )
        for one in holdings.queueing
    )


def dropping(holdings: Holdings) -> tuple[Dropping, ...]:
    """Return the UDP sockets that have dropped datagrams."""
    return tuple(
        Dropping(
            one.netns,
            written(short_address(one.family, one.address)),
            one.port,
            holdings.holders(one.file),
            one.drops,
        )
        for one in holdings.dropping
    )
