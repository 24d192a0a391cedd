"""`top pods` and `top nodes`: who holds most, of what the nodes list."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from auditor.kube.client import ApiError
from auditor.kube.paging import items
from auditor.model.words import clean, count, duration
from auditor.plugin.objects import OBJECTS, Cluster, PluginError, words
from auditor.publish.terminal import new_table
from auditor.report.observation import Malformed, NodeRecord, record
from auditor.report.window import STALE_SECONDS


def nodes_of(cluster: Cluster) -> list[NodeRecord]:
    """Read all nodes.

    Raises:
        PluginError: no answer.
    """
    found = []
    try:
        for document in items(cluster.client, OBJECTS, "SockAudits"):
            try:
                found.append(record(document))
            except Malformed:
                continue
    except ApiError as error:
        raise PluginError(words(error)) from None
    return found


def pods(nodes: Iterable[NodeRecord], namespace: str | None, console: Console) -> None:
    """Print the pods that their nodes list, most descriptors first.

    Args:
        nodes: all of them.
        namespace: `None`: all.
        console: where to.
    """
    rows = [
        (pod, node.name)
        for node in nodes
        for pod in node.consumers
        if pod.namespace and (namespace is None or pod.namespace == namespace)
    ]
    if not rows:
        where = "any namespace" if namespace is None else f"namespace {clean(namespace)}"
        console.print(
            Text(f"No node lists a pod of {where}: each lists the twenty under most pressure. -A shows all namespaces.")
        )
        return
    table = _columns("NAMESPACE", "POD", "NODE", "FDS>", "PEAK>", "SOCKETS>")
    for pod, node in sorted(rows, key=lambda row: (-(row[0].fds or 0), row[0].namespace, row[0].name)):
        table.add_row(
            *map(Text, (pod.namespace, pod.name, node, _figure(pod.fds), _figure(pod.fds_peak), _figure(pod.sockets)))
        )
    console.print(table)


def nodes(found: Iterable[NodeRecord], now: float, console: Console) -> None:
    """Print the nodes, the fullest first; what is stale says so."""
    table = _columns("NODE", "VERDICT", "LIMIT", "USE>", "PODS>", "FINDINGS>", "AUDITED")
    for node in sorted(found, key=lambda one: (-_fullest(one)[0], one.name)):
        percent, limit = _fullest(node)
        age = None if node.observed_at is None else now - node.observed_at
        stale = age is None or age > STALE_SECONDS
        table.add_row(
            Text(node.name),
            Text("Unknown (stale)" if stale else node.verdict),
            Text(limit),
            Text(f"{percent} %" if percent >= 0 else "?"),
            Text(_figure(node.pods)),
            Text(count(len(node.findings))),
            Text("never" if age is None else f"{duration(age)} ago"),
        )
    console.print(table)


def _fullest(node: NodeRecord) -> tuple[int, str]:
    return max(((row.percent, row.name) for row in node.limits if row.percent is not None), default=(-1, "-"))


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
