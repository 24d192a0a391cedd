"""How many more pods fit, and what ends first: per node, limit and pool. Whole numbers throughout."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from auditor.model.words import count
from auditor.report import shape
from auditor.report.observation import LimitRecord, NodeRecord
from auditor.report.window import Window

SLOTS = "pods"
"""What ends first where the scheduler has no slot left."""

_USABLE_TENTHS = 9  # of a limit are planned with
_TIGHTEST_MAX = 3
NO_POOL = "(none)"


class Room(NamedTuple):
    """Pods that fit on one node, and what sets that: limits, or the slots where none is as tight."""

    pods: int
    ends: tuple[str, ...]


@dataclass(slots=True)
class Members:
    """The nodes of a pool: those that report, and those that are gone."""

    nodes: list[NodeRecord] = field(default_factory=list)
    gone: list[NodeRecord] = field(default_factory=list)

    @property
    def past(self) -> list[LimitRecord]:
        """Limits of nodes that are gone, and in scopes that nodes do not name any more."""
        return [row for node in self.gone for row in (*node.limits, *node.past)] + [
            row for node in self.nodes for row in node.past
        ]


def members(window: Window, labels: Iterable[str]) -> dict[str, Members]:
    """Group the nodes by the value of the first of these labels that each has. Stale nodes are in none of the pools."""
    keys = tuple(labels)
    found: defaultdict[str, Members] = defaultdict(Members)
    for one in window.reporting:
        found[pool_of(one, keys)].nodes.append(one)
    for one in window.gone:
        if one.observed_at is not None:
            found[pool_of(one, keys)].gone.append(one)
    return dict(found)


def pool_of(node: NodeRecord, keys: Iterable[str]) -> str:
    """Name the pool of a node."""
    return next((value for key in keys if (value := node.labels.get(key))), NO_POOL)


def pods_until(row: LimitRecord) -> int | None:
    """Return how many more pods of the greater sort a limit carries: floor((0.9 limit - peak) / p90).

    `None`: it sets no bound, or the figures are unknown.
    """
    if row.limit is None or not row.share or row.most is None:
        return None
    return max(0, (_USABLE_TENTHS * row.limit - 10 * row.most) // (10 * row.share))


def carrying(row: LimitRecord, pods: int) -> int:
    """Return the least limit that carries so many more pods."""
    return -(-10 * ((row.most or 0) + pods * (row.share or 0)) // _USABLE_TENTHS)


def room(node: NodeRecord) -> Room | None:
    """Return what fits on a node; `None` where neither slots nor shares are known."""
    fits = [(fit, row.name) for row in node.limits if (fit := pods_until(row)) is not None]
    least = min((fit for fit, _ in fits), default=None)
    slots = node.slots
    # Of equals the limit is named: it can be changed.
    if least is not None and (slots is None or least <= slots):
        return Room(least, tuple(dict.fromkeys(name for fit, name in fits if fit == least)))
    return None if slots is None else Room(slots, (SLOTS,))


def rooms(nodes: Iterable[NodeRecord]) -> dict[str, Room]:
    """Return what fits, by the name of a node."""
    return {node.name: one for node in nodes if (one := room(node)) is not None}


def pools(groups: Mapping[str, Members]) -> list[shape.Pool]:
    """Measure each group, the tightest first."""
    found = [_pool(name, group) for name, group in groups.items()]
    return sorted(found, key=lambda one: (_or_last(one.pods_until_limit), one.name))


def _pool(name: str, group: Members) -> shape.Pool:
    known, past = rooms(group.nodes), group.past
    tightest = min(known, key=lambda node: (known[node].pods, node), default=None)
    least = known[tightest].pods if tightest else None
    ends = dict.fromkeys(end for node in sorted(known) if known[node].pods == least for end in known[node].ends)
    first = known[tightest].ends[0] if tightest else None
    counted = [node.pods for node in group.nodes if node.pods is not None]
    names = dict.fromkeys(row.name for row in (*(row for node in group.nodes for row in node.limits), *past))
    limits = [_limit(limit, group.nodes, [row for row in past if row.name == limit]) for limit in names]
    return shape.Pool(
        name=name,
        nodes=len(group.nodes),
        pods=sum(counted) if counted or not group.nodes else None,
        pods_unknown_nodes=len(group.nodes) - len(counted),
        pods_until_limit=least,
        pods_until_limit_sum=sum(one.pods for one in known.values()) if known else None,
        ends_first=first,
        also_ends=[end for end in ends if end not in {first, SLOTS}],
        tightest_node=tightest,
        unknown_nodes=len(group.nodes) - len(known),
        limits=sorted(limits, key=lambda one: (_or_last(one.pods_until_limit), -(one.peak_percent or 0), one.name)),
    )


class _Use(NamedTuple):
    """One limit on one node: its fullest scope, its peak in all of them, and the pods that it alone lets in."""

    node: NodeRecord
    row: LimitRecord
    peak_percent: int | None
    alone: int | None

    @property
    def fit(self) -> int | None:
        """Pods that it lets in, within the free slots."""
        slots = self.node.slots
        return self.alone if self.alone is None or slots is None else min(self.alone, slots)

    @property
    def is_before_slots(self) -> bool:
        """Whether it ends before the slots do, or with them."""
        return self.alone is not None and self.alone == self.fit


def _limit(name: str, nodes: Iterable[NodeRecord], past: Iterable[LimitRecord]) -> shape.PoolLimit:
    uses = [use for node in nodes if (use := _use(name, node)) is not None]
    judged = [use for use in uses if use.row.state == "Known"]
    worst = max(judged, key=_fullness, default=None)
    reached = [use.peak_percent for use in uses if use.peak_percent is not None]
    before = [one for row in past if (one := row.peak_percent) is not None]
    return shape.PoolLimit(
        name=name,
        worst_node=worst.node.name if worst else None,
        scope=worst.row.scope if worst else None,
        used=worst.row.used if worst else None,
        limit=worst.row.limit if worst else None,
        state="Known" if worst else "Unlimited" if {use.row.state for use in uses} == {"Unlimited"} else "Unknown",
        percent=worst.row.percent if worst else None,
        peak_percent=max([*reached, *before], default=None),
        pods_until_limit=min((use.fit for use in uses if use.fit is not None), default=None),
        pods_until_limit_alone=min((use.alone for use in uses if use.alone is not None), default=None),
        is_before_slots=any(use.is_before_slots for use in uses),
        spread=_spread(reached),
        tightest=[
            shape.Tight(node=use.node.name, percent=use.row.percent, pods_until_limit=use.fit)
            for use in sorted(uses, key=lambda use: (_or_last(use.fit), -(use.row.percent or 0), use.node.name))[
                :_TIGHTEST_MAX
            ]
        ],
    )


def _use(name: str, node: NodeRecord) -> _Use | None:
    rows = [row for row in node.limits if row.name == name]
    if not rows:
        return None
    return _Use(
        node,
        max(rows, key=lambda row: (row.state == "Known", _or_none(row.percent), _or_none(row.peak_percent))),
        max((one for row in rows if (one := row.peak_percent) is not None), default=None),
        min((fit for row in rows if (fit := pods_until(row)) is not None), default=None),
    )


def _fullness(use: _Use) -> tuple[int, int]:
    return _or_none(use.row.percent), _or_none(use.peak_percent)


def _spread(reached: Sequence[int]) -> list[int]:
    tenths = [0] * 11
    for one in reached:
        tenths[min(one // 10, 10)] += 1
    return tenths


def more_pods(number: int) -> str:
    """Write `14 more pods`."""
    return f"{count(number)} more {'pod' if number == 1 else 'pods'}"


def _or_last(figure: int | None) -> int:
    return 1 << 62 if figure is None else figure


def _or_none(figure: int | None) -> int:
    return -1 if figure is None else figure
