"""Queues that do not move for minutes: somebody does not read, or does not take. One finding for each owner."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.evaluate.network import pods_by_address
from auditor.model import Finding, NodeUsage, Owner, QueueUsage, Severity, Subject
from auditor.model.words import clean, count, duration, endpoint, owner_name
from auditor.remember import History

RULE = "SocketQueueStuck"
TITLE = "TCP sockets whose queues hold the same bytes, 16 KiB or more, for three minutes"
STILL_SECONDS = 180.0


def remedy(*, unread: bool) -> str:
    """The program that does not read, or the peer that does not take: no setting of the kernel moves a queue."""
    if unread:
        return (
            "the program has not read what came: look at its threads (a deadlock, an endless loop, a forgotten connection) "
            "and restart it; what it holds is memory of all pods (tcp_mem)"
        )
    return (
        "the peer has not taken what was sent: see whether it is alive and reads; TCP_USER_TIMEOUT or keep-alive in the "
        "program ends such connections, and a restart frees what they hold"
    )


def judge(usage: NodeUsage, history: History, now: float) -> Iterator[Finding]:
    """Yield a finding for each owner with sockets that stand still."""
    rows = {row.owner: row for row in usage.owners}
    names = pods_by_address(usage)
    still = _still(usage, history, now)
    for finding in history.findings.values():
        if finding.rule == RULE and finding.subject.owner not in still and _may_be(finding, usage, history):
            yield finding  # of an earlier life
    for owner, several in still.items():
        identity = rows[owner].identity if owner in rows else None
        identifier = f"{RULE}/{'/'.join(filter(None, (owner.kind.lower(), owner.id)))}"
        before = history.findings.get(identifier)
        unread = [one for one in several if one.received]
        unsent = [one for one in several if one.sent]
        parts = [_Part(some, reads) for some, reads in ((unread, True), (unsent, False)) if some]
        parts.sort(key=lambda part: -part.bytes)
        yield Finding(
            id=identifier,
            rule=RULE,
            severity=Severity.WARNING,
            subject=Subject(owner, identity),
            since=before.since if before else float(int(now)),
            message=f"{owner_name(owner, identity)}: " + "; ".join(part.words(history, names, now) for part in parts),
            remedy="; ".join(remedy(unread=part.unread) for part in parts),
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands in one direction. The two have nothing in common: of one the program is to blame, of the other the peer."""

    queues: list[QueueUsage]
    unread: bool

    @property
    def bytes(self) -> int:
        return sum(map(self._of, self.queues))

    def words(self, history: History, names: Mapping[str, str], now: float) -> str:
        number, greatest = len(self.queues), max(self.queues, key=lambda one: (self._of(one), one.id))
        since = min(history.queues[one.id].since for one in self.queues)
        address = greatest.peer.address
        peer = endpoint(address, greatest.peer.port or 0) + (f" ({clean(names[address])})" if address in names else "")
        return (
            f"{count(self.bytes)} bytes that {'the program does not read' if self.unread else 'the peer does not take'} stand "
            f"in {count(number)} {'socket' if number == 1 else 'sockets'}{self._holder(greatest)} for {duration(now - since)}, "
            f"most of them {'from' if self.unread else 'to'} {peer}"
        )

    def _of(self, one: QueueUsage) -> int:
        return one.received if self.unread else one.sent

    def _holder(self, greatest: QueueUsage) -> str:
        if greatest.process is None:
            return ""
        others = "" if all(one.process == greatest.process for one in self.queues) else " and others"
        return f" of pid {greatest.process.pid} {clean(greatest.process.command)}{others}"


def _may_be(finding: Finding, usage: NodeUsage, history: History) -> bool:
    """Whether an owner has a queue of which it is not known yet that it moves."""
    known = ((one.owner, history.queues.get(one.id)) for one in usage.queueing)
    return any(owner == finding.subject.owner and not (still and still.moved) for owner, still in known)


def _still(usage: NodeUsage, history: History, now: float) -> dict[Owner, list[QueueUsage]]:
    found: defaultdict[Owner, list[QueueUsage]] = defaultdict(list)
    for one in usage.queueing:
        known = history.queues.get(one.id)
        if known and now - known.since >= STILL_SECONDS:
            found[one.owner].append(one)
    return found
