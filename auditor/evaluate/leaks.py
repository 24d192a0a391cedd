"""What grows without end: two rules over trends, where those of the limits are over moments."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from auditor.evaluate import readings, remedies, sentences
from auditor.evaluate.causes import Cause, Causes
from auditor.model import Finding, NodeUsage, Reading, Severity, TcpState
from auditor.remember import History, Trend, reading_id

WARNING_PERCENT = 40
WARNING_SECONDS = 86_400.0
_CLOSED_BELOW = 0.7  # of what was in use: what leaked was given back


@dataclass(frozen=True, slots=True)
class LeakRow:
    """One figure whose growth is a leak.

    Attributes:
        rule: the finding it raises; also the event's reason.
        limit: id of the limit that it runs into.
        title: what grows, for the reference.
        state: of the sockets that grow, where it is sockets.
    """

    rule: str
    limit: str
    title: str
    read: Callable[[NodeUsage], Iterable[Reading]]
    sentence: Callable[[Reading, Trend, float, Cause], str]
    remedy: Callable[[Reading], str]
    state: TcpState | None = None


LEAKS = (
    LeakRow(
        rule="FDLeak",
        limit="process-fds",
        title="descriptors of a process that grow in a straight line",
        read=readings.process_fds,
        sentence=sentences.fd_leak,
        remedy=remedies.fd_leak,
    ),
    LeakRow(
        rule="CloseWaitLeak",
        limit="process-fds",
        title="sockets in CLOSE_WAIT that grow in a straight line: the peer has closed, the program has not",
        read=readings.close_wait,
        sentence=sentences.close_wait_leak,
        remedy=remedies.close_wait_leak,
        state=TcpState.CLOSE_WAIT,
    ),
)


def finding_id(row: LeakRow, reading: Reading) -> str:
    """Name a finding as the rules of limits do."""
    return f"{row.rule}/{reading.key}"


def judge(row: LeakRow, reading: Reading, causes: Causes, now: float) -> Finding | None:
    """Return the finding a reading makes, or `None`. An unknown figure neither opens nor closes anything."""
    history = causes.history
    before = history.findings.get(finding_id(row, reading))
    trend = history.trends.get(reading_id(reading))
    if reading.used is None:
        return before
    if trend is None:
        return before if before and _too_early(reading, before, history) else None
    end = trend.exhausts_at(reading.maximum)
    return Finding(
        id=finding_id(row, reading),
        rule=row.rule,
        severity=_severity(reading, trend, end, before, now),
        subject=reading.subject,
        since=before.since if before else float(int(now)),
        message=row.sentence(reading, trend, now, causes.of(reading, now - trend.span, row.state)),
        remedy=row.remedy(reading),
        limit=row.limit,
        scope=reading.scope,
        used=reading.used,
        maximum=reading.maximum,
        exhausts_at=end,
    )


def _severity(reading: Reading, trend: Trend, end: float | None, before: Finding | None, now: float) -> Severity:
    if before and before.severity is Severity.WARNING:
        return Severity.WARNING
    near = (reading.percent or 0) >= WARNING_PERCENT or (end is not None and end - now < WARNING_SECONDS)
    return Severity.WARNING if trend.firm and near else Severity.INFO


def _too_early(reading: Reading, before: Finding, history: History) -> bool:
    """Whether a finding of an earlier life cannot be judged yet: the figure has not been watched for long enough."""
    series = history.series.get(reading_id(reading))
    fell = before.used is not None and (reading.used or 0) < _CLOSED_BELOW * before.used
    return not fell and (series is None or series.young)
