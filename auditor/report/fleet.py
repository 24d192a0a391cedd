"""From many nodes to one report. Pure: the clock is passed in."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from math import inf

from auditor.publish.when import timestamp
from auditor.report import namespaced, nofile, shape, sysctls
from auditor.report.capacity import members, pools
from auditor.report.changes import changes
from auditor.report.observation import SEVERITIES, VERDICTS, NodeRecord
from auditor.report.sentences import sentences
from auditor.report.window import Window
from auditor.report.workloads import drift, workloads

POOL_LABELS = (
    "node.kubernetes.io/pool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "karpenter.sh/nodepool",
    "karpenter.sh/provisioner-name",
    "doks.digitalocean.com/node-pool",
    "kops.k8s.io/instancegroup",
    "node.kubernetes.io/instance-type",
)
"""As the common providers name the pool of a node; the first that a node has counts, its type where it has no other."""

_CONSUMERS_MAX = 20


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
    groups, found = members(window, labels), workloads(window.reporting)
    measured = pools(groups)
    recommendations = [
        *sysctls.recommend(groups, measured, headroom),
        *namespaced.recommend(groups, headroom),
        *nofile.recommend(window, groups, found),
    ]
    nodes = _nodes(window, list(_notes(window, by, since)))
    return shape.Report(
        generated_at=timestamp(generated_at),
        sources=list(sources),
        window=[timestamp(one) for one in window.times] if window.times else [],
        sentences=list(sentences(measured, nodes, recommendations, groups)),
        nodes=nodes,
        pools=measured,
        drift=drift(found),
        recommendations=recommendations,
        consumers=_consumers(window.reporting),
        consumers_total=sum(len(node.consumers) for node in window.reporting),
        namespaces=_namespaces(window.reporting),
        findings=_findings(window),
        changes=None if since is None else list(changes(since, window, labels)),
    )


def _notes(window: Window, by: str | None, since: Window | None) -> Iterator[str]:
    """Yield what the reader should know before believing the figures."""
    yield from window.notes
    everyone = (*window.reporting, *window.stale)
    if by is not None and everyone and not any(node.labels.get(by) for node in everyone):
        yield f"no node has the label {by}, so all are in one pool: kubectl get sockaudits --show-labels lists those there are"
    if since is not None and since.now is not None and window.now is not None and since.now > window.now:
        yield "what --since names is newer than what is compared with it: the changes read backwards"


def _nodes(window: Window, notes: list[str]) -> shape.Nodes:
    verdicts = Counter(one.verdict for one in window.reporting)
    return shape.Nodes(
        total=window.total,
        reporting=len(window.reporting),
        stale=[one.name for one in window.stale],
        stale_seconds={
            one.name: int(window.now - one.observed_at)
            for one in window.stale
            if window.now is not None and one.observed_at is not None
        },
        missing=window.missing,
        gone=[one.name for one in window.gone],
        refused=window.refused,
        notes=notes,
        verdicts={verdict: verdicts[verdict] for verdict in VERDICTS if verdicts[verdict]},
    )


def _consumers(nodes: Iterable[NodeRecord]) -> list[shape.Consumer]:
    rows = ((pod, node.name) for node in nodes for pod in node.consumers if pod.fds is not None or pod.sockets)
    greatest = nlargest(_CONSUMERS_MAX, rows, key=lambda row: (row[0].fds or 0, row[0].sockets or 0))
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


def _namespaces(nodes: Sequence[NodeRecord]) -> list[shape.Namespace]:
    """Add up what the nodes say of each namespace: pods by workload, descriptors of the pods that they list."""
    pods: Counter[str] = Counter()
    fds: Counter[str] = Counter()
    pods_unknown: Counter[str] = Counter()
    fds_unknown: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    names: set[str] = set()
    for node in nodes:
        names.update(row.namespace for row in node.workloads)
        names.update(pod.namespace for pod in node.consumers)
        for workload in node.workloads:
            if workload.pods is None:
                pods_unknown[workload.namespace] += 1
            else:
                pods[workload.namespace] += workload.pods
        for pod in node.consumers:
            if pod.fds is None:
                fds_unknown[pod.namespace] += 1
            else:
                fds[pod.namespace] += pod.fds
        findings.update(one.subject.split("/")[0] for one in node.findings if "/" in one.subject)
    return [
        shape.Namespace(
            name=name,
            pods=pods.get(name),
            pods_unknown_workloads=pods_unknown[name],
            fds=fds.get(name),
            fds_unknown_pods=fds_unknown[name],
            findings=findings[name],
        )
        for name in sorted(names - {""}, key=lambda name: (-fds[name], name))
    ]


def _findings(window: Window) -> list[shape.OpenFinding]:
    """Return those that are open longest, the severest first."""
    rows = ((finding, node.name) for node in window.reporting for finding in node.findings)
    ordered = sorted(
        rows,
        key=lambda row: (
            SEVERITIES.index(row[0].severity),
            inf if row[0].since is None else row[0].since,
            row[1],
            row[0].id,
        ),
    )
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
        for finding, node in ordered
    ]
