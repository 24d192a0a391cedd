"""The object's conditions: all of them from the first write on, Unknown where this version or this node cannot tell."""

from collections.abc import Iterable, Mapping, Sequence

from auditor.evaluate import LIMITS
from auditor.model import Assessment, Finding, NodeUsage, Reading, Severity, Verdict
from auditor.model.words import bounded, clean, count
from auditor.publish import object as shape

State = tuple[str, shape.ConditionStatus, str, str]

ONCE = "AboveWarningOnce"
AGAIN = "above the warning in this one look, and a second is needed to tell a moment from a state"
_ONCE_MAX = 5

PRESSURES = (
    "FDPressure",
    "InotifyPressure",
    "PortPressure",
    "SocketMemoryPressure",
    "ConntrackPressure",
    "PIDPressure",
)


def conditions(
    assessment: Assessment, usage: NodeUsage, now: str, previous: Sequence[Mapping[str, object]]
) -> list[shape.Condition]:
    """Return every condition, its transition time moved only when its status changed.

    Args:
        assessment: the rules' word.
        usage: for what could not be seen.
        now: RFC 3339.
        previous: the conditions as the object has them.
    """
    before = {one.get("type"): one for one in previous}
    states: list[State] = [
        ("Audited", "True", "Swept", f"{len(assessment.readings)} readings of {len(LIMITS)} limits"),
        _complete(assessment, usage),
        _healthy(assessment),
        *(_pressure(name, assessment, usage.missing) for name in PRESSURES),
    ]
    return [
        shape.Condition(
            type=name,
            status=status,
            reason=reason,
            message=bounded(message, 512),
            last_transition_time=_transition(before.get(name), status, now),
        )
        for name, status, reason, message in states
    ]


def _complete(assessment: Assessment, usage: NodeUsage) -> State:
    """Whether every promised limit was read. What else could not be seen is said, and makes it no less true."""
    if assessment.unreadable:
        causes = "; ".join(gap.detail for gap in usage.gaps if gap.limits & assessment.unreadable)
        said = f"cannot judge {', '.join(sorted(assessment.unreadable))}"
        return "Complete", "False", "Unreadable", f"{said}: {causes}" if causes else said
    if usage.gaps:
        return "Complete", "True", "LimitsRead", f"but not seen: {'; '.join(gap.detail for gap in usage.gaps)}"
    return "Complete", "True", "NothingMissed", ""


def _healthy(assessment: Assessment) -> State:
    match assessment.verdict:
        case Verdict.OK:
            return "Healthy", "True", ONCE if assessment.once else "NoFindings", _once(assessment.once)
        case Verdict.UNKNOWN:
            return "Healthy", "Unknown", "Unreadable", _unreadable(assessment.unreadable, assessment.once)
        case _:
            return "Healthy", "False", assessment.findings[0].rule, assessment.findings[0].message


def _pressure(name: str, assessment: Assessment, missing: frozenset[str]) -> State:
    limits = {row.id for row in LIMITS if row.condition == name} - missing
    if not limits:
        return name, "Unknown", "NotAudited", "this node does not have these limits"
    worst = _worst(finding for finding in assessment.findings if finding.limit in limits)
    if worst:
        return name, "True", worst.rule, worst.message
    unreadable = limits & assessment.unjudged
    once = [reading for reading in assessment.once if reading.limit in limits]
    if unreadable:
        return name, "Unknown", "Unreadable", _unreadable(unreadable, once)
    return name, "False", ONCE if once else "BelowWarning", _once(once)


def _unreadable(limits: Iterable[str], once: Sequence[Reading]) -> str:
    return "; ".join(filter(None, (f"cannot judge {', '.join(sorted(limits))}", _once(once))))


def _once(readings: Sequence[Reading]) -> str:
    """Say what one look alone does not make a finding of, and so does not show to be well either."""
    if not readings:
        return ""
    named = [f"{one.limit} of {clean(one.scope)} {one.percent} %" for one in readings[:_ONCE_MAX]]
    named += [f"{count(len(readings) - _ONCE_MAX)} more"] if len(readings) > _ONCE_MAX else []
    return f"{AGAIN}: {', '.join(named)}"


def _worst(findings: Iterable[Finding]) -> Finding | None:
    return next((finding for finding in findings if finding.severity > Severity.INFO), None)


def _transition(before: Mapping[str, object] | None, status: str, now: str) -> str:
    if before and before.get("status") == status and isinstance(before.get("lastTransitionTime"), str):
        return str(before["lastTransitionTime"])[:32]
    return now
