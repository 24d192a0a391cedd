"""Evaluate: a table of limits and the rules over it. Pure; knows owners and figures, not the kernel that states them."""

from collections.abc import Iterable, Iterator

from auditor.evaluate.limits import LIMITS, MOMENTARY
from auditor.evaluate.rules import Policy, finding_id, judge, without_reading
from auditor.model import (
    Assessment,
    Change,
    Event,
    Finding,
    Gap,
    NodeUsage,
    Reading,
    Severity,
    Subject,
    Verdict,
)
from auditor.remember import History

__all__ = ["LIMITS", "MOMENTARY", "Policy", "assess"]


def assess(usage: NodeUsage, history: History, policy: Policy, now: float) -> tuple[Assessment, History]:
    """Judge one moment.

    Args:
        usage: the facts by owner.
        history: what is remembered of earlier sweeps.
        policy: thresholds and what this installation promises to see.
        now: seconds since the epoch.

    Returns:
        The assessment, and the history for the next sweep.
    """
    readings: list[Reading] = []
    findings: list[Finding] = []
    seen: list[str] = []
    for row in LIMITS:
        of_row = list(row.read(usage))
        if not of_row and row.id not in usage.missing:  # one that says nothing at all is unknown, not absent
            of_row = [Reading(row.id, "node", "node", None, None)]
        readings += of_row
        for reading in of_row:
            seen.append(finding_id(row, reading))
            finding = judge(row, reading, history, policy.of(row, reading), now)
            if finding:
                findings.append(finding)
    findings += without_reading(usage, history, [*seen, _INCOMPLETE])
    unjudged = _unjudged(readings, usage.gaps)
    unreadable = unjudged & policy.promised
    if unreadable:
        findings.append(_incomplete(unreadable, usage.gaps, history, now))
    findings.sort(key=lambda finding: (-finding.severity, -(finding.percent or 0), finding.id))
    history = history.observe(usage, readings, now)
    assessment = Assessment(
        verdict=_verdict(findings, unreadable),
        readings=tuple(readings),
        findings=tuple(findings),
        events=tuple(_changes(history.findings.values(), findings, now)),
        unreadable=unreadable,
        unjudged=unjudged,
        peaks={key: window.peak for key, window in history.peaks.items()},
        fds_peaks={owner: window.peak for owner, window in history.fds_peaks.items()},
    )
    return assessment, history.conclude(findings, readings)


_INCOMPLETE = "AuditIncomplete/node"


def _unjudged(readings: Iterable[Reading], gaps: Iterable[Gap]) -> frozenset[str]:
    unknown = {reading.limit for reading in readings if reading.used is None or reading.maximum is None}
    return frozenset(unknown.union(*(gap.limits for gap in gaps)))


def _incomplete(unreadable: frozenset[str], gaps: Iterable[Gap], history: History, now: float) -> Finding:
    before = history.findings.get(_INCOMPLETE)
    causes = [gap for gap in gaps if gap.limits & unreadable]
    return Finding(
        id=_INCOMPLETE,
        rule="AuditIncomplete",
        severity=Severity.INFO,
        subject=Subject(),
        since=before.since if before else float(int(now)),
        message=f"cannot judge {', '.join(sorted(unreadable))}"
        + (f": {'; '.join(gap.detail for gap in causes[:3])}" if causes else ""),
        remedy="see coverage.gaps for the right or the kernel version that would show it",
    )


def _verdict(findings: Iterable[Finding], unreadable: frozenset[str]) -> Verdict:
    worst = max((finding.severity for finding in findings), default=Severity.INFO)
    if worst is Severity.CRITICAL:
        return Verdict.CRITICAL
    if worst is Severity.WARNING:
        return Verdict.WARNING
    return Verdict.UNKNOWN if unreadable else Verdict.OK


def _changes(before: Iterable[Finding], after: Iterable[Finding], now: float) -> Iterator[Event]:
    """Say what changed. An Info finding makes no event: it is nobody's emergency."""
    earlier = {finding.id: finding for finding in before}
    current = {finding.id: finding for finding in after}
    for finding in current.values():
        previous = earlier.get(finding.id)
        if finding.severity is Severity.INFO:
            continue
        if previous is None:
            yield Event(now, Change.OPENED, finding)
        elif finding.severity > previous.severity:
            yield Event(now, Change.WORSENED, finding)
    for finding in earlier.values():
        if finding.id not in current and finding.severity is not Severity.INFO:
            yield Event(now, Change.CLOSED, finding)
