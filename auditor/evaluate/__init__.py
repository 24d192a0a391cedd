"""Evaluate: a table of limits and the rules over it. Pure; knows owners and figures, not the kernel that states them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from auditor.evaluate import drops, leaks, stuck
from auditor.evaluate.causes import Causes
from auditor.evaluate.drops import DROPS
from auditor.evaluate.leaks import LEAKS
from auditor.evaluate.limits import LIMITS, MOMENTARY, LimitRow
from auditor.evaluate.rules import Policy, finding_id, is_of_a_moment, judge, without_reading
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
from auditor.model.words import TOWARDS
from auditor.remember import History, reading_id, summed

__all__ = ["DROPS", "LEAKS", "LIMITS", "MOMENTARY", "LimitRow", "Policy", "assess", "changes"]


def assess(
    usage: NodeUsage,
    history: History,
    policy: Policy,
    now: float,
    recorded: Sequence[tuple[LimitRow, Reading]] | None = None,
) -> tuple[Assessment, History]:
    """Judge one moment.

    Args:
        usage: the facts by owner.
        history: what is remembered of earlier sweeps.
        policy: thresholds and what this installation promises to see.
        now: seconds since the epoch.
        recorded: the readings, where an object tells them; else they are taken from the usage.

    Returns:
        The assessment, and the history for the next sweep.
    """
    found_now = [(row, reading) for row in LIMITS for reading in _read(row, usage)] if recorded is None else recorded
    judged = [(row, _possible(reading)) for row, reading in found_now]
    readings = [reading for _, reading in judged]
    growing = [(row, reading) for row in LEAKS for reading in row.read(usage)]
    lasting = (reading for row, reading in judged if row.id not in MOMENTARY and _is_worth_following(reading))
    history = history.follow(
        {reading_id(one): one for one in (*lasting, *(reading for _, reading in growing))}.values(), now
    )
    dropped = [(row, one) for row in DROPS for one in row.read(usage)]
    counters = {drops.key(row, one): one for row, one in dropped}
    history = history.count(counters, now).watch(usage.queueing, now)
    causes = Causes.of_node(usage, history)
    found = [judge(row, reading, history, policy.of(row, reading), now) for row, reading in judged]
    once = [reading for row, reading in judged if is_of_a_moment(row, reading, history, policy.of(row, reading))]
    found += [leaks.judge(row, reading, causes, now) for row, reading in growing]
    found += [drops.judge(row, one, history, now) for row, one in dropped]
    found += stuck.judge(usage, history, now)
    findings = [finding for finding in found if finding]
    seen = [finding_id(row, reading) for row, reading in judged]
    seen += [leaks.finding_id(row, reading) for row, reading in growing]
    seen += [*counters, *(finding.id for finding in findings)]
    findings += without_reading(usage, history, [*seen, _INCOMPLETE])
    unjudged = _unjudged(readings, usage.gaps) - usage.missing
    unreadable = unjudged & policy.promised
    if unreadable:
        findings.append(_incomplete(unreadable, usage.gaps, history, now))
    findings.sort(key=lambda finding: (-finding.severity, -(finding.percent or 0), finding.id))
    history = history.observe(usage, readings, now)
    assessment = Assessment(
        verdict=_verdict(findings, unreadable),
        readings=tuple(readings),
        findings=tuple(findings),
        events=tuple(changes(history.findings.values(), findings, now)),
        unreadable=unreadable,
        unjudged=unjudged,
        once=tuple(sorted(once, key=lambda reading: -(reading.percent or 0))),
        peaks={key: window.peak for key, window in history.peaks.items()},
        fds_peaks={owner: window.peak for owner, window in history.fds_peaks.items()},
        shares=summed(history.shares),
        thresholds={(one.limit, one.scope): policy.of(row, one) for row, one in judged},
        ends=_ends(readings, history),
    )
    return assessment, history.conclude(findings, readings)


_INCOMPLETE = "AuditIncomplete/node"
_DESTINATION_PERCENT = 50


def _is_worth_following(reading: Reading) -> bool:
    """Whether a trend may matter. Destinations are many and come and go: one far from its end is followed no further."""
    near = (reading.percent or 0) >= _DESTINATION_PERCENT
    return near or (reading.ports is None and TOWARDS not in reading.scope)


def _ends(readings: Iterable[Reading], history: History) -> dict[tuple[str, str], float]:
    trends = ((one, history.trends.get(reading_id(one))) for one in readings)
    return {
        (reading.limit, reading.scope): end
        for reading, trend in trends
        if trend and trend.firm and (end := trend.exhausts_at(reading.maximum)) is not None
    }


def _read(row: LimitRow, usage: NodeUsage) -> list[Reading]:
    found = list(row.read(usage))
    if not found and row.id not in usage.missing:  # one that says nothing at all is unknown, not absent
        return [Reading(row.id, "node", "node", None, None)]
    return found


def _possible(reading: Reading) -> Reading:
    """Return the reading with what cannot be made unknown: no kernel holds less than nothing, whatever was read."""
    if (reading.used or 0) >= 0 and not (isinstance(reading.maximum, int) and reading.maximum < 0):
        return reading
    return replace(reading, used=None, maximum=None)


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


def changes(
    before: Iterable[Finding], after: Iterable[Finding], now: float, least: Severity = Severity.WARNING
) -> Iterator[Event]:
    """Say what changed. An Info finding is nobody's emergency, so it makes no event unless it is asked for."""
    earlier = {finding.id: finding for finding in before if finding.severity >= least}
    current = {finding.id: finding for finding in after if finding.severity >= least}
    for finding in current.values():
        previous = earlier.get(finding.id)
        if previous is None:
            yield Event(now, Change.OPENED, finding)
        elif finding.severity > previous.severity:
            yield Event(now, Change.WORSENED, finding)
    for finding in earlier.values():
        if finding.id not in current:
            yield Event(now, Change.CLOSED, finding)
