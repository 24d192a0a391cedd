"""Memory and rules over a recording: what would have been found, and when. Composes; reads a file, no kernel.

A recording is what `sockaudit scan -o json` prints, once or with `--count` again and again. Of each audit only the name,
the moment, the limits and the owners are asked for, so that other tools can write one as well.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from auditor import streams
from auditor.evaluate import LEAKS, LIMITS, Policy, assess, changes
from auditor.model import Event, Severity
from auditor.model.words import bounded, clean, count
from auditor.publish import object as shape
from auditor.publish.findings import to_finding
from auditor.publish.when import timestamp
from auditor.remember import History
from auditor.replay.files import RecordingError, documents
from auditor.replay.status import Status, parse
from auditor.replay.usage import readings_of, usage_of
from auditor.thresholds import complaint, read_thresholds

__all__ = ["RecordingError", "Replay", "run"]

_COMPLAINTS_MAX = 20
_JUDGED = {row.rule for row in (*LIMITS, *LEAKS)}


@dataclass(frozen=True, slots=True)
class _Before:
    """What is remembered of a node: the moment that its last status tells, when it is taken to have been, and the rest."""

    written: float = 0.0
    at: float = 0.0
    history: History = field(default_factory=History)


@dataclass(slots=True)
class Replay:
    """Goes through recordings one by one, each node with a memory of its own.

    Attributes:
        policy: thresholds.
        moments: of the audits that were understood, in whole seconds since the epoch.
        complaints: what was left out, and why.
        unjudged: rules that had found something when it was recorded, and whose figures no recording holds.
    """

    policy: Policy = field(default_factory=Policy)
    moments: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    unjudged: set[str] = field(default_factory=set)
    _nodes: dict[str, _Before] = field(default_factory=dict)

    def documents(self, numbered: Iterable[tuple[int, str]]) -> Iterator[tuple[str, Event]]:
        """Yield each change with the name of its node."""
        for number, text in numbered:
            try:
                node, status = parse(text)
            except (ValueError, RecursionError) as error:
                self.complaints.append(f"line {number} is no SockAudit object and is left out: {complaint(error)}")
                continue
            before = self._nodes.get(node, _Before())
            now = _moment(status, before)
            if now is None:
                self.complaints.append(f"line {number} is no later than the one before it and is left out")
                continue
            self.moments.append(status.moment)
            self.unjudged |= {one.rule for one in status.findings} - _JUDGED
            usage = usage_of(status, now)
            assessment, following = assess(usage, before.history, self.policy, now, list(readings_of(status, usage)))
            self._nodes[node] = _Before(status.moment, now, following)
            for event in changes(before.history.findings.values(), assessment.findings, now, Severity.INFO):
                yield node, event


def _moment(status: Status, before: _Before) -> float | None:
    """Return when an audit was made; `None` for one that does not follow.

    Whole seconds are written down. Where audits came faster, those of one second are taken to be as far apart as they
    were meant to be; otherwise the same moment again is the same audit again.
    """
    if status.moment > before.at:
        return status.moment
    if status.pause is None or status.moment < before.written:
        return None
    return before.at + status.pause


def run(path: str, output: str, thresholds: str | None) -> int:
    """Replay a file and print what changed.

    Returns:
        0 done; what was left out is told on stderr.

    Raises:
        RecordingError: the file cannot be used at all. ThresholdsError: the thresholds cannot.
    """
    replay = Replay(Policy(read_thresholds(thresholds).of({}) if thresholds else {}, promised=frozenset()))
    changed = False
    for node, event in replay.documents(documents(path)):
        changed = True
        sys.stdout.write(_json(node, event) if output == "json" else _text(event))
    if not replay.moments:
        why = replay.complaints[0] if replay.complaints else "it is empty"
        raise RecordingError(
            f"{clean(path)} holds no audit ({bounded(why, 300)}). Record some: sockaudit scan --count 0 -o json > NEW-FILE"
        )
    if not changed and output != "json":
        sys.stdout.write(_nothing(replay.moments))
    _tell_what_is_missing(replay)
    return 0


def _tell_what_is_missing(replay: Replay) -> None:
    for line in replay.complaints[:_COMPLAINTS_MAX]:
        streams.complain(line)
    if len(replay.complaints) > _COMPLAINTS_MAX:
        streams.complain(f"{count(len(replay.complaints) - _COMPLAINTS_MAX)} more lines are left out")
    if replay.unjudged:
        rules = clean(", ".join(sorted(replay.unjudged)))
        streams.complain(f"not judged: {bounded(rules, 300)}, found when it was recorded, of figures it does not hold")


def _nothing(moments: list[float]) -> str:
    number = "1 audit" if len(moments) == 1 else f"{count(len(moments))} audits"
    return f"nothing would have been found: {number}, {timestamp(min(moments))} to {timestamp(max(moments))}\n"


def _json(node: str, event: Event) -> str:
    finding = shape.plain(to_finding(event.finding))
    line = {"time": timestamp(event.at), "node": node, "event": event.change.value, "finding": finding}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _text(event: Event) -> str:
    finding = event.finding
    words = (timestamp(event.at), event.change.value, finding.severity.label, finding.rule, clean(finding.message))
    return "  ".join(words) + "\n"
