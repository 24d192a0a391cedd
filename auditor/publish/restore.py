"""From the node's own object back to memory, so that a restarted agent goes on where it stopped.

The object may have been written by another version, half written or tampered with: what does not fit is dropped and
counted, never an error.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from auditor.model import Finding, Owner, OwnerKind, Peak, PodIdentity, Severity, Subject
from auditor.model.words import place
from auditor.publish import object as shape
from auditor.publish.when import epoch


@dataclass(frozen=True, slots=True)
class Restored:
    """What an object remembers.

    Attributes:
        dropped: entries that could not be used.
    """

    findings: tuple[Finding, ...] = ()
    peaks: Mapping[tuple[str, str], Peak] = field(default_factory=dict)
    fds_peaks: Mapping[Owner, Peak] = field(default_factory=dict)
    conditions: tuple[Mapping[str, object], ...] = ()
    dropped: int = 0


def restore(status: object) -> Restored:
    """Read a status as the API returned it."""
    if not isinstance(status, Mapping):
        return Restored()
    findings: list[Finding] = []
    peaks: dict[tuple[str, str], Peak] = {}
    fds_peaks: dict[Owner, Peak] = {}
    conditions: list[Mapping[str, object]] = []
    dropped = 0
    observed = status.get("observedAt")
    for section, row in _rows(status):
        try:
            match section:
                case "findings":
                    findings.append(_finding(shape.Finding.model_validate(row)))
                case "limits":
                    limit = shape.LimitUse.model_validate(row)
                    if limit.peak is not None and limit.peak_at and limit.peak_since:
                        peak = Peak(limit.peak, epoch(limit.peak_at), epoch(limit.peak_since))
                        peaks[limit.name, place(limit.scope)] = peak
                case "pods":
                    pod = shape.Pod.model_validate(row)
                    if pod.fds_peak is not None:
                        at = epoch(observed if isinstance(observed, str) else "")
                        fds_peaks[Owner(OwnerKind.POD, pod.uid)] = Peak(pod.fds_peak, at, at)
                case _:
                    condition = shape.Condition.model_validate(row)
                    conditions.append(shape.plain(condition))
        except (ValidationError, ValueError, OverflowError):
            dropped += 1
    return Restored(tuple(findings), peaks, fds_peaks, tuple(conditions), dropped)


def _rows(status: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    for section in ("findings", "limits", "pods", "conditions"):
        rows = status.get(section)
        if isinstance(rows, list):
            for row in rows:
                yield section, row


def _finding(one: shape.Finding) -> Finding:
    if len(one.rule) > shape.REASON_MOST or not re.fullmatch(shape.REASON, one.rule):
        raise ValueError("it could not be the reason of a condition, so no rule is called so")
    return Finding(
        id=one.id,
        rule=one.rule,
        severity=Severity[one.severity.upper()],
        subject=_subject(one.subject),
        since=epoch(one.since),
        message=one.message,
        remedy=one.remedy,
        limit=one.name,
        scope=one.scope,
        used=one.used,
        maximum=one.limit,
        exhausts_at=epoch(one.exhausts_at) if one.exhausts_at else None,
    )


def _subject(subject: shape.Subject) -> Subject:
    if subject.kind == "Node":
        return Subject()
    if subject.kind == "Pod":
        identity = None
        if subject.namespace and subject.name:
            identity = PodIdentity(subject.namespace, subject.name, subject.uid or "")
        return Subject(Owner(OwnerKind.POD, subject.uid or ""), identity, subject.container)
    return Subject(Owner(OwnerKind(subject.kind), subject.name or ""), None, subject.container)
