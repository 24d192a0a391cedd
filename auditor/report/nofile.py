"""Descriptor limits that workloads need, from their peaks and where these lead, and what their runtime would have to give.

Pods have no limit of their own: the container runtime gives one for all. So the setting is what serves every workload of
a pool, and never takes from the hard limit that programs raise theirs to.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from auditor.model.words import count
from auditor.report import shape
from auditor.report.capacity import NO_POOL, Members
from auditor.report.observation import NodeRecord
from auditor.report.window import Window, WorkloadKey, named
from auditor.report.workloads import Part, Parts

LEAST_NOFILE = 1024
_AHEAD_DAYS = 30
_LOWERED = 64  # a soft limit below is a program's own: it wants to open nothing more
_TOO_HIGH = 64  # times what is recommended, and more than a million: loops that close all descriptors take long
_MILLION = 1 << 20
_NR_OPEN = 1 << 20  # fs.nr_open unless somebody set it: no limit can be higher
_NR_OPEN_MAX = 2_147_483_584  # fs/file.c


class _Need(NamedTuple):
    """What a workload needs."""

    peak: int
    ahead: int
    share: Fraction
    wanted: int

    def of(self, part: Part) -> int:
        """Return what it needs on one node, where its peak may be lower: as much more as the trend leads to."""
        held = (part.row.fds_peak or 0) * max(self.ahead, self.peak) * self.share.numerator
        return _wanted(-(-held // (max(1, self.peak) * self.share.denominator)))


def recommend(window: Window, groups: Mapping[str, Members], found: Parts) -> list[shape.Recommendation]:
    """Recommend a limit for each workload that has too little for twice its peak, or far too much."""
    shares = _process_shares(window.reporting)
    needs = {key: _need(window.held[key], shares.get(key, Fraction(1))) for key in found if key in window.held}
    pools = {node.name: pool for pool, group in groups.items() for node in group.nodes}
    runtime = _Runtime(pools, needs, found)
    rows = [one for key, need in needs.items() if (one := _recommendation(key, need, found[key], runtime))]
    return sorted(rows, key=lambda row: Fraction(row.now or 0, max(1, row.peak or 0)))


def forecast(by_day: Mapping[int, int]) -> int:
    """Return where a line through the peaks of each day leads in a month; 0 where there is none, or it falls."""
    if len(by_day) < 2:  # noqa: PLR2004 - a line takes two points
        return 0
    days = Fraction(sum(by_day), len(by_day))
    mean = Fraction(sum(by_day.values()), len(by_day))
    slope = sum((day - days) * (peak - mean) for day, peak in by_day.items()) / sum((day - days) ** 2 for day in by_day)
    return ceil(mean + slope * (max(by_day) + _AHEAD_DAYS - days)) if slope > 0 else 0


def _need(by_day: Mapping[int, int], share: Fraction) -> _Need:
    peak, ahead = max(by_day.values()), forecast(by_day)
    return _Need(peak, ahead, share, _wanted(ceil(max(peak, ahead) * share)))


def _wanted(held: int) -> int:
    """The next power of two that doubles it."""
    least = max(2 * held, LEAST_NOFILE)
    return min(1 << (least - 1).bit_length(), _NR_OPEN_MAX)


def _process_shares(nodes: Iterable[NodeRecord]) -> dict[WorkloadKey, Fraction]:
    """Return how much of its pod's descriptors the fullest process of a workload holds: the limit is a process's."""
    found: dict[WorkloadKey, Fraction] = {}
    for pod in (pod for node in nodes for pod in node.consumers):
        if pod.fds and pod.worst_process_fds is not None:
            kind, _, name = pod.workload.partition("/")
            key, share = (pod.namespace, kind, name), Fraction(min(pod.worst_process_fds, pod.fds), pod.fds)
            found[key] = max(share, found.get(key, share))
    return found


class _Runtime:
    """What the runtime of each pool would have to give, so that it serves all workloads there."""

    def __init__(self, pools: Mapping[str, str], needs: Mapping[WorkloadKey, _Need], found: Parts) -> None:
        self._pools = pools
        self._soft: defaultdict[str, int] = defaultdict(lambda: LEAST_NOFILE)
        self._hard: defaultdict[str, int] = defaultdict(int)
        for key, parts in found.items():
            for node, row in parts:
                pool = pools[node.name]
                if key in needs:
                    self._soft[pool] = max(self._soft[pool], needs[key].wanted)
                known = (row.hard_max, row.soft_max, node.runtime_hard_limit)
                self._hard[pool] = max(self._hard[pool], *(one for one in known if one is not None), 0)

    def serving(self, parts: Iterable[Part]) -> tuple[int, int, list[str]]:
        """Return the soft and the hard limit for where a workload runs, and the pools."""
        pools = sorted({self._pools[part.node.name] for part in parts})
        soft = max(self._soft[pool] for pool in pools)
        return soft, max(soft, _NR_OPEN, *(self._hard[pool] for pool in pools)), pools

    def setting(self, parts: Iterable[Part], wanted: int) -> str:
        """Write it as the runtime's unit takes it."""
        soft, hard, pools = self.serving(parts)
        where = "" if pools == [NO_POOL] else f" on nodes of {named(pools)}"
        present = max(_NR_OPEN, *(self._hard[pool] for pool in pools))
        opened = f", after sysctl -w fs.nr_open={hard} where that is lower" if hard > present else ""
        own = "" if soft == wanted else f" ({count(wanted)} is what this one needs)"
        return (
            f"LimitNOFILE={soft}:{hard} of the container runtime{where}, which serves all workloads there{own}{opened}; then "
            "make the pods anew"
        )


def _recommendation(key: WorkloadKey, need: _Need, parts: list[Part], runtime: _Runtime) -> shape.Recommendation | None:
    known = [part for part in parts if part.row.soft_min is not None and part.row.soft_min >= _LOWERED]
    short = [part for part in known if (part.row.soft_min or 0) < need.of(part)]
    highest = max((part.row.soft_max or 0 for part in known), default=0)
    if short:
        worst = max(short, key=lambda part: Fraction(part.row.fds_peak or 0, part.row.soft_min or 1))
        now = worst.row.soft_min or 0
        buys = f"twice {_held(need)}; on {worst.node.name} a process of it may hold {count(now)}"
    elif highest > _MILLION and highest > _TOO_HIGH * need.wanted and runtime.serving(parts)[0] < highest:
        now = highest
        buys = f"programs that close every descriptor they may have no longer walk {count(highest)} of them"
    else:
        return None
    namespace, kind, name = key
    return shape.Recommendation(
        kind="nofile",
        namespace=namespace,
        workload=f"{kind}/{name}",
        limit="process-fds",
        peak=need.peak,
        now=now,
        recommended=need.wanted,
        setting=runtime.setting(parts, need.wanted),
        buys=buys,
    )


def _held(need: _Need) -> str:
    what = f"the {count(need.peak)} that a pod held at its peak"
    if need.ahead > need.peak:
        what = (
            f"the {count(need.ahead)} that the trend leads to in {_AHEAD_DAYS} days (a pod's peak: {count(need.peak)})"
        )
    if need.share == 1:
        return what
    return f"the {100 * need.share.numerator // need.share.denominator} % that one process has of {what}"
