"""Connections that leave for somewhere outside of every private network: what a NAT in front of the node has ports for.

One that somebody outside made leads there as well but takes none of them: it goes by the client's address without a port.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from auditor.kernel.diag import written
from auditor.kernel.outside import is_outside
from auditor.model import Egress, Gap
from auditor.sweep.dumped import End, Sockets
from auditor.sweep.dumps import Dumps

Holders = tuple[int, ...]


def of_dump(netns: int, sockets: Sockets, holders: Iterable[Holders | None]) -> Iterator[Egress]:
    """Count the TCP sockets of a namespace by where they go and who holds them, who are given in the same order."""
    outside = {index: end for index, end in enumerate(sockets.ends) if end[0] and is_outside(end[1])}
    if outside:
        met = Counter((peer, some) for peer, some in zip(sockets.peers, holders, strict=False) if peer in outside)
        for (peer, some), number in met.items():
            yield _egress(netns, outside[peer], some, number)


def without_descriptor(network: Dumps) -> Iterator[Egress]:
    """Count what no descriptor leads to: TIME_WAIT, and what is closing."""
    nobody = Holders()
    for netns, dump in network.inside.items():
        if dump.tcp:
            sockets = dump.tcp.sockets
            left = Sockets(peers=sockets.peers[:0], ends=sockets.ends)
            left.peers.extend(peer for peer, inode in zip(sockets.peers, sockets.inodes, strict=False) if not inode)
            yield from of_dump(netns, left, (nobody for _ in left.peers))


def of_ends(ends: Iterable[tuple[End, Holders, int]]) -> Iterator[Egress]:
    """Keep the ends outside, each with who holds connections to it and how many."""
    for end, holders, number in ends:
        if end[0] and is_outside(end[1]):
            yield _egress(None, end, holders, number)


def gaps(network: Dumps, *, through_descriptors: bool) -> Iterator[Gap]:
    """Say of how many namespaces it is not known where their connections go.

    Args:
        network: what was found in them.
        through_descriptors: descriptors told it of what they lead to, so that only what has none is missing.
    """
    unknown = sum(inode not in network.inside or network.inside[inode].tcp is None for inode in network.counters)
    if unknown and through_descriptors:
        yield Gap("egress", "network namespaces whose connections in TIME_WAIT outside are not counted", unknown)
    elif unknown:
        detail = "network namespaces whose connections outside are not known"
        yield Gap("egress", detail, unknown, frozenset({"snat-ports"}))


def _egress(netns: int | None, end: End, holders: Holders | None, number: int) -> Egress:
    return Egress(netns, written(end[1]), end[0], holders, number)
