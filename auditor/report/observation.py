"""What a report takes from one SockAudit object. Tolerant: what is missing or no figure is unknown, what is unknown is left.

The text of an object comes from whoever may write it: it is cleaned and bounded here, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from auditor.model.words import bounded, clean
from auditor.publish.when import maybe_epoch

_NAME_BYTES, _TEXT_BYTES = 253, 1024
_ROWS_MAX = 2_000  # of any list of one object
_LARGEST = (1 << 63) - 1

SEVERITIES = ("Critical", "Warning", "Info")
VERDICTS = ("Critical", "Warning", "Unknown", "OK")


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
        """The peak, or where none is known the use."""
        return self.used if self.peak is None else max(self.peak, self.used or 0)


class WorkloadRecord(NamedTuple):
    """All pods of one workload on one node."""

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
    """What one pod holds."""

    namespace: str
    name: str
    fds: int | None
    fds_peak: int | None
    sockets: int | None


@dataclass(slots=True)
class NodeRecord:
    """One node at one moment.

    Attributes:
        observed_at: seconds since the epoch; `None` where it never reported.
        pods: with processes.
        allocatable: pods the scheduler may place there.
        runtime_hard_limit: of descriptors, that new containers are given.
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
    if not isinstance(document, dict) or document.get("kind", "SockAudit") != "SockAudit":
        raise Malformed("it is no SockAudit")
    metadata, status = _mapping(document.get("metadata")), _mapping(document.get("status"))
    name = node_name(metadata.get("name"))
    if not name:
        raise Malformed("it has no metadata.name")
    labels = {_name(key): _name(value) for key, value in _mapping(metadata.get("labels")).items()}
    node = _mapping(status.get("node"))
    verdict = status.get("verdict")
    return NodeRecord(
        name=name,
        labels=labels,
        observed_at=_time(status.get("observedAt")),
        verdict=verdict if verdict in VERDICTS else "Unknown",
        pods=_figure(node.get("pods")),
        allocatable=_figure(node.get("podsAllocatable")),
        runtime_hard_limit=_figure(node.get("runtimeHardLimit")),
        limits=[_limit(row) for row in _rows(status, "limits")],
        workloads=[_workload(row) for row in _rows(status, "workloads")],
        findings=[_finding(row, name) for row in _rows(status, "findings")],
        consumers=[_pod(row) for row in _rows(status, "pods")],
    )


def node_name(value: object) -> str:
    """Return what a node is called; empty where it has no name.

    No apiserver takes a name that has to be cleaned or cut, but a file may hold some. They are told apart by a checksum:
    of nodes that look alike none may hide the other.
    """
    shown = _name(value)
    return (
        f"{shown}~{crc32(value.encode(errors='replace')):08x}" if isinstance(value, str) and shown != value else shown
    )


def _limit(row: Mapping[str, Any]) -> LimitRecord:
    limit, state = _figure(row.get("limit")), row.get("limitState")
    share = _mapping(row.get("podShare"))
    return LimitRecord(
        name=_name(row.get("name")),
        scope=_text(row.get("scope")),
        used=_figure(row.get("used")),
        limit=limit,
        state="Known" if limit is not None else state if state == "Unlimited" else "Unknown",
        peak=_figure(row.get("peak")),
        share=_figure(share.get("p90")),
        sharing=_figure(share.get("pods")),
    )


def _workload(row: Mapping[str, Any]) -> WorkloadRecord:
    return WorkloadRecord(
        _name(row.get("namespace")),
        _name(row.get("kind")),
        _name(row.get("name")),
        _figure(row.get("pods")),
        _figure(row.get("fdsPeak")),
        _figure(row.get("softMin")),
        _figure(row.get("softMax")),
        _figure(row.get("hardMin")),
        _figure(row.get("hardMax")),
    )


def _finding(row: Mapping[str, Any], node: str) -> FindingRecord:
    subject, severity = _mapping(row.get("subject")), row.get("severity")
    named = "/".join(filter(None, (_name(subject.get("namespace")), _name(subject.get("name")))))
    return FindingRecord(
        _text(row.get("id")),
        _name(row.get("rule")),
        severity if severity in SEVERITIES else "Warning",
        named or node,
        _time(row.get("since")),
        _text(row.get("message")),
        _text(row.get("remedy")),
    )


def _pod(row: Mapping[str, Any]) -> PodRecord:
    sockets = _mapping(row.get("sockets"))
    tcp = sockets.get("tcp")
    parts = [*tcp.values()] if isinstance(tcp, dict) else [None]
    parts += [sockets.get(name) for name in ("udp", "unix", "other")]
    figures = [_figure(part) for part in parts]
    known = [figure for figure in figures if figure is not None]
    return PodRecord(
        _name(row.get("namespace")),
        _name(row.get("name")) or _name(row.get("uid")),
        _figure(row.get("fds")),
        _figure(row.get("fdsPeak")),
        sum(known) if len(known) == len(figures) else None,
    )


def _rows(status: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = status.get(name)
    return [row for row in rows[:_ROWS_MAX] if isinstance(row, dict)] if isinstance(rows, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _figure(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _LARGEST else None


def _time(value: object) -> float | None:
    return maybe_epoch(value) if isinstance(value, str) else None


def _name(value: object) -> str:
    return _shown(value, _NAME_BYTES) if isinstance(value, str) else ""


def _text(value: object) -> str:
    return _shown(value, _TEXT_BYTES) if isinstance(value, str) else ""


@lru_cache(maxsize=1 << 16)  # names come again on node after node
def _shown(text: str, most: int) -> str:
    return bounded(clean(text[: 4 * most]), most)
