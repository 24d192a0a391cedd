"""What a report takes from one SockAudit object. Tolerant: what it understands it reads, what it does not it notes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from auditor.publish.object import GROUP, VERSION
from auditor.report import fields
from auditor.report.fields import Figures, mapping, rows

SEVERITIES = ("Critical", "Warning", "Info")
VERDICTS = ("Critical", "Warning", "Unknown", "OK")
_STATES = ("Known", "Unlimited", "Unknown")
_PLAIN = {type(None): "null", bool: "a truth value", str: "text", list: "a list"}


class Malformed(ValueError):  # noqa: N818 - one of the family in auditor.kernel.errors
    """It is no SockAudit. The text is one clause."""


class LimitRecord(NamedTuple):
    """One limit in one scope. `share` is what nine of ten pods take of it at most, `sharing` how many pods that is of."""

    name: str
    scope: str
    used: int | None
    limit: int | None
    state: str
    peak: int | None
    share: int | None
    sharing: int | None

    @property
    def percent(self) -> int | None:
        """Whole percentage in use."""
        return percent(self.used, self.limit)

    @property
    def most(self) -> int | None:
        """The peak, which is never below the use."""
        return self.used if self.peak is None else max(self.peak, self.used or 0)

    @property
    def peak_percent(self) -> int | None:
        """Whole percentage at the peak."""
        return percent(self.most, self.limit)


class WorkloadRecord(NamedTuple):
    """All pods of one workload on one node. `fds_peak` is the most that one pod held, in all its processes."""

    namespace: str
    kind: str
    name: str
    pods: int | None
    fds_peak: int | None
    soft_min: int | None
    soft_max: int | None
    hard_min: int | None = None
    hard_max: int | None = None


class FindingRecord(NamedTuple):
    """An open finding."""

    id: str
    rule: str
    severity: str
    subject: str
    since: float | None
    message: str
    remedy: str


class PodRecord(NamedTuple):
    """What one pod holds, and of that its fullest process; `workload` is kind/name."""

    namespace: str
    name: str
    fds: int | None
    fds_peak: int | None
    sockets: int | None
    workload: str = ""
    worst_process_fds: int | None = None


@dataclass(slots=True)
class NodeRecord:
    """One node at one moment.

    Attributes:
        observed_at: seconds since the epoch; `None` where it never reported.
        pods: with processes.
        allocatable: pods the scheduler may place there.
        runtime_hard_limit: of descriptors, that new containers are given.
        past: limits in scopes that only an earlier status has.
        notes: what was not understood, one clause each.
    """

    name: str
    labels: Mapping[str, str]
    observed_at: float | None = None
    verdict: str = "Unknown"
    pods: int | None = None
    allocatable: int | None = None
    runtime_hard_limit: int | None = None
    limits: list[LimitRecord] = field(default_factory=list)
    workloads: list[WorkloadRecord] = field(default_factory=list)
    findings: list[FindingRecord] = field(default_factory=list)
    consumers: list[PodRecord] = field(default_factory=list)
    past: list[LimitRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def slots(self) -> int | None:
        """Pods that the scheduler may still place there."""
        if self.pods is None or self.allocatable is None:
            return None
        return max(0, self.allocatable - self.pods)


def percent(used: int | None, limit: int | None) -> int | None:
    """Whole percentage, rounded down; `None` unless both are known and there is something to divide by."""
    return None if used is None or not limit else 100 * used // limit


def record(document: object) -> NodeRecord:
    """Take what a report needs from an object.

    Raises:
        Malformed: it is no SockAudit, or has no name.
    """
    if not isinstance(document, dict):
        raise Malformed(f"it is no SockAudit but {_PLAIN.get(type(document), 'a number')}")
    if document.get("kind", "SockAudit") != "SockAudit":
        raise Malformed(f"it is no SockAudit but a {fields.name(document['kind']) or 'thing without a kind'}")
    version = document.get("apiVersion", f"{GROUP}/{VERSION}")
    if not isinstance(version, str) or version.partition("/")[0] != GROUP:
        raise Malformed(f"it is of {fields.name(version) or 'no group'}, not of {GROUP}")
    metadata, status = mapping(document.get("metadata")), mapping(document.get("status"))
    name = fields.name(metadata.get("name"))
    if not name:
        raise Malformed("it has no metadata.name")
    node, verdict, figure = mapping(status.get("node")), status.get("verdict"), Figures()
    found = NodeRecord(
        name=name,
        labels={fields.name(key): fields.name(value) for key, value in mapping(metadata.get("labels")).items()},
        observed_at=fields.moment(status.get("observedAt")),
        verdict=verdict if verdict in VERDICTS else "Unknown",
        pods=figure(node.get("pods")),
        allocatable=figure(node.get("podsAllocatable")),
        runtime_hard_limit=figure(node.get("runtimeHardLimit")),
        limits=[_limit(row, figure) for row in rows(status, "limits") if fields.name(row.get("name"))],
        workloads=[_workload(row, figure) for row in rows(status, "workloads")],
        findings=[_finding(row, name) for row in rows(status, "findings")],
        consumers=[_pod(row, figure) for row in rows(status, "pods")],
    )
    found.notes = list(_notes(version, status, figure))
    return found


def _notes(version: str, status: Mapping[str, Any], figure: Figures) -> Iterator[str]:
    if version != f"{GROUP}/{VERSION}":
        yield f"written as {fields.name(version)}, read as {VERSION}"
    verdict = status.get("verdict")
    if verdict is not None and verdict not in VERDICTS:
        yield f"verdict {fields.name(verdict) or 'that is no word'} taken as Unknown"
    if figure.refused:
        yield "values that are no figures taken as unknown"
    if any(not fields.name(row.get("name")) for row in rows(status, "limits")):
        yield "limits without a name left out"


def _limit(row: Mapping[str, Any], figure: Figures) -> LimitRecord:
    name, limit, state = fields.name(row.get("name")), figure(row.get("limit")), row.get("limitState")
    share = mapping(row.get("podShare"))
    if name == "conntrack" and limit == 0:  # so the kernel says that there is none
        state = "Unlimited"
    if state not in _STATES or (state == "Known" and limit is None):
        state = "Unknown" if limit is None else "Known"
    return LimitRecord(
        name=name,
        scope=fields.text(row.get("scope")),
        used=figure(row.get("used")),
        limit=limit if state == "Known" else None,
        state=state,
        peak=figure(row.get("peak")),
        share=figure(share.get("p90")),
        sharing=figure(share.get("pods")),
    )


def _workload(row: Mapping[str, Any], figure: Figures) -> WorkloadRecord:
    return WorkloadRecord(
        fields.name(row.get("namespace")),
        fields.name(row.get("kind")),
        fields.name(row.get("name")),
        figure(row.get("pods")),
        figure(row.get("fdsPeak")),
        figure(row.get("softMin")),
        figure(row.get("softMax")),
        figure(row.get("hardMin")),
        figure(row.get("hardMax")),
    )


def _finding(row: Mapping[str, Any], node: str) -> FindingRecord:
    subject, severity = mapping(row.get("subject")), row.get("severity")
    named = "/".join(filter(None, (fields.name(subject.get("namespace")), fields.name(subject.get("name")))))
    return FindingRecord(
        fields.text(row.get("id")),
        fields.name(row.get("rule")),
        severity if severity in SEVERITIES else "Warning",
        named or node,
        fields.moment(row.get("since")),
        fields.text(row.get("message")),
        fields.text(row.get("remedy")),
    )


def _pod(row: Mapping[str, Any], figure: Figures) -> PodRecord:
    sockets = mapping(row.get("sockets"))
    tcp = sockets.get("tcp")
    parts = [*tcp.values()] if isinstance(tcp, dict) else [None]
    parts += [sockets.get(name) for name in ("udp", "unix", "other")]
    figures = [figure(part) for part in parts]
    known = [one for one in figures if one is not None]
    return PodRecord(
        fields.name(row.get("namespace")),
        fields.name(row.get("name")) or fields.name(row.get("uid")),
        figure(row.get("fds")),
        figure(row.get("fdsPeak")),
        sum(known) if len(known) == len(figures) else None,
        fields.name(row.get("workload")),
        figure(mapping(row.get("worstProcess")).get("fds")),
    )
