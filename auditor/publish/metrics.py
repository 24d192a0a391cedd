"""Metrics of the latest status, for Prometheus. Base units; labels stay few at any size of node.

Of each limit only the worst scope is shown, and no pod, address or command is ever a label of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from auditor import __version__
from auditor.publish import object as shape
from auditor.publish.when import epoch

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
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.writes = Counter(
            "sockaudit_object_writes", "Writes of the SockAudit object.", ["result"], registry=self.registry
        )
        self.events = Counter("sockaudit_events", "Kubernetes events.", ["result"], registry=self.registry)
        self._latest: tuple[shape.Status, OwnUse] | None = None
        self.registry.register(self)

    def observe(self, status: shape.Status, own: OwnUse) -> None:
        """Take the latest status and what it cost."""
        self._latest = status, own

    def expose(self) -> bytes:
        """Return everything in the text exposition format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families; before the first sweep only the version."""
        yield _labelled("sockaudit_build_info", "The agent's version.", "version", [(__version__, 1)])
        if self._latest is None:
            return
        status, own = self._latest
        yield from _limits(status)
        summary = status.summary  # the list of findings may be cut short, the summary never is
        found = (
            ("Info", summary.findings - summary.warning - summary.critical),
            ("Warning", summary.warning),
            ("Critical", summary.critical),
        )
        yield _labelled("sockaudit_findings", "Open findings.", "severity", found)
        yield _labelled(
            "sockaudit_verdict",
            "1 for the verdict in force.",
            "verdict",
            [(word, int(word == status.verdict)) for word in _VERDICTS],
        )
        yield from _coverage(status)
        yield CounterMetricFamily("sockaudit_agent_cpu_seconds", "CPU time of the agent.", value=own.cpu_seconds)
        yield _gauge("sockaudit_agent_resident_memory_bytes", "Resident set of the agent.", own.resident_bytes)
        yield _gauge("sockaudit_agent_open_fds", "Open file descriptors of the agent.", own.fds)


def _limits(status: shape.Status) -> Iterator[Metric]:
    worst: dict[str, shape.LimitUse] = {}
    for row in status.limits:
        worst.setdefault(row.name, row)
    used = GaugeMetricFamily("sockaudit_limit_used", "Use of a limit in its worst scope.", labels=["limit", "scope"])
    maximum = GaugeMetricFamily("sockaudit_limit_max", "The limit; +Inf without one.", labels=["limit", "scope"])
    for row in worst.values():
        labels = [row.name, row.scope]
        if row.used is not None:
            used.add_metric(labels, row.used)
        if row.limit_state != "Unknown":
            maximum.add_metric(labels, float("inf") if row.limit is None else row.limit)
    yield used
    yield maximum


def _coverage(status: shape.Status) -> Iterator[Metric]:
    coverage, totals = status.coverage, status.node.totals
    yield _labelled("sockaudit_source", "1 for the source in use.", "source", [(coverage.source, 1)])
    yield _gauge("sockaudit_observed_timestamp_seconds", "When the latest sweep ended.", epoch(status.observed_at))
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
