"""Kubernetes events (events.k8s.io/v1) of findings: bounded, named so that a repeat is a harmless conflict.

See KEP-383 and `kubectl explain events --api-version=events.k8s.io/v1`. A note and a reason cannot be changed later;
a finding that stays open is refreshed as a series.

`kubectl describe` finds events by the uid they regard. For a node it asks for the node's name as well (the kubelet's
habit), for a static pod for its config hash and not for the API's uid: both are what the cgroup and the agent know.
"""

import hashlib
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from auditor.model import Change, Event, Finding, OwnerKind, Share
from auditor.model.words import bounded, clean, owner_name
from auditor.model.words import count as counted

CONTROLLER = "sockaudit.io/agent"
NOTE_BYTES = 1024
INSTANCE_BYTES = 128
REFRESH_SECONDS = 30 * 60
WINDOW_SECONDS = 300
PER_WINDOW = 10
REFRESHES_PER_WINDOW = PER_WINDOW // 2  # the rest is kept for what changes
PENDING_MAX = 200
RETRY_SECONDS = (15.0, 60.0, 240.0, 900.0)
"""Pauses before a message that was refused is tried again. After the last it is given up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request to make: a new event, or (with `count` of 2 or more) one more sign of an old one.

    Attributes:
        body: the whole event, for creation; also when a refresh finds that the event has expired.
        count: how often it was seen.
    """

    namespace: str
    name: str
    body: dict[str, object]
    count: int = 1

    def series(self) -> dict[str, object]:
        """Return the patch of a refresh."""
        return {"series": {"count": self.count, "lastObservedTime": self.body["eventTime"]}}


def message(event: Event, node: str, count: int = 1) -> Message:
    """Write one event: on the pod for what is its own, on the Node for pools.

    Args:
        event: what changed.
        node: name of the node.
        count: 1 for a new one, more for a refresh.
    """
    finding = event.finding
    identity = finding.subject.identity
    on_pod = finding.subject.owner is not None and finding.subject.owner.kind is OwnerKind.POD and identity is not None
    namespace = identity.namespace if on_pod and identity else "default"
    regarding = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node}
    if on_pod and identity and finding.subject.owner:
        regarding = {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": identity.name,
            "uid": finding.subject.owner.id,
        }
    name = event_name(finding, event.change)
    closed = event.change is Change.CLOSED
    note = f"closed: {finding.message}" if closed else f"{finding.message}.{_takers(finding)} Fix: {finding.remedy}"
    body: dict[str, object] = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": micro_time(event.at),
        "reportingController": CONTROLLER,
        "reportingInstance": bounded(node, INSTANCE_BYTES),
        "action": event.change.value.capitalize(),
        "reason": finding.rule,
        "type": "Normal" if closed else "Warning",
        "regarding": regarding,
        "note": bounded(clean(note), NOTE_BYTES),
    }
    return Message(namespace, name, body, count)


def _takers(finding: Finding) -> str:
    shares = ", ".join(map(_taker, finding.consumers))
    return f" Taken by {shares}." if shares else ""


def _taker(share: Share) -> str:
    name = owner_name(share.owner, share.identity)
    name += f" (pid {share.process.pid} {share.process.command})" if share.process else ""
    return name if share.used is None else f"{name} {'about ' if share.estimate else ''}{counted(share.used)}"


def event_name(finding: Finding, change: Change) -> str:
    """Return a name that the same change of the same finding always has (DNS subdomain, RFC 1123)."""
    told_apart = f"{clean(finding.id)}\0{int(finding.since)}\0{finding.severity}\0{change}"
    digest = hashlib.sha256(told_apart.encode()).hexdigest()
    return f"sockaudit-{finding.rule.lower()[:40]}.{digest[:20]}"


def micro_time(seconds: float) -> str:
    """Seconds since the epoch as a MicroTime."""
    whole = int(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((seconds - whole) * 1e6):06d}Z"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message to be sent, how often it was refused, and until when it is not tried again."""

    message: Message
    refused: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Open:
    """What was last said of an open finding, when, and how often."""

    event: Event
    at: float
    count: int = 1


class Outbox:
    """Messages that wait to be sent: no more than ten in five minutes, none lost while there is room.

    Changes come first, in their order; one that was refused lets the others pass. Refreshes are not kept: one is made
    when nothing else is to be sent.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._pending: deque[_Waiting] = deque()
        self._sent: deque[float] = deque(maxlen=PER_WINDOW)
        self._open: dict[str, _Open] = {}
        self._given: _Waiting | None = None
        self._refreshing: str | None = None

    def restore(self, findings: Iterable[Finding], now: float) -> None:
        """Take up findings whose events an earlier life has sent: they are refreshed, not repeated."""
        for finding in findings:
            self._open[finding.id] = _Open(Event(finding.since, Change.OPENED, finding), now)

    def add(self, events: Iterable[Event], findings: Iterable[Finding], now: float) -> int:
        """Take what changed.

        Args:
            events: changes of this sweep.
            findings: all that are open.
            now: seconds since the epoch.

        Returns:
            How many messages had to go, the oldest first, for want of room.
        """
        for event in events:
            self._pending.append(_Waiting(message(event, self._node)))
            if event.change is Change.CLOSED:
                self._open.pop(event.finding.id, None)
            else:
                self._open[event.finding.id] = _Open(event, now)
        current = {finding.id for finding in findings}
        self._open = {identifier: one for identifier, one in self._open.items() if identifier in current}
        dropped = max(0, len(self._pending) - PENDING_MAX)
        for _ in range(dropped):
            self._pending.popleft()
        return dropped

    def next(self, now: float) -> Message | None:
        """Return what may be sent now, or `None`. Call `sent` once it was taken, or `refused`."""
        self._given = self._refreshing = None
        used = sum(now - at < WINDOW_SECONDS for at in self._sent)
        first = next((one for one in self._pending if one.until <= now), None)
        if first is not None:
            self._given = first if used < PER_WINDOW else None
            return self._given.message if self._given else None
        if used >= REFRESHES_PER_WINDOW or not self._open:
            return None
        identifier, longest = min(self._open.items(), key=lambda item: item[1].at)
        if now - longest.at < REFRESH_SECONDS:
            return None
        self._refreshing = identifier
        again = Event(now, longest.event.change, longest.event.finding)
        return message(again, self._node, longest.count + 1)

    def sent(self, now: float) -> None:
        """Note that the message last given was delivered, or can never be."""
        self._sent.append(now)
        if self._given is not None:
            self._pending.remove(self._given)
            self._given = None
        elif self._refreshing is not None:
            one = self._open[self._refreshing]
            self._open[self._refreshing] = replace(one, at=now, count=one.count + 1)
            self._refreshing = None

    def refused(self, now: float) -> bool:
        """Note that the message last given was refused, for a while perhaps: it is tried again later, a few times.

        Returns:
            Whether it was given up.
        """
        one = self._given
        self.sent(now)
        if one is None:
            return False  # the next refresh comes anyway
        if one.refused == len(RETRY_SECONDS):
            return True
        self._pending.append(replace(one, refused=one.refused + 1, until=now + RETRY_SECONDS[one.refused]))
        return False
