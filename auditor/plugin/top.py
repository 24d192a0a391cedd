"""`top pods` and `top nodes`: who holds most, of what the nodes list."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.cluster import OBJECTS, advice
from auditor.kube.client import ApiError
from auditor.kube.paging import items
from auditor.model.words import clean, count, duration
from auditor.plugin.objects import Cluster, PluginError
from auditor.publish.terminal import new_table
from auditor.report.observation import Malformed, NodeRecord, record
from auditor.report.window import STALE_SECONDS


@dataclass(frozen=True, slots=True)
class PodRow:
    """A pod that its node lists."""

    namespace: str
    pod: str
    node: str
    fds: int | None
    peak: int | None
    sockets: int | None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node: its fullest limit, and how old its audit is."""

    node: str
    verdict: str
    stale: bool
    limit: str | None
    percent: int | None
    pods: int | None
    findings: int
    age: float | None


def nodes_of(cluster: Cluster, selector: str | None = None) -> list[NodeRecord]:
    """Read all nodes, or those whose objects have some labels.

    Raises:
        PluginError: no answer.
    """
    found = []
    try:
        for document in items(cluster.client, OBJECTS, "SockAudits", selector=selector):
            try:
                found.append(record(document))
            except Malformed:
                continue
    except ApiError as error:
        raise PluginError(advice(error)) from None
    return found


def pod_rows(
    nodes: Iterable[NodeRecord], namespace: str | None, chosen: Container[tuple[str, str]] | None
) -> list[PodRow]:
    """Return the pods that their nodes list, most descriptors first.

    Args:
        nodes: all of them.
        namespace: `None`: all.
        chosen: (namespace, name) of those that are asked for; `None`: all.
    """
    rows = [
        PodRow(pod.namespace, pod.name, node.name, pod.fds, pod.fds_peak, pod.sockets)
        for node in nodes
        for pod in node.consumers
        if pod.namespace
        and (namespace is None or pod.namespace == namespace)
        and (chosen is None or (pod.namespace, pod.name) in chosen)
    ]
    return sorted(rows, key=lambda row: (-(row.fds or 0), row.namespace, row.pod))


def pods(rows: Sequence[PodRow], namespace: str | None, console: Console) -> None:
    """Print pods; where there are none, why that may be."""
    if not rows:
        where = "any namespace" if namespace is None else f"namespace {clean(namespace)}"
        console.print(
            Text(f"No node lists a pod of {where}: each lists the twenty under most pressure. -A shows all namespaces.")
        )
        return
    table = _columns("NAMESPACE", "POD", "NODE", "FDS>", "PEAK>", "SOCKETS>")
    for row in rows:
        table.add_row(
            *map(Text, (row.namespace, row.pod, row.node, _figure(row.fds), _figure(row.peak), _figure(row.sockets)))
        )
    console.print(table)


def node_rows(found: Iterable[NodeRecord], now: float) -> list[NodeRow]:
    """Return the nodes, the fullest first."""
    rows = []
    for node in found:
        percent, limit = max(
            ((row.percent, row.name) for row in node.limits if row.percent is not None), default=(None, None)
        )
        age = None if node.observed_at is None else now - node.observed_at
        stale = age is None or age > STALE_SECONDS
        verdict = "Unknown" if stale else node.verdict
        rows.append(NodeRow(node.name, verdict, stale, limit, percent, node.pods, len(node.findings), age))
    return sorted(rows, key=lambda row: (1 if row.percent is None else -row.percent, row.node))


def nodes(rows: Iterable[NodeRow], console: Console) -> None:
    """Print nodes; what is stale says so."""
    table = _columns("NODE", "VERDICT", "LIMIT", "USE>", "PODS>", "FINDINGS>", "AUDITED")
    for row in rows:
        table.add_row(
            Text(row.node),
            Text("Unknown (stale)" if row.stale else row.verdict),
            Text(row.limit or "-"),
            Text("?" if row.percent is None else f"{row.percent} %"),
            Text(_figure(row.pods)),
            Text(count(row.findings)),
            Text("never" if row.age is None else f"{duration(row.age)} ago"),
        )
    console.print(table)


def _columns(*names: str) -> Table:
    table = new_table()
    for name in names:
        right = name.endswith(">")
        table.add_column(
            name.removesuffix(">"), justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    return table


def _figure(value: int | None) -> str:
    return "?" if value is None else count(value)
