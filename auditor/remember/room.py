"""Room for what is remembered: bounded, and shared out, so that an owner with very many things leaves the others theirs."""

from collections import Counter
from collections.abc import Container, Hashable, Iterable
from typing import TypeVar

from auditor.model import Owner

K = TypeVar("K", bound=Hashable)


def share_out(wanted: Iterable[tuple[K, Owner | None]], known: Container[K], most: int) -> set[K]:
    """Choose what to follow.

    Everyone's first comes before anyone's second, and of one owner what is followed already comes before what is new.

    Args:
        wanted: what there is, and whose it is.
        known: what is followed already.
        most: how many there is room for.
    """
    wanted = list(wanted)
    if len(wanted) <= most:
        return {key for key, _ in wanted}
    taken: Counter[Owner | None] = Counter()
    ranked = []
    for number, (key, owner) in enumerate(sorted(wanted, key=lambda one: one[0] not in known)):
        ranked.append((taken[owner], number, key))
        taken[owner] += 1
    ranked.sort(key=lambda one: one[:2])
    return {key for _, _, key in ranked[:most]}
