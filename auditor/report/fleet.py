"""From many nodes to one report. Pure: the clock is passed in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nlargest

from auditor.model.words import count
from auditor.publish.when import timestamp
from auditor.report import advice, shape
from auditor.report.capacity import NO_POOL, SLOTS, more_pods, pools
from auditor.report.observation import SEVERITIES, VERDICTS, NodeRecord
from auditor.report.window import Window

POOL_LABELS = (
    "node.kubernetes.io/pool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
)
"""As the common providers name the pool of a node; the first that a node has counts."""

_ROWS = 20
_DRIFT_ROWS = 200
_GREW = 2  # times what a workload held before


def build(  # noqa: PLR0913 - the report is made of these
    window: Window,
    *,
    generated_at: float,
    sources: Sequence[str],
    by: str | None = None,
    headroom: int = 50,
    since: Window | None = None,
) -> shape.Report:
    """Write the report.

    Args:
        window: the nodes.
        generated_at: seconds since the epoch.
        sources: where it comes from, for a person.
        by: key of the label that names the pool of a node; `None`: the providers' own.
        headroom: percent of each limit that should be left at its peak.
        since: an earlier window to compare with.
    """
    labels = POOL_LABELS if by is None else (by,)
    found = pools(window, labels)
    workloads = advice.workloads(window.reporting)
    recommendations = [*advice.sysctls(window, labels, headroom), *advice.nofile(workloads)]
    nodes = _nodes(window)
    return shape.Report(
        generated_at=timestamp(generated_at),
        sources=list(sources),
        window=[timestamp(one) for one in window.times] if window.times else [],
        sentences=list(_sentences(found, nodes, recommendations)),
        nodes=nodes,
        pools=found,
        drift=advice.drift(workloads)[:_DRIFT_ROWS],
        recommendations=recommendations,
        consumers=_consumers(window.reporting),
        namespaces=_namespaces(window.reporting),
        findings=_findings(window),
        changes=None if since is None else list(_changes(window, since, labels)),
    )


def _nodes(window: Window) -> shape.Nodes:
    verdicts = Counter(one.verdict for one in window.reporting)
    return shape.Nodes(
        total=window.total,
        reporting=len(window.reporting),
        stale=[
            shape.Aged(name=one.name, age=int(window.now - one.observed_at))
            for one in window.stale
            if window.now is not None and one.observed_at is not None
        ],
        missing=window.missing,
        gone=[one.name for one in window.gone],
        refused=window.refused,
        verdicts={verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
    )


def _sentences(
    found: Sequence[shape.Pool], nodes: shape.Nodes, recommendations: Iterable[shape.Recommendation]
) -> Iterable[str]:
    """Three that a manager can repeat: what ends first and when, what one change buys, and how much of it is known."""
    first = next((pool for pool in found if pool.pods_until_limit is not None), None)
    if first is None:
        yield "How many more pods fit is unknown: no node says what a pod takes of its limits."
    else:
        where = "The cluster" if first.name == NO_POOL else f"Pool {first.name}"
        what = "pod slots" if first.ends_first == SLOTS else first.ends_first
        yield f"{where} runs out of {what} first, after {more_pods(first.pods_until_limit or 0)} on {first.tightest_node}."
        change = next(
            (one for one in recommendations if one.pool == first.name and one.limit == first.ends_first), None
        )
        if change:
            yield f"{change.setting.split(' (')[0]} buys {change.buys}."
        else:
            total = first.pods_until_limit_sum or 0
            yield f"All {count(first.nodes)} of its nodes together have room for {more_pods(total)}."
    silent = len(nodes.stale) + len(nodes.missing)
    if not nodes.total:
        yield "No node was found."
    elif silent:
        yield f"{count(silent)} of {count(nodes.total)} nodes did not report in time, and are in no figure."
    else:
        bad = nodes.verdicts.get("Critical", 0) + nodes.verdicts.get("Warning", 0)
        all_of = "The one node" if nodes.total == 1 else f"All {count(nodes.total)} nodes"
        yield f"{all_of} reported; {count(bad)} with an open warning."


def _consumers(nodes: Iterable[NodeRecord]) -> list[shape.Consumer]:
    rows = ((pod, node.name) for node in nodes for pod in node.consumers if pod.fds is not None or pod.sockets)
    greatest = nlargest(_ROWS, rows, key=lambda row: (row[0].fds or 0, row[0].sockets or 0))
    return [
        shape.Consumer(
            namespace=pod.namespace,
            name=pod.name,
            node=node,
            fds=pod.fds,
            fds_peak=pod.fds_peak,
            sockets=pod.sockets,
        )
        for pod, node in greatest
    ]


def _namespaces(nodes: Iterable[NodeRecord]) -> list[shape.Namespace]:
    pods: Counter[str] = Counter()
    fds: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    for node in nodes:
        for workload in node.workloads:
            pods[workload.namespace] += workload.pods or 0
        for pod in node.consumers:
            fds[pod.namespace] += pod.fds or 0
        for finding in node.findings:
            if "/" in finding.subject:
                findings[finding.subject.split("/")[0]] += 1
    names = sorted({*pods, *fds} - {""}, key=lambda name: (-fds[name], name))
    return [
        shape.Namespace(name=name, pods=pods[name], fds=fds.get(name), findings=findings[name])
        for name in names[: 5 * _ROWS]
    ]


def _findings(window: Window) -> list[shape.OpenFinding]:
    """Return those that are open longest, the severest first."""
    rows = ((finding, node.name) for node in window.reporting for finding in node.findings)
    ordered = sorted(rows, key=lambda row: (SEVERITIES.index(row[0].severity), row[0].since or 0.0, row[1], row[0].id))
    return [
        shape.OpenFinding(
            node=node,
            rule=finding.rule,
            severity=finding.severity,
            subject=finding.subject,
            since=None if finding.since is None else timestamp(finding.since),
            age=None if finding.since is None or window.now is None else max(0, int(window.now - finding.since)),
            message=finding.message,
            remedy=finding.remedy,
        )
        for finding, node in ordered[: 2 * _ROWS]
    ]


def _changes(window: Window, since: Window, labels: Sequence[str]) -> Iterable[shape.Change]:
    before, after = ({pool.name: _figures(pool) for pool in pools(one, labels)} for one in (since, window))
    for name in sorted({*before, *after}):
        old, new = before.get(name, {}), after.get(name, {})
        for what in dict.fromkeys((*old, *new)):
            yield from _differing(name, what, old.get(what), new.get(what))
    verdicts = [Counter(one.verdict for one in moment.reporting) for moment in (since, window)]
    for verdict in VERDICTS:
        yield from _differing(None, f"nodes that say {verdict}", verdicts[0][verdict], verdicts[1][verdict])
    opened, closed = _open(window) - _open(since), _open(since) - _open(window)
    if opened or closed:
        yield shape.Change(what="findings opened and closed", before=len(closed), after=len(opened))
    earlier, later = advice.workloads(since.reporting), advice.workloads(window.reporting)
    for key in sorted({*earlier, *later}):
        old_peak, new_peak = (one[key].peak if key in one else None for one in (earlier, later))
        unlike = old_peak is None or new_peak is None or new_peak >= _GREW * max(1, old_peak)
        if unlike and old_peak != new_peak:
            yield shape.Change(workload="/".join(key), what="peak of descriptors", before=old_peak, after=new_peak)


def _figures(pool: shape.Pool) -> dict[str, int | str | None]:
    """Return what is compared of a pool."""
    figures: dict[str, int | str | None] = {
        "nodes": pool.nodes,
        "pods until limit": pool.pods_until_limit,
        "ends first": pool.ends_first,
    }
    return figures | {f"{limit.name} peak, percent": limit.peak_percent for limit in pool.limits}


def _open(window: Window) -> set[tuple[str, str]]:
    return {(node.name, finding.id) for node in window.reporting for finding in node.findings}


def _differing(
    pool: str | None, what: str, before: int | str | None, after: int | str | None
) -> Iterable[shape.Change]:
    if before != after:
        yield shape.Change(pool=pool, what=what, before=before, after=after)
