"""From findings to their rows."""

from collections.abc import Mapping

from auditor.model import Finding, Severity, Share, Subject
from auditor.model.words import bounded, clean
from auditor.publish import object as shape
from auditor.publish.fields import maybe, name_of, names, number_of, text_of
from auditor.publish.when import timestamp

_SEVERITIES: Mapping[Severity, shape.SeverityWord] = {
    Severity.INFO: "Info",
    Severity.WARNING: "Warning",
    Severity.CRITICAL: "Critical",
}


def to_finding(finding: Finding) -> shape.Finding:
    """Write one finding."""
    return shape.Finding(
        id=text_of(finding.id),
        rule=finding.rule,
        severity=_SEVERITIES[finding.severity],
        subject=_subject(finding.subject),
        name=finding.limit,
        scope=maybe(text_of, finding.scope),
        used=finding.used,
        limit=number_of(finding.maximum),
        percent=finding.percent,
        since=timestamp(finding.since),
        exhausts_at=maybe(timestamp, finding.exhausts_at),
        consumers=[_share(share) for share in finding.consumers[:5]],
        affected=[_share(share) for share in finding.affected[:5]],
        message=text_of(finding.message),
        remedy=text_of(finding.remedy),
    )


def _subject(subject: Subject) -> shape.Subject:
    process = subject.process
    if subject.owner is None:
        return shape.Subject(kind="Node")
    return shape.Subject(
        kind=subject.owner.kind.value,
        container=maybe(name_of, subject.container),
        pid=process.pid if process else None,
        command=bounded(clean(process.command), 64) if process else None,
        **names(subject.owner, subject.identity),
    )


def _share(share: Share) -> shape.Share:
    return shape.Share(
        kind=share.owner.kind.value,
        pid=share.process.pid if share.process else None,
        command=bounded(clean(share.process.command), 64) if share.process else None,
        used=share.used,
        estimate=True if share.estimate else None,
        unit=share.unit,
        **names(share.owner, share.identity),
    )
