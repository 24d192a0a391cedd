"""The rows of the heat map: pools by limits. The colour repeats what the figures say."""

from collections.abc import Sequence
from html import escape

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import more_pods
from auditor.report.text import ends

LEVELS = ("cool", "warm", "hot")

_HOT, _WARM = 90, 70  # percent


def level(limit: shape.PoolLimit) -> int:
    """Return how near its end a limit is: by its peak, and by the pods it still lets in before the slots end."""
    reached, left = limit.peak_percent or 0, limit.pods_until_limit
    if reached >= _HOT or (limit.is_before_slots and left == 0):
        return 2
    return 1 if reached >= _WARM or limit.is_before_slots else 0


def columns(pools: Sequence[shape.Pool]) -> list[str]:
    """Return the limits, the hottest first; of equals those that end before the slots do."""
    worst: dict[str, tuple[int, bool, int]] = {}
    for limit in (limit for pool in pools for limit in pool.limits):
        rank = level(limit), limit.is_before_slots, limit.peak_percent or 0
        worst[limit.name] = max(rank, worst.get(limit.name, rank))
    return sorted(sorted(worst), key=lambda name: worst[name], reverse=True)


def row(pool: shape.Pool, names: Sequence[str]) -> str:
    """Write one pool."""
    limits = {limit.name: limit for limit in pool.limits}
    more = pool.pods_until_limit
    figure = '<td class="figure unknown" data-sort="-1">?</td>'
    if more is not None:
        figure = f'<td class="figure" data-label="More pods on one node" data-sort="{more}">{count(more)}</td>'
    first = f'<td data-label="Ends first">{escape(ends(pool)) or "?"}</td>'
    cells = "".join(_cell(name, limits.get(name)) for name in names)
    return f'<tr><th scope="row" class="name">{escape(pool.name)}</th>{figure}{first}{cells}</tr>'


def _cell(name: str, limit: shape.PoolLimit | None) -> str:
    label = f'data-label="{escape(name)}"'
    if limit is None:
        return f'<td class="none" {label} data-sort="-1"></td>'
    if limit.peak_percent is None:
        return f'<td class="unknown" {label} data-sort="-1">{escape(limit.state.lower())}</td>'
    left = limit.pods_until_limit
    pods = "" if left is None else f"<small>{more_pods(left) if limit.is_before_slots else 'slots first'}</small>"
    share = min(limit.peak_percent, 100)
    return (
        f'<td class="{LEVELS[level(limit)]}" {label} data-sort="{limit.peak_percent}" '
        f'title="fullest now on {escape(limit.worst_node or "no node")}">'
        f'<span class="bar" style="width:{share}%"></span>{limit.peak_percent} % {pods}</td>'
    )
