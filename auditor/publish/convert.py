"""From the stages' own types to the object: here, and in `owners` and `findings`, API shapes meet ours, and nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auditor.attribute import locate
from auditor.evaluate import LIMITS, MOMENTARY
from auditor.model import (
    Assessment,
    Gap,
    ListenerUsage,
    NodeInfo,
    NodeSample,
    NodeUsage,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    PodShare,
    Reading,
    Unlimited,
)
from auditor.model.words import place
from auditor.publish import object as shape
from auditor.publish import owners
from auditor.publish.conditions import conditions
from auditor.publish.fields import maybe, name_of, names, number_of, text_of
from auditor.publish.findings import to_finding
from auditor.publish.fit import fit
from auditor.publish.pressure import pressure, ranked
from auditor.publish.refused import Refused
from auditor.publish.when import timestamp

_DAEMONS = {"containerd": "containerd", "cri-o": "crio", "docker": "dockerd"}
_OF_THE_NODE = frozenset({OwnerKind.UNIT, OwnerKind.HOST})  # no pod may speak for the runtime
_COARSE = ((15 * 60, "<15m"), (3600, "<1h"), (6 * 3600, "<6h"), (24 * 3600, "<1d"))


@dataclass(frozen=True, slots=True)
class Caps:
    """How many rows each list may have."""

    limits: int = 40
    pods: int = 20
    others: int = 20
    workloads: int = 60
    listeners: int = 20
    findings: int = 20
    gaps: int = 20


AGENT = Caps()
UNCAPPED = Caps(limits=1000, pods=2000, others=2000, workloads=2000, listeners=2000, findings=1000, gaps=40)


def to_status(  # noqa: PLR0913 - the object is made of exactly these
    sample: NodeSample,
    usage: NodeUsage,
    assessment: Assessment,
    node: NodeInfo,
    *,
    interval: float,
    caps: Caps = AGENT,
    previous: Sequence[Mapping[str, object]] = (),
) -> shape.Status:
    """Write one moment as a status.

    Args:
        sample: where the figures come from and what is missing.
        usage: the figures by owner.
        assessment: the rules' word on them.
        node: what the API says of the node.
        interval: seconds between sweeps in force.
        caps: rows each list may have. Unless it is `UNCAPPED` the whole stays under 64 KiB, if need be by fewer rows.
        previous: conditions of the object before this, whose transition times go on.
    """
    status = _status(sample, usage, assessment, node, interval, caps, previous)
    return status if caps == UNCAPPED else fit(status)


def to_document(status: shape.Status, node: NodeInfo) -> dict[str, object]:
    """Return the whole object around a status, as `scan` prints it."""
    metadata: dict[str, object] = {"name": node.name}
    if node.labels:
        metadata["labels"] = dict(node.labels)
    return shape.plain(shape.Document(metadata=metadata, status=status))


def _status(  # noqa: PLR0913, PLR0917
    sample: NodeSample,
    usage: NodeUsage,
    assessment: Assessment,
    node: NodeInfo,
    interval: float,
    caps: Caps,
    previous: Sequence[Mapping[str, object]],
) -> shape.Status:
    refused = Refused()
    strain = pressure(usage, assessment)
    pods = ranked((row for row in usage.owners if row.owner.kind is OwnerKind.POD), strain)
    others = ranked((row for row in usage.owners if row.owner.kind is not OwnerKind.POD), strain)
    shown = _worst_scopes(assessment)
    workloads = owners.workloads(pods, assessment, refused)
    identities = {row.owner: row.identity for row in usage.owners}
    listeners = sorted(usage.listeners or (), key=_fullest_queue_first)
    return shape.Status(
        observed_at=timestamp(sample.at),
        verdict=assessment.verdict.value,
        summary=_summary(assessment, shown, pods, sample.at),
        node=next(
            iter(refused.rows("node", lambda node: _node(sample, usage, node), [node])), _bare_node(sample, usage)
        ),
        limits=refused.rows("limits", lambda reading: _limit(reading, assessment), shown[: caps.limits]),
        limits_truncated=_left_out(shown, caps.limits),
        pods=refused.rows("pods", lambda row: owners.pod(row, assessment), pods[: caps.pods]),
        pods_truncated=_left_out(pods, caps.pods),
        others=refused.rows("others", owners.other, others[: caps.others]),
        others_truncated=_left_out(others, caps.others),
        workloads=workloads[: caps.workloads],
        workloads_truncated=_left_out(workloads, caps.workloads),
        listeners=refused.rows(
            "listeners", lambda one: _listener(one, identities.get(one.owner)), listeners[: caps.listeners]
        ),
        listeners_truncated=_left_out(listeners, caps.listeners),
        findings=refused.rows("findings", to_finding, assessment.findings[: caps.findings]),
        findings_truncated=_left_out(assessment.findings, caps.findings),
        conditions=conditions(assessment, usage, timestamp(sample.at), previous),
        coverage=_coverage(sample, (*refused.gaps(), *usage.gaps), interval, caps),
    )


def _left_out(rows: Sequence[object], cap: int) -> int | None:
    return len(rows) - cap if len(rows) > cap else None


def _worst_scopes(assessment: Assessment) -> list[Reading]:
    """Return the worst scope of each limit, then every other scope with a finding.

    In both the fullest come first and the unknown last. A list that is cut short so loses no limit before it has lost
    the lesser scopes of the others.
    """
    found = {(finding.limit, finding.scope) for finding in assessment.findings}
    worst: list[Reading] = []
    more: list[Reading] = []
    for row in LIMITS:
        readings = sorted(
            (reading for reading in assessment.readings if reading.limit == row.id),
            key=lambda reading: (-1 if reading.percent is None else reading.percent, reading.used or 0),
            reverse=True,
        )
        unknown = [reading for reading in readings if reading.used is None or reading.maximum is None]
        worst += readings[:1]
        worst += [reading for reading in unknown[:1] if reading not in worst]
        more += [
            reading for reading in readings[1:] if (reading.limit, reading.scope) in found and reading not in worst
        ]
    return _fullest_first(worst) + _fullest_first(more)


def _fullest_first(readings: Iterable[Reading]) -> list[Reading]:
    return sorted(readings, key=lambda reading: -1 if reading.percent is None else reading.percent, reverse=True)


def _summary(assessment: Assessment, shown: Sequence[Reading], pods: Sequence[OwnerUsage], now: float) -> shape.Summary:
    found = {(finding.limit, finding.scope) for finding in assessment.findings}
    judged = [one for one in shown if one.limit not in MOMENTARY or (one.limit, one.scope) in found]
    worst = judged[0] if judged and judged[0].percent is not None else None
    end = assessment.ends.get((worst.limit, worst.scope)) if worst else None
    severities = [finding.severity.label for finding in assessment.findings]
    return shape.Summary(
        limit=worst.limit if worst else None,
        scope=text_of(worst.scope) if worst else None,
        percent=worst.percent if worst else None,
        exhausts_at=maybe(timestamp, end),
        full_in=None if end is None else full_in(end - now),
        top_pod=_top_pod(pods[0]) if pods else None,
        findings=len(severities),
        warning=severities.count("Warning"),
        critical=severities.count("Critical"),
    )


def full_in(seconds: float) -> str | None:
    """A time to the end in coarse words; `None` beyond a day."""
    return next((word for limit, word in _COARSE if seconds < limit), None)


def _top_pod(row: OwnerUsage) -> str:
    return text_of(f"{row.identity.namespace}/{row.identity.name}" if row.identity else row.owner.id)


def _node(sample: NodeSample, usage: NodeUsage, node: NodeInfo) -> shape.Node:
    totals = usage.totals
    return shape.Node(
        kernel=name_of(sample.kernel),
        os_image=maybe(name_of, node.os_image),
        runtime=maybe(name_of, node.runtime),
        runtime_hard_limit=_runtime_hard_limit(sample, node.runtime),
        pods_allocatable=node.pods_allocatable,
        processes=totals.processes,
        threads=totals.threads,
        pods=totals.pods,
        containers=totals.containers,
        totals=shape.Totals(
            fds=totals.fds,
            open_descriptions=totals.descriptions,
            sockets=totals.sockets,
            shared_descriptions=totals.shared_descriptions,
        ),
    )


def _bare_node(sample: NodeSample, usage: NodeUsage) -> shape.Node:
    """Write what was counted one by one; for the rest cannot be."""
    totals = usage.totals
    return shape.Node(
        kernel=name_of(sample.kernel),
        processes=totals.processes,
        pods=totals.pods,
        containers=totals.containers,
        totals=shape.Totals(),
    )


def _limit(reading: Reading, assessment: Assessment) -> shape.LimitUse:
    peak = assessment.peaks.get((reading.limit, place(reading.scope)))
    warning, critical = assessment.thresholds.get((reading.limit, reading.scope), (None, None))
    return shape.LimitUse(
        name=reading.limit,
        scope=text_of(reading.scope),
        used=reading.used,
        limit=number_of(reading.maximum),
        limit_state=_state(reading.maximum),
        percent=reading.percent,
        warning=warning,
        critical=critical,
        estimate=True if reading.estimate else None,
        peak=peak.value if peak else None,
        peak_at=timestamp(peak.at) if peak else None,
        peak_since=timestamp(peak.since) if peak else None,
        exhausts_at=maybe(timestamp, assessment.ends.get((reading.limit, reading.scope))),
        pod_share=maybe(_pod_share, assessment.shares.get((reading.limit, reading.scope))),
    )


def _pod_share(share: PodShare) -> shape.PodShare:
    return shape.PodShare(pods=share.pods, p50=share.p50, p90=share.p90, max=share.max)


def _state(maximum: object) -> shape.LimitState:
    if maximum is None:
        return "Unknown"
    return "Unlimited" if isinstance(maximum, Unlimited) else "Known"


def _runtime_hard_limit(sample: NodeSample, runtime: str | None) -> int | None:
    """Return the hard limit of the daemon that makes containers: its shims, and what they start, inherit it."""
    daemon = _DAEMONS.get((runtime or "").partition(":")[0])
    found = {
        one.hard_limit
        for one in sample.processes
        if one.command == daemon and isinstance(one.hard_limit, int) and locate(one.cgroups).owner.kind in _OF_THE_NODE
    }
    return found.pop() if len(found) == 1 else None


def _fullest_queue_first(one: ListenerUsage) -> tuple[object, ...]:
    return -one.percent, -one.queue, -(one.drops or 0), -(one.connections or 0), one.owner, one.port, one.address


def _listener(one: ListenerUsage, identity: PodIdentity | None) -> shape.Listener:
    return shape.Listener(
        kind=one.owner.kind.value,
        address=name_of(one.address),
        port=one.port,
        protocol=name_of(one.protocol),
        connections=one.connections,
        queue=one.queue,
        backlog=one.backlog,
        drops=one.drops,
        **names(one.owner, identity),
    )


def _coverage(sample: NodeSample, gaps: Sequence[Gap], interval: float, caps: Caps) -> shape.Coverage:
    return shape.Coverage(
        source=sample.source,
        reason=text_of(sample.reason),
        processes=len(sample.processes),
        vanished=sample.vanished,
        denied=sample.denied,
        filled_in=sample.filled_in,
        sweep_seconds=round(sample.sweep_seconds, 4),
        cpu_seconds=round(sample.cpu_seconds, 4),
        effective_interval=round(interval, 1),
        gaps=[
            shape.Gap(
                id=name_of(gap.id),
                detail=text_of(gap.detail),
                count=gap.count,
                limits=[name_of(limit) for limit in sorted(gap.limits)[:40]],
            )
            for gap in gaps[: caps.gaps]
        ],
        gaps_truncated=_left_out(gaps, caps.gaps),
    )


__all__ = ["AGENT", "UNCAPPED", "Caps", "full_in", "timestamp", "to_document", "to_status"]
