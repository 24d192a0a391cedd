"""When a reading is a finding: thresholds, hysteresis, two sweeps in a row, and what counts as evidence of the end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.evaluate import stuck
from auditor.evaluate.drops import DROPS
from auditor.evaluate.limits import LIMITS, LimitRow
from auditor.model import Finding, NodeUsage, Owner, OwnerKind, OwnerUsage, Reading, Severity, percent
from auditor.remember import History, reading_id

HYSTERESIS_POINTS = 5
_OF_SOCKETS = frozenset({stuck.RULE, *(row.rule for row in DROPS if row.limit is None)})
"""Rules that are about single sockets, and about no limit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides.

    Attributes:
        thresholds: (warning, critical) percent by limit id, in place of the table's.
        wishes: the same of pods, for the limits that bind only them.
        promised: limits that this installation has the rights to read; one that is unreadable makes the verdict Unknown.
    """

    thresholds: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    wishes: Mapping[Owner, Mapping[str, tuple[int, int | None]]] = field(default_factory=dict)
    promised: frozenset[str] = frozenset(row.id for row in LIMITS)

    def of(self, row: LimitRow, reading: Reading) -> tuple[int, int | None]:
        """Return the thresholds in force: the pod's, the operator's, the kernel's own mark where it has one, the table's."""
        own = self.wishes.get(reading.subject.owner, {}) if reading.subject.owner else {}
        if row.id in own:
            return own[row.id]
        mark = percent(reading.pressure, reading.maximum)
        return self.thresholds.get(row.id, (row.warning if mark is None else mark, row.critical))


def finding_id(row: LimitRow, reading: Reading) -> str:
    """Name a finding: rule and stable scope, never a pid."""
    return f"{row.rule}/{reading.key}"


def judge(
    row: LimitRow, reading: Reading, history: History, thresholds: tuple[int, int | None], now: float
) -> Finding | None:
    """Return the finding a reading makes, or `None`. An unknown figure neither opens nor closes anything."""
    identifier = finding_id(row, reading)
    before = history.findings.get(identifier)
    used = reading.percent
    if used is None:
        return before if reading.used is None or reading.maximum is None else None
    severity = _severity(used, thresholds, before.severity if before else None)
    if severity is None:
        return None
    if is_of_a_moment(row, reading, history, thresholds):
        return None
    return Finding(
        id=identifier,
        rule=row.rule,
        severity=severity,
        subject=reading.subject,
        since=before.since if before else float(int(now)),
        message=row.sentence(reading),
        remedy=row.remedy(reading),
        limit=row.id,
        scope=reading.scope,
        used=reading.used,
        maximum=reading.maximum,
        exhausts_at=_end(reading, history),
        consumers=reading.consumers,
        affected=reading.affected,
    )


def is_of_a_moment(row: LimitRow, reading: Reading, history: History, thresholds: tuple[int, int | None]) -> bool:
    """Whether a reading is above its warning in this sweep only, and its rule asks for two in a row before it says so."""
    used = reading.percent
    if used is None or _severity(used, thresholds, None) is None or finding_id(row, reading) in history.findings:
        return False
    # What is one owner's own takes two sweeps as well: it comes and goes with what that owner does.
    steady = row.steady or reading.subject.owner is not None
    if not steady or (row.urgent is not None and used >= row.urgent):
        return False
    previous = history.percents.get(reading_id(reading))
    return previous is None or previous < thresholds[0]


def _end(reading: Reading, history: History) -> float | None:
    trend = history.trends.get(reading_id(reading))
    return trend.exhausts_at(reading.maximum) if trend else None


def _severity(percent: int, thresholds: tuple[int, int | None], before: Severity | None) -> Severity | None:
    warning, critical = thresholds
    if critical is not None and percent >= critical - (HYSTERESIS_POINTS if before is Severity.CRITICAL else 0):
        return Severity.CRITICAL
    if percent >= warning - (HYSTERESIS_POINTS if before else 0):
        return Severity.WARNING
    return None


def _is_unseen(finding: Finding, row: OwnerUsage) -> bool:
    """Whether a finding is about single sockets, and this sweep could not list those of its owner."""
    return finding.rule in _OF_SOCKETS and (row.sockets is None or not row.sockets.listed)


def without_reading(usage: NodeUsage, history: History, seen: Iterable[str]) -> list[Finding]:
    """Return the open findings that this sweep says nothing about: they stay open until evidence closes them.

    A pod that is gone is evidence. A scope that is no longer read is evidence too, unless the sweep was blind there or
    the pod's names are missing just now (its containers go by other names then).
    """
    seen = set(seen)
    present = {row.owner: row for row in usage.owners}
    blind = {limit for gap in usage.gaps for limit in gap.limits}
    kept = []
    for finding in history.findings.values():
        if finding.id in seen:
            continue
        owner = finding.subject.owner
        row = present.get(owner) if owner is not None else None
        if row is not None and _is_unseen(finding, row):
            kept.append(finding)
        elif owner is not None and owner.kind is OwnerKind.POD:
            if row is None:
                continue
            unnamed = finding.subject.identity is not None and row.identity is None
            if unnamed or finding.limit in blind:
                kept.append(finding)
        elif finding.limit in blind:
            kept.append(finding)
    return kept
