"""Each workload over the nodes that run it, and the workloads whose descriptor limits are not what they should be."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from auditor.report import shape
from auditor.report.observation import NodeRecord, WorkloadRecord
from auditor.report.window import WorkloadKey

_NAMED_MAX = 3


class Part(NamedTuple):
    """The pods of a workload on one node."""

    node: NodeRecord
    row: WorkloadRecord


Parts = Mapping[WorkloadKey, list[Part]]


def workloads(nodes: Iterable[NodeRecord]) -> Parts:
    """Put together what the nodes say of each workload."""
    found: defaultdict[WorkloadKey, list[Part]] = defaultdict(list)
    for node in nodes:
        for row in node.workloads:
            found[row.namespace, row.kind, row.name].append(Part(node, row))
    return found


def drift(found: Parts) -> list[shape.Drift]:
    """Return the workloads whose processes have different limits, or others than their runtime gives now."""
    soft: list[shape.Drift] = []
    hard: list[shape.Drift] = []
    stale: list[tuple[int, shape.Drift]] = []
    for key, parts in found.items():
        older = list(_older_than_the_runtime(key, parts))
        stale += older
        soft += _uneven("NofileDrift", key, ((part.node.name, part.row.soft_min, part.row.soft_max) for part in parts))
        if not older:  # which is why they differ
            limits = ((part.node.name, part.row.hard_min, part.row.hard_max) for part in parts)
            hard += _uneven("NofileHardDrift", key, limits)
    return [
        *sorted(soft, key=_ratio),
        *sorted(hard, key=_ratio),
        *(row for _, row in sorted(stale, key=lambda one: (-one[0], _name(one[1])))),
    ]


def _uneven(
    rule: shape.DriftRule, key: WorkloadKey, limits: Iterable[tuple[str, int | None, int | None]]
) -> Iterator[shape.Drift]:
    nodes: defaultdict[int, set[str]] = defaultdict(set)
    for node, *both in limits:
        for limit in both:
            if limit is not None:
                nodes[limit].add(node)
    if len(nodes) < 2:  # noqa: PLR2004 - it takes two to differ
        return
    least, most = min(nodes), max(nodes)
    named = {"lowest_on": sorted(nodes[least])[:_NAMED_MAX], "highest_on": sorted(nodes[most])[:_NAMED_MAX]}
    if rule == "NofileHardDrift":
        yield _drift(rule, key, hard_min=least, hard_max=most, **named)
    else:
        yield _drift(rule, key, soft_min=least, soft_max=most, **named)


def _older_than_the_runtime(key: WorkloadKey, parts: Iterable[Part]) -> Iterator[tuple[int, shape.Drift]]:
    """Yield the hard limits that a new container would not get, and on how many nodes."""
    nodes: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    for node, row in parts:
        configured = node.runtime_hard_limit
        for given in (row.hard_min, row.hard_max):
            if given is not None and configured is not None and given != configured:
                nodes[given, configured].add(node.name)
    for (running, configured), names in sorted(nodes.items()):
        on = sorted(names)[:_NAMED_MAX]
        yield len(names), _drift("NofileNotEffective", key, running=running, configured=configured, on=on)


def _drift(rule: shape.DriftRule, key: WorkloadKey, **facts: int | list[str] | None) -> shape.Drift:
    namespace, kind, name = key
    return shape.Drift.model_validate({"rule": rule, "namespace": namespace, "kind": kind, "name": name, **facts})


def _ratio(row: shape.Drift) -> tuple[int, tuple[str, str, str]]:
    """The greatest ratio first."""
    least, most = (row.soft_min, row.soft_max) if row.hard_max is None else (row.hard_min, row.hard_max)
    return -((most or 0) // max(1, least or 0)), _name(row)


def _name(row: shape.Drift) -> tuple[str, str, str]:
    return row.namespace, row.kind, row.name
