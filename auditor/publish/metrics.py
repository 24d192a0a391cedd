"""Metrics of the latest status, for Prometheus. Base units; labels stay few at any size of node.

Of each limit only the worst scope is shown, by node, without the address it may end in; no command is ever a label. Pods
have two series each: the few that the object lists unless it is asked for all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from auditor import __version__
from auditor.model import OwnerKind, OwnerUsage
from auditor.model.words import place
from auditor.publish import object as shape
from auditor.publish.when import epoch

Pod = tuple[str, str, int | None, int | None]
"""Namespace, name, descriptors, sockets."""

_VERDICTS: tuple[shape.VerdictWord, ...] = ("OK", "Warning", "Critical", "Unknown")


@dataclass(frozen=True, slots=True)
class OwnUse:
    """What the agent itself takes.

    Attributes:
        cpu_seconds: user and system time since it started.
        resident_bytes: resident set.
        fds: open file descriptors.
    """

    cpu_seconds: float
    resident_bytes: int
    fds: int


class Metrics(Collector):
    """The agent's metrics: `observe` after each sweep, count writes and events, `expose` to who asks.

    Attributes:
        writes: writes of the object by `result` (`ok`, `failed`).
        events: events by `result` (`ok`, `failed`, `dropped`).
        current: whether the latest turn audited.
    """

    def __init__(self, node: str = "", per_pod: str = "top") -> None:
        self._node, self._per_pod = node, per_pod
        self._pods: tuple[OwnerUsage, ...] = ()
        self.registry = CollectorRegistry(auto_describe=True)
        self.writes = Counter(
            "sockaudit_object_writes", "Writes of the SockAudit object.", ["result"], registry=self.registry
        )
        self.events = Counter("sockaudit_events", "Kubernetes events.", ["result"], registry=self.registry)
        self._latest: tuple[shape.Status, OwnUse] | None = None
        self.current = False
        self.registry.register(self)

    def observe(self, status: shape.Status, own: OwnUse, owners: Iterable[OwnerUsage] = ()) -> None:
        """Take the latest status and what it cost; the owners are looked at only if all pods are asked for."""
        self._latest, self.current = (status, own), True
        if self._per_pod == "all":
            self._pods = tuple(row for row in owners if row.owner.kind is OwnerKind.POD)

    def miss(self) -> None:
        """Say that the latest turn audited nothing: figures of before it would pass for those of now."""
        self.current = False

    def expose(self) -> bytes:
        """Return everything in the text exposition format."""
        return generate_latest(self.registry)

    def _listed(self, status: shape.Status) -> Iterator[Pod]:
        if self._per_pod == "all":
            for row in self._pods:
                if row.identity:
                    sockets = row.sockets.total if row.sockets else None
                    yield row.identity.namespace, row.identity.name, row.fds, sockets
            return
        for pod in status.pods:
            if pod.namespace and pod.name:
                yield pod.namespace, pod.name, pod.fds, shape.total(pod.sockets)

    def collect(self) -> Iterator[Metric]:
        """Yield the families. Without an audit the verdict is Unknown, and only its last time and the agent's own use stand."""
        yield _labelled("sockaudit_build_info", "The agent's version.", "version", [(__version__, 1)])
        latest, current = self._latest, self.current  # a turn may end meanwhile
        verdict = latest[0].verdict if latest and current else "Unknown"
        yield _labelled(
            "sockaudit_verdict",
            "1 for the verdict in force.",
            "verdict",
            [(word, int(word == verdict)) for word in _VERDICTS],
        )
        if latest is None:
            return
        status, own = latest
        if current:
            yield from self._audited(status)
        yield _gauge("sockaudit_observed_timestamp_seconds", "When the latest sweep ended.", epoch(status.observed_at))
        yield CounterMetricFamily("sockaudit_agent_cpu_seconds", "CPU time of the agent.", value=own.cpu_seconds)
        yield _gauge("sockaudit_agent_resident_memory_bytes", "Resident set of the agent.", own.resident_bytes)
        yield _gauge("sockaudit_agent_open_fds", "Open file descriptors of the agent.", own.fds)

    def _audited(self, status: shape.Status) -> Iterator[Metric]:
        yield from _limits(status, self._node)
        if self._per_pod != "none":
            yield from _of_pods(self._listed(status))
        summary = status.summary  # the list of findings may be cut short, the summary never is
        found = (
            ("Info", summary.findings - summary.warning - summary.critical),
            ("Warning", summary.warning),
            ("Critical", summary.critical),
        )
        yield _labelled("sockaudit_findings", "Open findings.", "severity", found)
        yield from _coverage(status)


def _of_pods(pods: Iterable[Pod]) -> Iterator[Metric]:
    fds = GaugeMetricFamily("sockaudit_pod_open_fds", "Open file descriptors of a pod.", labels=["namespace", "pod"])
    sockets = GaugeMetricFamily("sockaudit_pod_sockets", "Distinct sockets of a pod.", labels=["namespace", "pod"])
    for namespace, name, held, distinct in pods:
        if held is not None:
            fds.add_metric([namespace, name], held)
        if distinct is not None:
            sockets.add_metric([namespace, name], distinct)
    yield fds
    yield sockets


def _limits(status: shape.Status, node: str) -> Iterator[Metric]:
    worst: dict[str, shape.LimitUse] = {}
    for row in status.limits:
        worst.setdefault(row.name, row)
    used = GaugeMetricFamily(
        "sockaudit_limit_used", "Use of a limit in its worst scope.", labels=["node", "limit", "scope"]
    )
    maximum = GaugeMetricFamily(
        "sockaudit_limit_max", "The limit; +Inf without one.", labels=["node", "limit", "scope"]
    )
    for row in worst.values():
        labels = [node, row.name, place(row.scope)]
        if row.used is not None:
            used.add_metric(labels, row.used)
        if row.limit_state != "Unknown":
            maximum.add_metric(labels, float("inf") if row.limit is None else row.limit)
    yield used
    yield maximum


def _coverage(status: shape.Status) -> Iterator[Metric]:
    coverage, totals = status.coverage, status.node.totals
    yield _labelled("sockaudit_source", "1 for the source in use.", "source", [(coverage.source, 1)])
    yield _gauge("sockaudit_sweep_duration_seconds", "Wall time of the latest sweep.", coverage.sweep_seconds)
    yield _gauge("sockaudit_sweep_cpu_seconds", "CPU time of the latest sweep.", coverage.cpu_seconds)
    yield _gauge("sockaudit_interval_seconds", "Time between sweeps in force.", coverage.effective_interval)
    yield _gauge("sockaudit_gaps", "Things the audit could not see.", len(coverage.gaps))
    yield _gauge("sockaudit_processes", "Processes of the node.", coverage.processes)
    yield _gauge("sockaudit_processes_denied", "Processes of which a part was refused.", coverage.denied)
    for name, text, value in (
        ("sockaudit_node_open_fds", "Open file descriptors of the node.", totals.fds),
        ("sockaudit_node_sockets", "Distinct sockets of the node.", totals.sockets),
    ):
        if value is not None:  # unknown is absent, never zero
            yield _gauge(name, text, value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values:
        family.add_metric([word], value)
    return family
