"""Who fills a table of tracked connections: a sample, taken once it is half full."""

import socket
import time
from collections import Counter
from collections.abc import Iterable

from auditor.kernel import conntrack
from auditor.kernel.conntrack import STATES, Flow
from auditor.kernel.diag import written
from auditor.model import Flows, Limit
from auditor.sweep.losses import Losses
from auditor.sweep.memory import Memory

LEAST_SHARE = 0.5
"""Of its maximum that a table holds before anybody looks into it."""

_SAMPLE = 16_384  # a share of 10 % is right to half a point
_PATIENCE_SECONDS = 300.0  # for which a sample is as good as a new one
_DESTINATIONS_MAX = 5
_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_ICMP: "icmp"}


def near(entries: int | None, maximum: Limit) -> bool:
    """Whether a table is full enough to look into it."""
    return entries is not None and isinstance(maximum, int) and entries >= LEAST_SHARE * maximum


def look(netns: int, memory: Memory, losses: Losses) -> Flows | None:
    """Sample what the calling thread's namespace tracks, unless that was done minutes ago."""
    known = memory.flows.get(netns)
    if known and time.monotonic() - known[0] < _PATIENCE_SECONDS:
        return known[1]
    rows = losses.attempt("tracked connections", lambda: conntrack.dump(_SAMPLE))
    if rows is None:
        return None
    found = summed(rows)
    memory.flows[netns] = (time.monotonic(), found)
    return found


def summed(rows: Iterable[Flow]) -> Flows:
    """Count them by who, whom and how. All ends are kept: a pod with very many peers has each of them once or twice."""
    rows = [row for row in rows if row.source and row.answering]
    names = {address: written(address) for row in rows for address in (row.source, row.answering)}
    ends = Counter((names[row.source], names[row.answering]) for row in rows)
    destinations = Counter((row.destination, row.port, row.protocol) for row in rows)
    states = Counter(_state(row) for row in rows)
    return Flows(
        sampled=len(rows),
        ends=tuple((one, other, number) for (one, other), number in ends.items()),
        destinations=tuple(
            (written(address), port, _protocol(protocol), number)
            for (address, port, protocol), number in destinations.most_common(_DESTINATIONS_MAX)
        ),
        states=tuple(states.most_common()),
    )


def _state(row: Flow) -> str:
    if row.state is None:
        return _protocol(row.protocol)
    return STATES[row.state] if row.state < len(STATES) else str(row.state)


def _protocol(number: int) -> str:
    return _PROTOCOLS.get(number, str(number))
