"""Three sentences that a manager can repeat: what ends first and when, what to change, and how much of it is known."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from auditor.model.words import count
from auditor.report import shape, sysctls
from auditor.report.capacity import NO_POOL, SLOTS, Members, more_pods, rooms

HOT = 90
"""Percent of a limit from which it is worth a word though nobody knows what a pod takes of it."""

_NAMED_MAX = 3


def sentences(
    found: Sequence[shape.Pool],
    nodes: shape.Nodes,
    recommendations: Sequence[shape.Recommendation],
    groups: Mapping[str, Members],
) -> Iterator[str]:
    """Yield them; of no node there is only one."""
    if not nodes.total:
        yield "No node was found."
        return
    first = next((pool for pool in found if pool.pods_until_limit is not None), None)
    hot = sorted(_hot(found), key=lambda row: (-(row[1].peak_percent or 0), row[0].name, row[1].name))
    yield _what_ends(found, first, nodes, hot)
    yield from _what_to_change(first, recommendations, groups, hot)
    yield _who_reported(nodes, sum(pool.unknown_nodes for pool in found))


def _hot(found: Iterable[shape.Pool]) -> Iterator[tuple[shape.Pool, shape.PoolLimit]]:
    for pool in found:
        for limit in pool.limits:
            if limit.pods_until_limit is None and (limit.peak_percent or 0) >= HOT:
                yield pool, limit


def _what_ends(
    found: Sequence[shape.Pool],
    first: shape.Pool | None,
    nodes: shape.Nodes,
    hot: Sequence[tuple[shape.Pool, shape.PoolLimit]],
) -> str:
    if first is not None:
        tied = [pool for pool in found if pool.pods_until_limit == first.pods_until_limit]
        after = f"after {more_pods(first.pods_until_limit or 0)} on {first.tightest_node}"
        subject = _subject(first)
        said = f"{subject[0].upper()}{subject[1:]} runs out of {_ends(first)} first, {after}"
        if len(tied) > 1:
            others = [f"{_subject(pool)} ({_ends(pool)})" for pool in tied[1:]]
            said += f"; just as soon {_listed(others, 'pools')}"
    elif not nodes.reporting:
        said = "How many more pods fit is unknown: no node reported in time"
    else:
        said = "How many more pods fit is unknown: no node says what a pod takes of its limits"
    if hot:
        where: dict[str, str] = {}
        for pool, limit in hot:
            where.setdefault(limit.name, f"{limit.name} of {_subject(pool)} ({limit.peak_percent} %)")
        limits = list(where.values())
        said += f"; what pods take of {_listed(limits, 'limits')} is unknown"
    return f"{said}."


def _what_to_change(
    first: shape.Pool | None,
    recommendations: Sequence[shape.Recommendation],
    groups: Mapping[str, Members],
    hot: Sequence[tuple[shape.Pool, shape.PoolLimit]],
) -> Iterator[str]:
    ends = set() if first is None else {first.ends_first, *first.also_ends}
    changes = [one for one in recommendations if first is not None and one.pool == first.name and one.limit in ends]
    if not changes:
        of_hot = ((pool.name, limit.name) for pool, limit in hot)
        changes = [one for key in of_hot for one in recommendations if (one.pool, one.limit) == key][:1]
    if len(changes) == 1:
        yield f"{changes[0].command} buys {changes[0].buys}."
    elif changes and first is not None:
        members = groups[first.name].nodes
        gained = sysctls.gain(rooms(members), sysctls.after(members, changes))
        settings = "; ".join(one.command for one in changes)
        yield f"{settings}: together they buy {gained or 'headroom, though room for no more pods'}."
    elif first is not None and first.ends_first == SLOTS:
        yield f"More pods than that take another node, or a higher maxPods of the kubelet{_next(first)}."
    elif first is not None:
        yield f"No setting that is known here raises {first.ends_first}: see what takes most of it."


def _next(pool: shape.Pool) -> str:
    """Say which limit follows the slots."""
    following = [limit for limit in pool.limits if limit.pods_until_limit_alone is not None]
    if not following:
        return ""
    least = min(following, key=lambda limit: limit.pods_until_limit_alone or 0)
    return f"; {least.name} is next, after {more_pods(least.pods_until_limit_alone or 0)}"


def _who_reported(nodes: shape.Nodes, unknown: int) -> str:
    silent = len(nodes.stale) + len(nodes.missing)
    verdicts = ", ".join(f"{count(number)} {verdict}" for verdict, number in nodes.verdicts.items())
    if nodes.total == nodes.reporting == 1:
        verdicts = next(iter(nodes.verdicts))
    of_what = "1 node" if nodes.total == 1 else f"{count(nodes.total)} nodes"
    if silent:
        said = f"{count(silent)} of {of_what} did not report in time, and {'are' if silent > 1 else 'is'} in no figure"
        said += f"; the others say: {verdicts}" if verdicts else ""
    else:
        said = f"{'The one node' if nodes.total == 1 else f'All {of_what}'} reported: {verdicts}"
    return f"{said}; of {count(unknown)} it is unknown how many more pods fit." if unknown else f"{said}."


def _subject(pool: shape.Pool) -> str:
    return "the cluster" if pool.name == NO_POOL else f"pool {pool.name}"


def _ends(pool: shape.Pool) -> str:
    names = [name for name in (pool.ends_first, *pool.also_ends) if name]
    return _listed(["pod slots" if name == SLOTS else name for name in names], "limits")


def _listed(names: Sequence[str], of_what: str) -> str:
    """Write `a`, `a and b`, `a, b, c and 4 more limits`."""
    shown, more = list(names[:_NAMED_MAX]), len(names) - _NAMED_MAX
    if more > 0:
        shown.append(f"{count(more)} more {of_what}")
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
