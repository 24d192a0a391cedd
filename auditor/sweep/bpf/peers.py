"""The other ends of a task's connections, as the programs count them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from auditor.kernel.bpf import records
from auditor.kernel.bpf.layout import layout
from auditor.kernel.diag import short_address, written
from auditor.kernel.outside import is_outside
from auditor.model import Peer, TcpState

Met = tuple[int, int, int, int, bytes]
"""State of connections with the same other end, how many they are; its family, port and address."""

_PEERS_MAX = 3


def unpacked(packed: bytes) -> Iterator[Met]:
    """Take apart what the programs counted of one task."""
    for address, state, family, port, number in layout(records.Peer).iter_unpack(packed):
        yield state, number, family, port, address


def most_by_state(packed: bytes, *, all_outside: bool) -> Mapping[int, tuple[Peer, ...]]:
    """Return the most frequent other ends of the connections of one task.

    Args:
        packed: what the programs counted of it.
        all_outside: whether each connection to an address outside was counted, and not only a sample.
    """
    several: defaultdict[int, list[Met]] = defaultdict(list)
    for one in unpacked(packed):
        several[one[0]].append(one)
    return {state: _most(some, all_outside) for state, some in several.items()}


def _most(met: list[Met], all_outside: bool) -> tuple[Peer, ...]:  # noqa: FBT001 - as below
    if len({family for _, _, family, _, _ in met}) > 1:
        met = _joined(met)
    return tuple(_peer(*one, all_outside) for one in sorted(met, reverse=True)[:_PEERS_MAX])


def _joined(met: Iterable[Met]) -> list[Met]:
    """Add up what is the same end: IPv4, and the same written as IPv6."""
    several: dict[tuple[int, bytes], Met] = {}
    for state, number, family, port, address in met:
        end = port, short_address(family, address)
        several[end] = state, number + (several[end][1] if end in several else 0), family, port, address
    return list(several.values())


@lru_cache(maxsize=2048)
def _peer(state: int, number: int, family: int, port: int, packed: bytes, all_outside: bool) -> Peer:  # noqa: FBT001, PLR0913, PLR0917 - for the cache
    """As the programs count: of established connections a sample, but of those begun here to outside all, if asked for."""
    address = short_address(family, packed)
    all_of_them = state != TcpState.ESTABLISHED or (all_outside and port != 0 and is_outside(address))
    return Peer(written(address), port or None, number, 1 if all_of_them else records.EVERY)
