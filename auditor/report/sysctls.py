"""Settings of the kernel that would restore a headroom, on the nodes where they are too low, and what each buys."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import NO_POOL, Members, Room, carrying, more_pods, pods_until, rooms
from auditor.report.observation import LimitRecord, NodeRecord
from auditor.report.settings import assignments, largest, setting
from auditor.report.window import named

_LASTS = "takes effect at once; to last: /etc/sysctl.d or the node pool's configuration"


@dataclass(slots=True)
class _Bound:
    """All that one setting binds of one limit, on the nodes of one pool."""

    limit: str
    setting: str
    rows: list[tuple[NodeRecord, LimitRecord]] = field(default_factory=list)
    past: list[LimitRecord] = field(default_factory=list)


class _Need(NamedTuple):
    """The least that a limit should be, and the row that says so."""

    least: int
    row: LimitRecord


def recommend(groups: Mapping[str, Members], pools: Iterable[shape.Pool], headroom: int) -> list[shape.Recommendation]:
    """Recommend a setting for each limit of a pool that has less than `headroom` percent left at its peak, or ends first."""
    ends = {pool.name: {pool.ends_first, *pool.also_ends} for pool in pools}
    found = []
    for pool, group in sorted(groups.items()):
        before = rooms(group.nodes)
        for bound in _bounds(group):
            needs = _lacking(bound, headroom) or (_blocking(bound) if bound.limit in ends[pool] else [])
            if needs and (one := _recommendation(pool, bound, max(needs, key=_least), group.nodes, before)):
                found.append(one)
    return found


def after(nodes: Iterable[NodeRecord], changes: Iterable[shape.Recommendation]) -> dict[str, Room]:
    """Return what fits on each node once these changes are made, all other limits as they are."""
    wanted = {(one.limit, one.parameter): one.recommended for one in changes}

    def changed(row: LimitRecord) -> LimitRecord:
        value = wanted.get((row.name, setting(row.name, row.scope) or ""))
        return row if value is None or row.limit is None else row._replace(limit=max(value, row.limit))

    return rooms(replace(node, limits=[changed(row) for row in node.limits]) for node in nodes)


def gain(before: Mapping[str, Room], then: Mapping[str, Room]) -> str:
    """Say how many more pods a change lets in."""
    if not before:
        return ""
    old, new = min(one.pods for one in before.values()), min(one.pods for one in then.values())
    if new > old:
        return f"room for {more_pods(new)} instead of {count(old)} on the tightest node"
    gained = sum(then[name].pods - one.pods for name, one in before.items())
    return f"room for {more_pods(gained)} over all nodes, though for none on the tightest" if gained else ""


def _bounds(group: Members) -> Iterator[_Bound]:
    found: dict[tuple[str, str], _Bound] = {}
    for node in group.nodes:
        for row in node.limits:
            if name := setting(row.name, row.scope):
                found.setdefault((row.name, name), _Bound(row.name, name)).rows.append((node, row))
    for row in group.past:
        if name := setting(row.name, row.scope):
            found.setdefault((row.name, name), _Bound(row.name, name)).past.append(row)
    for key in sorted(found):
        yield found[key]


def _lacking(bound: _Bound, headroom: int) -> list[_Need]:
    """Return what has too little left. What a node that is gone ran short of, the next one like it may."""
    return [
        _Need(-(-100 * row.most // (100 - headroom)), row)
        for row in (*(row for _, row in bound.rows), *bound.past)
        if row.limit is not None and row.most is not None and 100 * row.most > (100 - headroom) * row.limit
    ]


def _blocking(bound: _Bound) -> list[_Need]:
    """Return what ends before the slots of its node do."""
    return [
        _Need(carrying(row, node.slots), row)
        for node, row in bound.rows
        if node.slots is not None and (fit := pods_until(row)) is not None and fit < node.slots
    ]


def _least(need: _Need) -> int:
    return need.least


def _recommendation(
    pool: str, bound: _Bound, need: _Need, nodes: Sequence[NodeRecord], before: Mapping[str, Room]
) -> shape.Recommendation | None:
    row, wanted = need.row, min(_power(need.least), largest(bound.setting))
    lower = [one for one in bound.rows if one[1].limit is not None and one[1].limit < wanted]
    if not lower and (bound.rows or wanted <= (row.limit or 0)):
        return None  # the nodes of now have enough, or the kernel has no more
    where = _where(pool, bound, lower, wanted, nodes)
    found = shape.Recommendation(
        kind="sysctl",
        pool=pool,
        limit=bound.limit,
        parameter=bound.setting,
        peak=row.most,
        now=row.limit,
        recommended=wanted,
        setting=f"sysctl -w {assignments(bound.setting, wanted)}{where} ({_LASTS})",
        buys="",
    )
    then, peak = after(nodes, [found]), row.most or 0
    left = f"{100 * max(0, wanted - peak) // wanted} % headroom at the peak of {count(peak)}"
    return found.model_copy(
        update={
            "buys": ", and ".join(filter(None, (left, gain(before, then)))),
            "pods_until_limit": min((one.pods for one in then.values()), default=None),
        }
    )


def _where(
    pool: str, bound: _Bound, lower: Iterable[tuple[NodeRecord, LimitRecord]], wanted: int, nodes: Sequence[NodeRecord]
) -> str:
    """Name all nodes of a pool if none of them has more already, else those that have less."""
    enough = {node.name for node, row in bound.rows if row.limit is None or row.limit > wanted}
    if len({node.name for node, _ in bound.rows} - enough) == len(nodes):
        return "" if pool == NO_POOL else f" on {'nodes' if nodes else 'new nodes'} of {pool}"
    fullest = sorted(lower, key=lambda one: (-(one[1].peak_percent or 0), one[0].name))
    return f" on {named(list(dict.fromkeys(node.name for node, _ in fullest)))}, where it is lower"


def _power(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()
