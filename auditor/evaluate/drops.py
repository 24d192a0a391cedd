"""What is dropped at a sustained rate: rules over counters, of which a total says nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from auditor.evaluate import network, remedies, sentences
from auditor.model import Drops, Finding, NodeUsage, Severity
from auditor.remember import History, Rate


@dataclass(frozen=True, slots=True)
class DropRow:
    """One counter.

    Attributes:
        rule: the finding it raises; also the event's reason.
        limit: id of the limit that was full; `None` where it is none of the table.
        title: what is counted, for the reference.
    """

    rule: str
    limit: str | None
    title: str
    read: Callable[[NodeUsage], Iterable[Drops]]
    sentence: Callable[[Drops, Rate], str]
    remedy: Callable[[Drops], str]


DROPS = (
    DropRow(
        rule="ListenQueueFull",
        limit="listen-backlog",
        title="connections that a listener drops, sweep after sweep",
        read=network.listener_drops,
        sentence=sentences.listen_queue_full,
        remedy=remedies.listen_queue_full,
    ),
    DropRow(
        rule="TimeWaitOverflow",
        limit="time-wait",
        title="connections that are closed without TIME_WAIT, sweep after sweep, for all buckets are taken",
        read=network.time_wait_overflows,
        sentence=sentences.time_wait_overflow,
        remedy=remedies.time_wait_overflow,
    ),
    DropRow(
        rule="UDPReceiveDrops",
        limit=None,
        title="datagrams that a UDP socket drops, sweep after sweep, for nobody reads them in time",
        read=network.udp_drops,
        sentence=sentences.udp_receive_drops,
        remedy=remedies.udp_receive_drops,
    ),
)


def key(row: DropRow, drops: Drops) -> str:
    """Name a counter; also the id of its finding."""
    return f"{row.rule}/{drops.key}"


def judge(row: DropRow, drops: Drops, history: History, now: float) -> Finding | None:
    """Return the finding a counter makes, or `None`."""
    rate, before = history.rates.get(key(row, drops)), history.findings.get(key(row, drops))
    if rate is None or not rate.sustained:
        return before if before and rate and not rate.over else None
    return Finding(
        id=key(row, drops),
        rule=row.rule,
        severity=Severity.WARNING,
        subject=drops.subject,
        since=before.since if before else float(int(now)),
        message=row.sentence(drops, rate),
        remedy=row.remedy(drops),
        limit=row.limit,
        scope=drops.scope,
        used=drops.used,
        maximum=drops.maximum,
    )
