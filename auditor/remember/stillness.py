"""Queues that do not move: since when each holds exactly the bytes it holds."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from auditor.model import QueueUsage
from auditor.remember.room import share_out

_QUEUES_MAX = 20_000
Id = tuple[int, int]


class Still(NamedTuple):
    """What a queue held, since when, in seconds since the epoch, and whether it was ever seen to move."""

    received: int
    sent: int
    since: float
    moved: bool = False


def observe(before: Mapping[Id, Still], queues: Iterable[QueueUsage], now: float) -> dict[Id, Still]:
    """Return the queues as they are now. One that moved by a byte, or is gone, begins anew.

    Of very many some are left out: of them nothing is known.
    """
    queues = tuple(queues)
    followed = share_out(((one.id, one.owner) for one in queues), before, _QUEUES_MAX)
    found: dict[Id, Still] = {}
    for one in queues:
        known = before.get(one.id)
        same = known is not None and (known.received, known.sent) == (one.received, one.sent)
        if one.id in followed:
            found[one.id] = known if same and known else Still(one.received, one.sent, now, moved=known is not None)
    return found
