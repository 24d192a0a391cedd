"""How many more pods fit, and what ends first: per node, limit and pool. Whole numbers throughout."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from auditor.model.words import count
from auditor.report import shape
from auditor.report.observation import LimitRecord, NodeRecord, percent
from auditor.report.window import Key, Window

SLOTS = "pods"
"""What ends first where the scheduler has no slot left."""

_USABLE_TENTHS = 9  # of a limit are planned with
_TIGHTEST_MAX = 3
NO_POOL = "(none)"


class Room(NamedTuple):
    """Pods that fit on one node, and what sets that."""

    pods: int
    ends_first: str


def pods_until(row: LimitRecord, peak: int | None, slots: int | None) -> int | None:
    """Return how many more pods of the greater sort a limit carries: floor((0.9 limit - peak) / p90), within the free slots.

    `None`: it sets no bound, or the figures are unknown.
    """
    if row.limit is None or not row.share or peak is None:
        return None
    fit = max(0, (_USABLE_TENTHS * row.limit - 10 * peak) // (10 * row.share))
    return fit if slots is None else min(fit, slots)


def room(node: NodeRecord, peaks: Mapping[Key, int]) -> Room | None:
    """Return what fits on a node; `None` where neither slots nor shares are known."""
    slots = node.slots
    found = [] if slots is None else [Room(slots, SLOTS)]
    for row in node.limits:
        fit = pods_until(row, peaks.get((node.name, row.name, row.scope)), None)
        if fit is not None:
            found.append(Room(fit, row.name))
    # Of equals the limit is named: it can be changed.
    return min(found, key=lambda one: (one.pods, one.ends_first == SLOTS), default=None)


def pools(window: Window, label: Iterable[str]) -> list[shape.Pool]:
    """Group the nodes and measure each group. Stale nodes are in none of the figures.

    Args:
        window: the nodes.
        label: keys of labels, of which the first that a node has names its pool.
    """
    keys = tuple(label)
    groups: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    gone: defaultdict[str, list[NodeRecord]] = defaultdict(list)
    for one in window.reporting:
        groups[pool_of(one, keys)].append(one)
    for one in window.gone:
        gone[pool_of(one, keys)].append(one)
    found = [_pool(name, groups.get(name, []), gone.get(name, []), window.peaks) for name in {*groups, *gone}]
    return sorted(found, key=lambda one: (_or_last(one.pods_until_limit), one.name))


def pool_of(node: NodeRecord, keys: Iterable[str]) -> str:
    """Name the pool of a node."""
    return next((value for key in keys if (value := node.labels.get(key))), NO_POOL)


def _pool(name: str, nodes: list[NodeRecord], gone: list[NodeRecord], peaks: Mapping[Key, int]) -> shape.Pool:
    rooms = {node.name: room(node, peaks) for node in nodes}
    known = {node: one for node, one in rooms.items() if one is not None}
    tightest = min(known, key=lambda node: (known[node].pods, node), default=None)
    counted = [node.pods for node in nodes if node.pods is not None]
    names = dict.fromkeys(row.name for node in (*nodes, *gone) for row in node.limits)
    limits = [_limit(limit, nodes, gone, peaks) for limit in names]
    return shape.Pool(
        name=name,
        nodes=len(nodes),
        pods=sum(counted) if counted or not nodes else None,
        pods_until_limit=known[tightest].pods if tightest else None,
        pods_until_limit_sum=sum(one.pods for one in known.values()) if known else None,
        ends_first=known[tightest].ends_first if tightest else None,
        tightest_node=tightest,
        unknown_nodes=len(nodes) - len(known),
        limits=sorted(limits, key=lambda one: (_or_last(one.pods_until_limit), -(one.peak_percent or 0), one.name)),
    )


class _Use(NamedTuple):
    """The fullest scope of one limit on one node."""

    node: str
    row: LimitRecord
    percent: int | None
    peak: int | None
    fit: int | None


def _limit(name: str, nodes: list[NodeRecord], gone: list[NodeRecord], peaks: Mapping[Key, int]) -> shape.PoolLimit:
    uses = [use for node in nodes if (use := _use(name, node, peaks)) is not None]
    past = [use.peak for node in gone if (use := _use(name, node, peaks)) is not None and use.peak is not None]
    judged = [use for use in uses if use.percent is not None]
    worst = max(judged, key=lambda use: (use.percent or 0, use.peak or 0), default=None)
    fits = [use for use in uses if use.fit is not None]
    reached = [use.peak for use in uses if use.peak is not None]
    states = {use.row.state for use in uses} - {"Known"}
    return shape.PoolLimit(
        name=name,
        worst_node=worst.node if worst else None,
        scope=worst.row.scope if worst else None,
        used=worst.row.used if worst else None,
        limit=worst.row.limit if worst else None,
        state="Known" if worst else "Unlimited" if states == {"Unlimited"} else "Unknown",
        percent=worst.percent if worst else None,
        peak_percent=max([*reached, *past], default=None),
        pods_until_limit=min((use.fit for use in fits if use.fit is not None), default=None),
        spread=_spread(reached),
        tightest=[
            shape.Tight(node=use.node, percent=use.percent, pods_until_limit=use.fit)
            for use in sorted(uses, key=lambda use: (_or_last(use.fit), -(use.percent or 0), use.node))[:_TIGHTEST_MAX]
        ],
    )


def _use(name: str, node: NodeRecord, peaks: Mapping[Key, int]) -> _Use | None:
    rows = [row for row in node.limits if row.name == name]
    if not rows:
        return None
    fullest = max(rows, key=lambda row: -1 if row.percent is None else row.percent)
    most = [(peaks.get((node.name, row.name, row.scope)), row) for row in rows]
    reached = [one for peak, row in most if (one := percent(peak, row.limit)) is not None]
    fits = [fit for peak, row in most if (fit := pods_until(row, peak, node.slots)) is not None]
    return _Use(node.name, fullest, fullest.percent, max(reached, default=None), min(fits, default=None))


def _spread(reached: Iterable[int]) -> list[int]:
    tenths = [0] * 11
    for one in reached:
        tenths[min(one // 10, 10)] += 1
    return tenths


def more_pods(number: int) -> str:
    """Write `14 more pods`."""
    return f"{count(number)} more {'pod' if number == 1 else 'pods'}"


def _or_last(figure: int | None) -> int:
    return 1 << 62 if figure is None else figure
