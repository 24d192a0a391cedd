"""Memory and rules over a recording: what would have been found, and when. Composes; reads a file, no kernel.

A recording is what `sockaudit scan --count 0 -o json` prints: one object a line. Of each only the name, the moment, the
limits and the pods are asked for, so that other tools can write one as well.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, model_validator

from auditor.evaluate import LIMITS, LimitRow, Policy, assess, changes
from auditor.model import (
    UNLIMITED,
    ContainerUsage,
    Event,
    Kind,
    Limit,
    NodeFacts,
    NodeTotals,
    NodeUsage,
    Owner,
    OwnerKind,
    OwnerUsage,
    PodIdentity,
    ProcessUse,
    Reading,
    Severity,
    SocketUse,
    Subject,
    TcpState,
)
from auditor.model.words import clean
from auditor.publish import object as shape
from auditor.publish.findings import to_finding
from auditor.publish.when import epoch, timestamp
from auditor.remember import History
from auditor.thresholds import complaint, read_thresholds

_LONGEST_LINE = 64 << 20
_ROWS = {row.id: row for row in LIMITS}
_OF_PODS = "process-fds"
_NOBODY = NodeTotals(0, None, 0, 0, None, None, None, None)


class RecordingError(Exception):
    """There is nothing to replay. The text is one line, with what to do."""


@dataclass(slots=True)
class Replay:
    """Goes through recordings line by line, each node with a memory of its own.

    Attributes:
        audits: objects that were understood.
        complaints: what was left out, and why.
    """

    policy: Policy = field(default_factory=Policy)
    audits: int = 0
    complaints: list[str] = field(default_factory=list)
    _histories: dict[str, tuple[float, History]] = field(default_factory=dict)

    def lines(self, lines: Iterable[str]) -> Iterator[tuple[str, Event]]:
        """Yield each change with the name of its node."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                node, now, status = _parse(line)
            except (ValueError, RecursionError) as error:
                self.complaints.append(f"line {number} is no SockAudit object and is left out: {complaint(error)}")
                continue
            before, history = self._histories.get(node, (0.0, History()))
            if now <= before:
                self.complaints.append(f"line {number} is no later than the one before it and is left out")
                continue
            self.audits += 1
            usage = _usage(status, now)
            assessment, following = assess(usage, history, self.policy, now, list(_readings(status, usage)))
            self._histories[node] = now, following
            for event in changes(history.findings.values(), assessment.findings, now, Severity.INFO):
                yield node, event


def run(path: str, output: str, thresholds: str | None) -> int:
    """Replay a file and print what changed.

    Returns:
        0 done; what was left out is told on stderr.

    Raises:
        RecordingError: the file cannot be used at all. ThresholdsError: the thresholds cannot.
    """
    replay = Replay(Policy(read_thresholds(thresholds).of({}) if thresholds else {}, promised=frozenset()))
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for node, event in replay.lines(iter(lambda: file.readline(_LONGEST_LINE), "")):
                sys.stdout.write(_json(node, event) if output == "json" else _text(event))
    except OSError as error:
        raise RecordingError(
            f"{clean(path)} cannot be read: {error.strerror}. Name a file of recorded audits."
        ) from None
    for line in replay.complaints[:20]:
        sys.stderr.write(f"sockaudit: {line}\n")
    if not replay.audits:
        raise RecordingError(
            f"{clean(path)} holds no audit: record with `sockaudit scan --count 0 -o json > {clean(path)}`."
        )
    return 0


def _parse(line: str) -> tuple[str, float, "_Status"]:
    document = json.loads(line)
    if not isinstance(document, dict) or not isinstance(document.get("status"), dict):
        raise ValueError("it has no status")  # noqa: TRY004 - of one kind with what json raises
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    status = _Status.model_validate(document["status"])
    return str(name or ""), epoch(status.observed_at), status


class _Status(BaseModel):
    """What is asked of a recorded status. Figures that a tool left out are unknown."""

    observed_at: str = Field(alias="observedAt")
    limits: list[shape.LimitUse] = Field(default_factory=list)
    pods: list[shape.Pod] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return value | {
            "limits": [_with_state(row) for row in _list(value.get("limits"))],
            "pods": [_with_names(row) for row in _list(value.get("pods"))],
        }


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _with_state(row: object) -> object:
    if not isinstance(row, dict):
        return row
    known = "Unknown" if row.get("limit") is None else "Known"
    return {"scope": "node", "limitState": known} | row


def _with_names(row: object) -> object:
    if not isinstance(row, dict):
        return row
    worst = row.get("worstProcess")
    row = {"uid": f"{row.get('namespace')}/{row.get('name')}"} | row
    return row | {"worstProcess": {"pid": 0, "command": ""} | worst} if isinstance(worst, dict) else row


def _usage(status: _Status, now: float) -> NodeUsage:
    scopes = {row.scope.split(" ")[0]: row for row in status.limits if row.name == _OF_PODS}
    owners = tuple(_owner(pod, scopes.get(f"{pod.namespace}/{pod.name}")) for pod in status.pods)
    return NodeUsage(now, NodeFacts(), _NOBODY, owners)


def _owner(pod: shape.Pod, row: shape.LimitUse | None) -> OwnerUsage:
    worst = pod.worst_process
    process = ProcessUse(
        pid=worst.pid if worst else 0,
        start=0,
        command=worst.command if worst else "",
        fds=_first(worst.fds if worst else None, row.used if row else None, pod.fds) or 0,
        soft_limit=_first(worst.soft_limit if worst else None, row.limit if row else None),
        hard_limit=worst.hard_limit if worst else None,
    )
    known = worst is not None or row is not None or pod.fds is not None
    container = worst.container if worst else None
    identity = PodIdentity(pod.namespace, pod.name, pod.uid) if pod.namespace and pod.name else None
    tcp = pod.sockets.tcp if pod.sockets else None
    return OwnerUsage(
        owner=Owner(OwnerKind.POD, pod.uid),
        identity=identity,
        processes=1,
        threads=None,
        fds=pod.fds,
        descriptions=pod.open_descriptions,
        kinds={kind: getattr(pod.kinds, kind.value) for kind in Kind} if pod.kinds else None,
        sockets=SocketUse({state: getattr(tcp, state.name.lower()) for state in TcpState}, None, None, None)
        if tcp
        else None,
        own_netns=not pod.host_network,
        worst=process if known else None,
        containers=(ContainerUsage(container, container, pod.fds, process),) if known else (),
    )


def _first(*figures: int | None) -> int | None:
    return next((figure for figure in figures if figure is not None), None)


def _readings(status: _Status, usage: NodeUsage) -> Iterator[tuple[LimitRow, Reading]]:
    """Take the readings of pods from the pods, for only the fullest is among the limits, and the rest from the limits."""
    of_pods = _ROWS[_OF_PODS]
    named = set()
    for reading in of_pods.read(usage):
        named.add(reading.scope.split(" ")[0])
        yield of_pods, reading
    for one in status.limits:
        row = _ROWS.get(one.name)
        if row and not (row is of_pods and one.scope.split(" ")[0] in named):
            yield row, Reading(one.name, one.scope, one.scope, one.used, _maximum(one), Subject(), bool(one.estimate))


def _maximum(one: shape.LimitUse) -> Limit:
    return UNLIMITED if one.limit_state == "Unlimited" else one.limit


def _json(node: str, event: Event) -> str:
    finding = shape.plain(to_finding(event.finding))
    line = {"time": timestamp(event.at), "node": node, "event": event.change.value, "finding": finding}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _text(event: Event) -> str:
    finding = event.finding
    words = (timestamp(event.at), event.change.value, finding.severity.label, finding.rule, clean(finding.message))
    return "  ".join(words) + "\n"
